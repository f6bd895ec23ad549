import type { Sql, TransactionSql } from "postgres";
import { agentLocks } from "../db/lock-keys.ts";
import type { AcceptedFrame } from "./model.ts";

/** Longer than the writer waits, so that the server ends an abandoned batch soon after its client gave it up. */
const STATEMENT_TIMEOUT_MS = 12_000;
/** A fault's text: enough for a message and the top of its stack. */
const ERROR_CHARS_MAX = 4_000;
const CHUNK_ROWS = 2_000;

/**
 * Opens a batch: takes the locks of its agents, in one order, so that batches of one agent never interleave, not even
 * while it moves from one node to another. Returns the database's clock, Unix milliseconds.
 *
 * It writes a word to the log of the database, so that its commit waits for the standbys where commits do, even if all that it
 * brings is there already: the transaction that brought it may have become visible by a crash, and not have reached them.
 *
 * Sequential scans are off since the planner's statistics lag behind a table that grows by thousands of rows a second.
 */
export async function openBatch(tx: TransactionSql, agentIds: readonly string[]): Promise<number> {
  const [row] = await tx<{ now: number }[]>`
    select set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true), set_config('enable_seqscan', 'off', true),
      pg_logical_emit_message(true, 'opspilot', ''), ${agentLocks(tx, agentIds)}, extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database did not tell its clock");
  return row.now;
}

/** The database's clock, Unix milliseconds. */
export async function readClock(tx: TransactionSql): Promise<number> {
  const [row] = await tx<{ now: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database did not tell its clock");
  return row.now;
}

/** Keeps a frame whole that a fault of our own kept from being stored; one that comes again is kept once. */
export async function insertQuarantined(sql: Sql, frame: AcceptedFrame, error: unknown): Promise<void> {
  const { uuid, agentId, messageId, kind } = frame;
  const payload =
    kind === "alert" ? { origin: frame.origin, age_ms: frame.ageMs, alert: frame.alert } : { result: frame.result };
  const text = (error instanceof Error && error.stack) || String(error);
  await sql`
    insert into quarantine (uuid, agent_id, message_id, kind, payload, error)
    values (${uuid}, ${agentId}, ${messageId}, ${kind}, ${JSON.stringify(payload)}::text::jsonb,
      ${text.slice(0, ERROR_CHARS_MAX)})
    on conflict (uuid) do nothing`;
}

/** Forgets a chunk of what has been in quarantine for so long; says how many rows. */
export async function deleteQuarantined(sql: Sql, retentionMs: number): Promise<number> {
  const deleted = await sql`
    delete from quarantine where id in (
      select id from quarantine where at < now() - ${retentionMs} * interval '1 ms' limit ${CHUNK_ROWS}
      for update skip locked)`;
  return deleted.count;
}
