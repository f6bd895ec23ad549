import type { Sql, TransactionSql } from "postgres";

/** Runs a statement of pg-boss's on a connection of ours, within the transaction that is open there. */
export async function executeSql(sql: Sql | TransactionSql, text: string, values: unknown[] = []) {
  const rows = await sql.unsafe(text, values as never[], { prepare: true });
  return { rows: [...rows] };
}
