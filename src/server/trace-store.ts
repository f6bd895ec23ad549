import type { Sql } from "postgres";

/** The first alerts of an incident lie together; of one that has very many so many are looked at. */
const ALERTS_MAX = 1_000;
/** Of a batch that is larger, which is a storm, the rest is not traced. */
const INCIDENTS_MAX = 100;

/** Of each incident the UUID of its first alert, which names its trace. */
export async function findFirstAlerts(sql: Sql, incidentIds: readonly number[]) {
  return sql<{ incidentId: number; type: string; alertUuid: string }[]>`
    select i.id as "incidentId", i.type, first.uuid as "alertUuid"
    from incidents i, lateral (
      select uuid from (select id, uuid from alerts where incident_id = i.id limit ${ALERTS_MAX}) oldest order by id limit 1) first
    where i.id = any(${incidentIds.slice(0, INCIDENTS_MAX)}::int[])`;
}
