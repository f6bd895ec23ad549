import type { TransactionSql } from "postgres";

/**
 * Links incidents both ways with the last resolved one of their fingerprint, where nothing was linked as they opened. Done after
 * they opened, since a storm's ingest should not wait for it. Bears a second run.
 */
export async function linkWithResolved(tx: TransactionSql, ids: readonly number[]): Promise<void> {
  await tx`
    with linked as (
      update incidents i set previous_id = found.previous_id
      from (
        select n.id, last.id as previous_id from incidents n
        cross join lateral (
          select id from incidents where fingerprint = n.fingerprint and status = 'resolved' and id < n.id
          order by fingerprint, id desc limit 1) last
        where n.id = any(${ids as number[]}::int[]) and n.previous_id is null) found
      where i.id = found.id returning i.id, i.previous_id)
    update incidents i set next_id = linked.id from linked where i.id = linked.previous_id`;
}
