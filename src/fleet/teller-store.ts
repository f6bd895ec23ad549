import type { Sql, TransactionSql } from "postgres";

/** An alert that may be stored: under its UUID, or, before `origin` was part of that, under another. */
export interface StoredKey {
  uuid: string;
  formerUuid?: string;
}

/**
 * Of several nodes one decides at a time; the others get undefined. A node without a lease does not know yet whether
 * there was an outage.
 */
export function alone<T>(
  sql: Sql,
  { key, nodeId }: { key: number; nodeId: string },
  task: (tx: TransactionSql) => Promise<T>,
): Promise<T | undefined> {
  return sql.begin(async (tx) => {
    const [row] = await tx<{ may: boolean }[]>`
      select pg_try_advisory_xact_lock(${key}) and exists (
        select from nodes where id = ${nodeId} and lease_until > now()) as may`;
    return row?.may === true ? task(tx) : undefined;
  }) as Promise<T | undefined>;
}

/** Which of these alerts are stored, by their UUIDs. What an agent sent under a former one is not meant. */
export async function findStored(tx: TransactionSql, keys: readonly StoredKey[]): Promise<Set<string>> {
  const rows = await tx<{ uuid: string }[]>`
    select k.uuid
    from unnest(${keys.map(({ uuid }) => uuid)}::uuid[], ${keys.map(({ formerUuid }) => formerUuid ?? null)}::uuid[])
      k (uuid, former)
    where exists (select from alerts where uuid = k.uuid)
      or exists (
        select from alerts a left join incidents i on i.id = a.incident_id
        where a.uuid = k.former and coalesce(a.origin, i.origin) = 'server')`;
  return new Set(rows.map((row) => row.uuid));
}
