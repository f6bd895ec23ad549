import type { Sql, TransactionSql } from "postgres";

/** Says `payload` (fewer than 8,000 bytes) on a channel; within a transaction, at its commit. */
export async function notifyAll(sql: Sql | TransactionSql, channel: string, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`;
}
