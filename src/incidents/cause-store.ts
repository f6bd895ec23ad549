import type { TransactionSql } from "postgres";
import type { IncidentOrigin } from "./model.ts";

/** Causes that are looked at for one batch. */
const CAUSES_MAX = 1_000;
/** An alert is taken to have happened at most 7 days before it came: so long a loss that is over can be a cause. */
const CAUSE_AGE = "7 days 1 hour";

/** An incident that may follow from another. */
export interface Effect {
  id: number;
  origin: IncidentOrigin;
  agentId: string;
  type: string;
  source: string;
  category: string | null;
  parentId: number | null;
  /** When its first alert happened. */
  occurredAt: Date;
}

/** An incident that others may follow from. */
export interface Cause {
  id: number;
  agentId: string;
  /** `lost`: the agent was not heard of; `full`: a disk of its host is full. */
  kind: "lost" | "full";
  /** Of a loss: the last sign of life. */
  since: Date;
  /** Of a loss: when the agent was back; null while it is lost, and of a full disk, which is open. */
  until: Date | null;
}

/** These incidents, as far as it matters for their causes. */
export async function findEffects(tx: TransactionSql, ids: readonly number[]): Promise<Effect[]> {
  return tx<Effect[]>`
    select i.id, i.origin, i.agent_id as "agentId", i.type, i.source, i.analysis->>'category' as category,
      i.parent_id as "parentId",
      coalesce((select min(occurred_at) from alerts where incident_id = i.id), i.created_at) as "occurredAt"
    from incidents i where i.id = any(${ids as number[]}::int[]) order by i.id`;
}

/** The incidents of these agents that others may follow from: losses of the last week, and full disks. */
const candidates = (tx: TransactionSql, agentIds: readonly string[]) => tx`
  select id from incidents where agent_id = any(${agentIds as string[]}::uuid[]) and origin = 'server' and type = 'host' and source = 'agent'
    and (status <> 'resolved' or resolved_at > now() - ${CAUSE_AGE}::interval)
  union all
  select id from incidents where agent_id = any(${agentIds as string[]}::uuid[]) and origin = 'agent' and parent_id is null
    and analysis->>'category' = 'disk_full' and status <> 'resolved'`;

/** What incidents of these agents may follow from; losses first, the newest before others. */
export async function findCauses(tx: TransactionSql, agentIds: readonly string[]): Promise<Cause[]> {
  return tx<Cause[]>`
    select c.id, c.agent_id as "agentId", case when c.origin = 'server' then 'lost' else 'full' end as kind,
      least(case when c.status <> 'resolved' then a.last_seen_at end,
        coalesce((select min(occurred_at) from alerts where incident_id = c.id and state = 'firing'), c.created_at)) as since,
      c.resolved_at as until
    from (${candidates(tx, agentIds)}) found join incidents c on c.id = found.id join agents a on a.id = c.agent_id
    order by kind desc, case when c.origin = 'server' then -c.id else c.id end limit ${CAUSES_MAX}`;
}

/**
 * Locks incidents that are to be explained, and at once all that explaining them may touch: the last resolved ones of their
 * fingerprints, and what they may follow from. One lock after the other would let two transactions wait for each other.
 */
export async function holdForExplaining(tx: TransactionSql, ids: readonly number[]): Promise<Set<number>> {
  const agents = await tx<{ id: string }[]>`
    select distinct agent_id as id from incidents where id = any(${ids as number[]}::int[])`;
  const rows = await tx<{ id: number }[]>`
    select id from incidents where id = any(array(
      select unnest(${ids as number[]}::int[])
      union select last.id from incidents mine cross join lateral (
        select id from incidents where fingerprint = mine.fingerprint and status = 'resolved' and id < mine.id
        order by fingerprint, id desc limit 1) last
      where mine.id = any(${ids as number[]}::int[])
      union (${candidates(
        tx,
        agents.map(({ id }) => id),
      )})))
    order by id for no key update`;
  return new Set(rows.map(({ id }) => id));
}

/** For how many seconds these incidents have been resolved, null for those that are open; those that are gone are left out. */
export async function findCauseStates(tx: TransactionSql, ids: readonly number[]): Promise<Map<number, number | null>> {
  const rows = await tx<{ id: number; overS: number | null }[]>`
    select id, case when status = 'resolved' then extract(epoch from now() - resolved_at)::float8 end as "overS"
    from incidents where id = any(${ids as number[]}::int[])`;
  return new Map(rows.map(({ id, overS }) => [id, overS]));
}
