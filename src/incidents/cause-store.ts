/**
 * What follows from what: an incident of an agent that is lost, or of a host whose disk is full, is tied to the cause as it is
 * explained (`parent_id`), and mutes itself: people are told of the cause. What is still open five minutes after its cause was
 * resolved is told after all.
 */
import type { TransactionSql } from "postgres";
import { fileSystemsIn } from "./file-systems.ts";
import type { Candidate, IncidentOrigin, IncidentWriter, Mute, Muter } from "./model.ts";

/** Before the last sign of life: what went wrong then may be why the agent was lost. A full disk is told of a little late. */
const BEFORE_MS = 60_000;
/** What a program said of a full disk holds no longer, unless it says so again; a disk itself says when it has room. */
const FULL_FOR = "15 min";
/** After its cause was resolved, an incident has this long to end too. */
const GRACE_S = 300;

/** An agent's word for a file system without inodes left: its path, and this. */
const INODES = / \(inodes\)$/;

const OF_A_FULL_DISK: readonly string[] = ["disk_full", "data_corruption", "crash", "lock_conflict"];

/**
 * Ties those of these incidents to their causes that have one, in the transaction that explains them. `held`, where it is given,
 * names the rows that are locked: others are no causes now.
 */
export async function attachToCauses(
  tx: TransactionSql,
  ids: readonly number[],
  writer: Pick<IncidentWriter, "attach">,
  held?: ReadonlySet<number>,
): Promise<void> {
  const effects = await findEffects(tx, ids);
  const found = await findCauses(tx, [...new Set(effects.map(({ agentId }) => agentId))]);
  const causes = found.filter(({ id }) => held?.has(id) !== false);
  const links = effects.flatMap((effect) => {
    const cause = causeOf(effect, causes);
    return cause ? [{ id: effect.id, causeId: cause.id, reason: reasonOf(cause, effect) }] : [];
  });
  await writer.attach(tx, links);
}

/** Mutes what follows from another incident. */
export const consequencesMuter: Muter = {
  name: "consequences",
  async mutes(tx, incidents) {
    const consequences = incidents.filter(({ parentId }) => parentId !== null);
    if (consequences.length === 0) return new Map();
    const causeIds = consequences.map(({ parentId }) => parentId ?? 0);
    const states = await findCauseStates(tx, causeIds);
    return new Map(
      consequences.flatMap((one) => {
        const mute = muteOf(one, states.get(one.parentId ?? 0));
        return mute ? [[one.id, mute] as const] : [];
      }),
    );
  },
};

/** `overS` is how long ago the cause was resolved, null while it is open; undefined for a cause that is gone. */
function muteOf({ status, reason, parentId }: Candidate, overS: number | null | undefined): Mute | undefined {
  const isUndecided = status === "new" || status === "analyzed";
  const isLeft = overS === undefined || (overS !== null && overS >= GRACE_S);
  if (isUndecided && isLeft) return undefined;
  const isSaid = reason?.startsWith("consequence of incident") === true;
  const why = isSaid && reason !== null ? reason : `consequence of incident #${parentId}`;
  return typeof overS === "number" && isUndecided ? { why, againInS: GRACE_S - overS } : { why };
}

/** The cause that an incident follows from; undefined for one of its own. */
function causeOf(effect: Effect, causes: readonly Cause[]): Cause | undefined {
  if (isLoss(effect) || effect.parentId !== null) return undefined;
  return causes.find((one) => one.agentId === effect.agentId && isCauseOf(one, effect));
}

/** Whether the incident is that of a lost agent: only the server says so. */
function isLoss({ origin, type, source }: Effect): boolean {
  return origin === "server" && type === "host" && source === "agent";
}

function isCauseOf(cause: Cause, effect: Effect): boolean {
  if (cause.id === effect.id) return false;
  if (!isWithin(effect.occurredAt, cause)) return false;
  if (cause.kind === "lost") return true;
  const { category } = effect;
  if (isElsewhere(cause, effect)) return false;
  // Of two full disks the later one follows from the first.
  return category !== null && OF_A_FULL_DISK.includes(category) && (category !== "disk_full" || cause.id < effect.id);
}

/** Whether both name where they are, and that is not the same file system. What a container names is known to it alone. */
function isElsewhere(cause: Cause, effect: Effect): boolean {
  const full = cause.type === "host" ? new Set([cause.source.replace(INODES, "")]) : placesOf(cause, cause.mounts);
  const places = placesOf(effect, [...cause.mounts, ...full]);
  return full.size > 0 && places.size > 0 && full.isDisjointFrom(places);
}

function placesOf({ type, decisive }: Effect | Cause, mounts: readonly string[]): Set<string> {
  return type === "docker" || decisive === null ? new Set() : fileSystemsIn(decisive, mounts);
}

function isWithin(at: Date, { since, until }: Cause): boolean {
  const startMs = since.getTime() - BEFORE_MS;
  const endMs = until?.getTime() ?? Number.POSITIVE_INFINITY;
  return at.getTime() >= startMs && at.getTime() <= endMs;
}

function reasonOf(cause: Cause, { category }: Effect): string {
  const head = `consequence of incident #${cause.id}`;
  if (cause.kind === "full") return `${head}: a disk of this host is full, and ${category} is what follows from that`;
  const since = inWords(cause.since);
  if (cause.until === null) return `${head}: the agent has been silent since ${since}`;
  return `${head}: the agent was silent from ${since} to ${inWords(cause.until)}`;
}

/** "18:00:00 UTC". */
function inWords(at: Date): string {
  return `${at.toISOString().slice(11, 19)} UTC`;
}

/** Causes that are looked at for one batch. */
const CAUSES_MAX = 1_000;
/** An alert is taken to have happened at most 7 days before it came: so long a loss that is over can be a cause. */
const CAUSE_AGE = "7 days 1 hour";

/** An incident that may follow from another. */
interface Effect {
  id: number;
  origin: IncidentOrigin;
  agentId: string;
  type: string;
  source: string;
  category: string | null;
  decisive: string | null;
  parentId: number | null;
  /** When its first alert happened. */
  occurredAt: Date;
}

/** An incident that others may follow from. */
interface Cause {
  id: number;
  agentId: string;
  /** `lost`: the agent was not heard of; `full`: a disk of its host is full. */
  kind: "lost" | "full";
  type: string;
  /** Of a disk: where it is mounted. */
  source: string;
  decisive: string | null;
  /** Where the host's disks are mounted, as far as its agent said. */
  mounts: string[];
  /** Of a loss: the last sign of life. */
  since: Date;
  /** Of a loss: when the agent was back; of a full disk that a program told of: how long it is believed. Null while it lasts. */
  until: Date | null;
}

/** These incidents, as far as it matters for their causes. */
async function findEffects(tx: TransactionSql, ids: readonly number[]): Promise<Effect[]> {
  return tx<Effect[]>`
    select i.id, i.origin, i.agent_id as "agentId", i.type, i.source, i.analysis->>'category' as category,
      i.analysis->>'decisive' as decisive,
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

/**
 * What incidents of these agents may follow from; losses first, the newest before others. A disk that only will be full, or a
 * person's quota, brings nothing with it.
 */
async function findCauses(tx: TransactionSql, agentIds: readonly string[]): Promise<Cause[]> {
  return tx<Cause[]>`
    select c.id, c.agent_id as "agentId", case when c.origin = 'server' then 'lost' else 'full' end as kind,
      c.type, c.source, c.analysis->>'decisive' as decisive,
      array(select jsonb_path_query(a.meta, '$.metrics.disks[*].mount ? (@.type() == "string")') #>> '{}') as mounts,
      least(case when c.status <> 'resolved' then a.last_seen_at end,
        coalesce((select min(occurred_at) from alerts where incident_id = c.id and state = 'firing'), c.created_at)) as since,
      case when c.origin = 'server' then c.resolved_at when c.type <> 'host' then c.last_seen_at + ${FULL_FOR}::interval end as until
    from (${candidates(tx, agentIds)}) found join incidents c on c.id = found.id join agents a on a.id = c.agent_id
    where c.origin = 'server' or (case when c.type = 'host' then c.severity = 'critical' else c.raw_error !~* 'quota|edquot' end)
    order by kind desc, case when c.origin = 'server' then -c.id else c.id end limit ${CAUSES_MAX}`;
}

/**
 * Locks incidents that are to be explained, and at once all that explaining them may touch: the last resolved ones of their
 * fingerprints, and what they may follow from. One lock after the other would let two transactions wait for each other.
 */
export async function holdForExplaining(tx: TransactionSql, ids: readonly number[]): Promise<Set<number>> {
  const [agents] = await tx<{ ids: string[] }[]>`
    select array_agg(distinct agent_id) as ids from incidents where id = any(${ids as number[]}::int[])`;
  const rows = await tx<{ id: number }[]>`
    select id from incidents where id = any(array(
      select unnest(${ids as number[]}::int[])
      union select last.id from incidents mine cross join lateral (
        select id from incidents where fingerprint = mine.fingerprint and status = 'resolved' and id < mine.id
        order by fingerprint, id desc limit 1) last
      where mine.id = any(${ids as number[]}::int[])
      union (${candidates(tx, agents?.ids ?? [])})))
    order by id for no key update`;
  return new Set(rows.map(({ id }) => id));
}

/** For how many seconds these incidents have been resolved, null for those that are open; those that are gone are left out. */
async function findCauseStates(tx: TransactionSql, ids: readonly number[]): Promise<Map<number, number | null>> {
  const rows = await tx<{ id: number; overS: number | null }[]>`
    select id, case when status = 'resolved' then extract(epoch from now() - resolved_at)::float8 end as "overS"
    from incidents where id = any(${ids as number[]}::int[])`;
  return new Map(rows.map(({ id, overS }) => [id, overS]));
}
