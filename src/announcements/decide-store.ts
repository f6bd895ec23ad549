import type { Sql, TransactionSql } from "postgres";
import type { Cause, Undecided } from "./decide-model.ts";

/** "opsd": who decides what is announced; one at a time, over all nodes, so that a storm is counted once. */
const DECIDE_LOCK = 0x6f70_7364;
/** Causes that are looked at for one batch. */
const CAUSES_MAX = 1_000;
/** An alert is taken to have happened at most 7 days before it came: so long a silence that is over can be a cause. */
const CAUSE_AGE = "7 days 1 hour";

/** What is already decided for an incident and an outlet. */
export interface Decided {
  incidentId: number;
  outlet: string;
  state: string;
  why: string;
  digestId: number | null;
}

/** A row to be: `digestId` when the incident is told in a storm's digest. */
export interface Verdict {
  incidentId: number;
  outlet: string;
  state: "waiting" | "withheld";
  why: string;
  digestId: number | null;
}

/** The SQL of deciding. All of it runs in one transaction that holds the lock. */
export function createDecideStore(sql: Sql) {
  return {
    /** Runs the task alone: other nodes wait. */
    async alone<T>(task: (tx: TransactionSql) => Promise<T>): Promise<T> {
      return (await sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(${DECIDE_LOCK})`;
        return task(tx);
      })) as T;
    },

    async find(tx: TransactionSql, ids: readonly number[]): Promise<Undecided[]> {
      return tx<Undecided[]>`
        select i.id, i.agent_id as "agentId", a.hostname, i.type, i.source, i.fingerprint, i.severity, i.status, i.reason,
          i.analysis->>'category' as category, i.parent_id as "parentId", i.previous_id as "previousId",
          coalesce((select min(occurred_at) from alerts where incident_id = i.id), i.created_at) as "occurredAt"
        from incidents i join agents a on a.id = i.agent_id where i.id = any(${ids as number[]}::int[]) order by i.id`;
    },

    async findDecided(tx: TransactionSql, ids: readonly number[]): Promise<Decided[]> {
      return tx<Decided[]>`
        select incident_id as "incidentId", outlet, state, why, digest_id::int as "digestId" from announcements
        where incident_id = any(${ids as number[]}::int[]) and kind = 'incident' and subject = ''`;
    },

    /** What incidents of these agents may follow from; silences first, the newest before others. */
    async findCauses(tx: TransactionSql, agentIds: readonly string[]): Promise<Cause[]> {
      return tx<Cause[]>`
        select c.id, c.agent_id as "agentId", case when c.type = 'host' and c.source = 'agent' then 'silent' else 'full' end as kind,
          least(case when c.status <> 'resolved' then a.last_seen_at end,
            coalesce((select min(occurred_at) from alerts where incident_id = c.id and state = 'firing'), c.created_at)) as since,
          c.resolved_at as until
        from incidents c join agents a on a.id = c.agent_id
        where c.agent_id = any(${agentIds as string[]}::uuid[]) and (
          (c.type = 'host' and c.source = 'agent'
            and (c.status <> 'resolved' or c.resolved_at > now() - ${CAUSE_AGE}::interval))
          or (c.status <> 'resolved' and c.parent_id is null and c.analysis->>'category' = 'disk_full'))
        order by kind desc, case when c.type = 'host' and c.source = 'agent' then -c.id else c.id end limit ${CAUSES_MAX}`;
    },

    /** Ties incidents to their causes; both change, so that their messages are edited. */
    async attach(tx: TransactionSql, links: readonly { id: number; causeId: number; reason: string }[]): Promise<void> {
      if (links.length === 0) return;
      await tx`
        update incidents i set parent_id = l.cause_id, updated_at = now(),
          reason = case when i.status = 'resolved' then i.reason else l.reason end
        from unnest(${links.map((l) => l.id)}::int[], ${links.map((l) => l.causeId)}::int[],
          ${links.map((l) => l.reason)}::text[]) l (id, cause_id, reason)
        where i.id = l.id and i.parent_id is null`;
      await tx`
        update incidents set updated_at = now() where id = any(${[...new Set(links.map((l) => l.causeId))]}::int[])`;
    },

    /** One row for an incident and an outlet: a new one, or the one that was withheld so far. */
    async write(tx: TransactionSql, verdicts: readonly Verdict[]): Promise<void> {
      if (verdicts.length === 0) return;
      await tx`
        insert into announcements (kind, incident_id, outlet, state, why, digest_id)
        select 'incident', v.incident_id, v.outlet, v.state, v.why, v.digest_id
        from unnest(${verdicts.map((v) => v.incidentId)}::int[], ${verdicts.map((v) => v.outlet)}::text[],
          ${verdicts.map((v) => v.state)}::text[], ${verdicts.map((v) => v.why)}::text[],
          ${verdicts.map((v) => v.digestId)}::bigint[]) v (incident_id, outlet, state, why, digest_id)
        on conflict (incident_id, outlet, kind, subject) do update
          set state = excluded.state, why = excluded.why, digest_id = excluded.digest_id, created_at = now(),
            next_attempt_at = now()
          where announcements.state = 'withheld' and announcements.digest_id is null
            and (announcements.state, announcements.why) is distinct from (excluded.state, excluded.why)`;
    },

    async note(tx: TransactionSql, notes: readonly { id: number; kind: string; data: object }[]): Promise<void> {
      if (notes.length === 0) return;
      await tx`
        insert into events (kind, actor, agent_id, incident_id, data)
        select n.kind, 'system', i.agent_id, i.id, n.data::jsonb
        from unnest(${notes.map((n) => n.id)}::int[], ${notes.map((n) => n.kind)}::text[],
          ${notes.map((n) => JSON.stringify(n.data))}::text[]) n (id, kind, data)
        join incidents i on i.id = n.id`;
    },

    /**
     * Of incidents that people were told of already: the silences that ended since, to be said beneath the message. Each is
     * said once.
     */
    async findEndedSilences(
      tx: TransactionSql,
      ids: readonly number[],
    ): Promise<{ incidentId: number; silenceId: string; reason: string }[]> {
      return tx`
        select distinct on (e.incident_id) e.incident_id as "incidentId", e.data->>'silence_id' as "silenceId",
          e.data->>'reason' as reason
        from events e join announcements a on a.incident_id = e.incident_id and a.kind = 'incident' and a.subject = ''
        where e.incident_id = any(${ids as number[]}::int[]) and e.kind = 'silence.ended' and a.state = 'sent'
          and e.at > a.sent_at
        order by e.incident_id, e.id desc`;
    },
  };
}

export type DecideStore = ReturnType<typeof createDecideStore>;
