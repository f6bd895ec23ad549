import type { PgBoss } from "pg-boss";
import type { Sql, TransactionSql } from "postgres";
import { findLeftOver, lockRetiredQueues } from "./job-store.ts";

/** What was decided in jobs once, and is decided for rows that are behind now. */
const ANNOUNCING = ["incidents.announce", "incidents.announce.dead"];
/** Their rows say when they are due. A queue stands before its dead letters, which it would keep from being deleted. */
const RETIRED = [...ANNOUNCING, "decisions.carry", "decisions.carry.dead", "decisions.verify", "decisions.verify.dead"];
/** Incidents of one transaction. */
const CHUNK = 1_000;

export interface RetiredQueuesDeps {
  /** Started. */
  boss: Pick<PgBoss, "getQueues" | "deleteQueue">;
  sql: Sql;
  /** Of these incidents it is still to be decided who is told; must bear a second run. */
  announce: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
}

/**
 * Deletes the queues of former versions, which would stay for ever. What they had not done is handed on first, so that a crash in
 * between hands it on again. Nothing but a look when they are gone; several nodes may do so at once.
 */
export async function clearRetiredQueues({ boss, sql, announce }: RetiredQueuesDeps): Promise<void> {
  if ((await boss.getQueues(RETIRED)).length === 0) return;
  const ids = await findLeftOver(sql, ANNOUNCING);
  for (let at = 0; at < ids.length; at += CHUNK) await sql.begin((tx) => announce(tx, ids.slice(at, at + CHUNK)));
  await sql.begin(async (tx) => {
    await lockRetiredQueues(tx);
    const left = new Set((await boss.getQueues(RETIRED)).map(({ name }) => name));
    for (const name of RETIRED.filter((one) => left.has(one))) await boss.deleteQueue(name);
  });
}
