/**
 * A clock that was put back (the database's, or that of a host where it ran ahead for a while) leaves moments behind that are yet
 * to come: an agent that was heard of in two hours is not missed, an alert of that time swallows those of today, and what is due
 * waits. Every node that renews its lease sees by how much the leases are ahead; one of them brings all such moments back.
 */
import { is } from "drizzle-orm";
import { getTableConfig, type PgColumn, PgTable } from "drizzle-orm/pg-core";
import type { Sql, TransactionSql } from "postgres";
import type { Database } from "./client.ts";
import { LockKey } from "./lock-keys.ts";
import { DECLARED } from "./tables.ts";

/** Rightly in the future: they keep their distance. */
const DUE = ["due_at", "next_attempt_at", "expires_at", "previous_until"];
/** A person names the end of a silence, or of a token, by the clock; a lease is renewed, or ends as one that was given now. Else a moment beyond now is now. */
const APART = ["until", "lease_until"];

/** A table with millions of rows is read from its beginning to its end. */
const STATEMENT_LIMIT_MS = 300_000;

/** How far ahead something was written that had been when it was, seconds; 0 or less where the clock runs as it should. */
export async function findAhead(sql: Sql, leaseSeconds: number): Promise<number> {
  const [row] = await sql<{ aheadS: number | null }[]>`
    select extract(epoch from greatest((select max(last_seen_at) from agents), (select max(ended_at) from outages),
      (select max(lease_until) - make_interval(secs => ${leaseSeconds}) from nodes)) - now())::float8 as "aheadS"`;
  return row?.aheadS ?? 0;
}

/** Brings all moments back that were written while the clock was so far ahead. Bears a second run. */
export async function bringBack(
  database: Pick<Database, "createSession" | "layout">,
  aheadSeconds: number,
  leaseSeconds: number,
): Promise<void> {
  const session = database.createSession({ statementLimitMs: STATEMENT_LIMIT_MS });
  try {
    for (const table of tables()) await inTurn(session, (tx) => bringTableBack(tx, table, aheadSeconds));
    await inTurn(session, (tx) => bringJobsBack(tx, database.layout.jobs, aheadSeconds));
    await session`
      update nodes set lease_until = now() + make_interval(secs => ${leaseSeconds})
      where lease_until > now() + make_interval(secs => ${leaseSeconds})`;
  } finally {
    await session.end({ timeout: 1 });
  }
}

/** Of several nodes one at a time: the next finds nothing more to do. */
async function inTurn(session: Sql, work: (tx: TransactionSql) => Promise<void>): Promise<void> {
  await session.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LockKey.setBack})`;
    await work(tx);
  });
}

/** Tables that have times, and which columns these are; the largest last. */
function tables(): { name: string; columns: string[] }[] {
  const all = Object.values<unknown>(DECLARED).filter((one) => is(one, PgTable));
  const timed = all.map((table) => {
    const { name, columns } = getTableConfig(table as PgTable);
    return { name, columns: columns.filter(isTime).map((one) => one.name) };
  });
  const isLarge = ({ name }: { name: string }) => Number(["alerts", "events"].includes(name));
  return timed.filter(({ columns }) => columns.length > 0).sort((a, b) => isLarge(a) - isLarge(b));
}

function isTime(column: PgColumn): boolean {
  return column.getSQLType().startsWith("timestamp") && !APART.includes(column.name);
}

async function bringTableBack(tx: TransactionSql, { name, columns }: { name: string; columns: string[] }, s: number) {
  const set = columns.map((one) => `${quote(one)} = ${DUE.includes(one) ? earlier(one) : nowAtMost(one)}`);
  const ahead = columns.map((one) => `${quote(one)} > now() and isfinite(${quote(one)})`);
  const isAnyDue = columns.some((one) => DUE.includes(one));
  await tx.unsafe(`update ${quote(name)} set ${set} where ${ahead.join(" or ")}`, isAnyDue ? [String(s)] : []);
}

/** What is done is forgotten by and by; a queue that was looked at in the future would not be looked at. */
async function bringJobsBack(tx: TransactionSql, jobs: string, seconds: number): Promise<void> {
  const [there] = await tx`select from pg_tables where schemaname = ${jobs} and tablename = 'queue'`;
  if (!there) return;
  await tx.unsafe(
    `update ${quote(jobs)}.job set start_after = ${earlier("start_after")}, ${settings(JOB_TIMES)}
    where state < 'completed' and greatest(start_after, ${JOB_TIMES}) > now()`,
    [String(seconds)],
  );
  await tx.unsafe(`update ${quote(jobs)}.queue set ${settings(QUEUE_TIMES)} where greatest(${QUEUE_TIMES}) > now()`);
}

const JOB_TIMES = ["created_on", "started_on", "heartbeat_on"];
const QUEUE_TIMES = ["monitor_on", "maintain_on", "monitor_claim_on"];

function settings(columns: readonly string[]): string {
  return columns.map((one) => `${one} = ${nowAtMost(one)}`).join(", ");
}

/** Of none there is none: `least` would make it now. */
function nowAtMost(column: string): string {
  return `case when ${quote(column)} > now() then now() else ${quote(column)} end`;
}

function earlier(column: string): string {
  const name = quote(column);
  return `case when ${name} > now() and isfinite(${name}) then greatest(now(), ${name} - $1::float8 * interval '1 s') else ${name} end`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
