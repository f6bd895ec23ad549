import type { Sql } from "postgres";
import type { IncidentHistory, PastIncident } from "./model.ts";

/** The newest of each: how it ended a year ago helps nobody. */
const HERE_MAX = 6;
const ELSEWHERE_MAX = 4;
/** On other hosts so many are looked through for those with the same cause. */
const LOOK_MAX = 200;
/** Decisions that are told of one; who presses more often has his reasons in the incident itself. */
const DECISIONS_MAX = 4;

/** The SQL of what happened before. Each list reads an index of resolved incidents, and no more of it than it is bounded to. */
export function createHistoryStore(sql: Sql) {
  return {
    /** Undefined when there is no such incident. */
    async history(id: number): Promise<IncidentHistory | undefined> {
      const [subject] = await sql<{ agent_id: string }[]>`select agent_id from incidents where id = ${id}`;
      if (subject === undefined) return undefined;
      const past = await sql<PastIncident[]>`
        with now as (
          select id, agent_id, fingerprint, type, source, nullif(analysis->>'category', 'unknown') as category
          from incidents where id = ${id}),
        here as (
          select p.id from now cross join lateral (
            select id from incidents where fingerprint = now.fingerprint and status = 'resolved' and id < now.id
            order by fingerprint, id desc limit ${HERE_MAX}) p),
        elsewhere as (
          select p.id from now cross join lateral (
            select id, agent_id, analysis->>'category' as category from incidents
            where type = now.type and source = now.source and status = 'resolved' and id < now.id
            order by type, source, id desc limit ${LOOK_MAX}) p
          where p.agent_id <> now.agent_id and p.category = now.category order by p.id desc limit ${ELSEWHERE_MAX})
        select i.id, i.agent_id, coalesce(a.hostname, a.id::text) as host, i.severity, i.created_at, i.resolved_at,
          i.occurrences, i.reason, array(
            select jsonb_build_object('action', d.action, 'variant', d.variant, 'state', d.state, 'actor', d.actor,
              'actor_name', d.actor_name, 'outcome', d.outcome,
              'requested_at', to_char(d.requested_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
            from decisions d where d.incident_id = i.id and d.action <> 'logs'
            order by d.requested_at desc limit ${DECISIONS_MAX}) as decisions
        from incidents i join agents a on a.id = i.agent_id
        where i.id in (select id from here union all select id from elsewhere) order by i.id desc`;
      const isHere = ({ agent_id }: PastIncident) => agent_id === subject.agent_id;
      return { here: past.filter(isHere), elsewhere: past.filter((one) => !isHere(one)) };
    },
  };
}

export type HistoryStore = ReturnType<typeof createHistoryStore>;
