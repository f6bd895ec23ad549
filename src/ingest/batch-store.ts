import type { TransactionSql } from "postgres";

/** Longer than the writer waits, so that the server ends an abandoned batch soon after its client gave it up. */
const STATEMENT_TIMEOUT_MS = 12_000;

/**
 * Opens a batch: takes the locks of its agents, in one order, so that batches of one agent never interleave, not even
 * while it moves from one node to another. Returns the database's clock, Unix milliseconds.
 *
 * Locks are advisory: row locks would write each agent's row and wait for its heartbeats. Sequential scans are off since
 * the planner's statistics lag behind a table that grows by thousands of rows a second.
 */
export async function openBatch(tx: TransactionSql, agentIds: readonly string[]): Promise<number> {
  const [row] = await tx<{ now: number }[]>`
    select set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true), set_config('enable_seqscan', 'off', true),
      (select count(pg_advisory_xact_lock(hashtextextended(agent, 0)))
        from (select distinct agent from unnest(${agentIds as string[]}::text[]) agent order by agent) agents),
      extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database did not tell its clock");
  return row.now;
}
