import type { TransactionSql } from "postgres";
import { tellChanged } from "../db/changes.ts";
import {
  type EndedIncident,
  type GroupingFacts,
  type GroupingPlan,
  type IncidentRef,
  type IncomingAlert,
  type OpenIncident,
  type PastResolution,
  RESOLVED_BY_AGENT,
  subjectOf,
} from "./grouping.ts";
import { lockIncidents, touchRelatives, wakeFollowers } from "./write-store.ts";

/** What the database knows that decides about these alerts. The caller holds the agents' locks. */
export async function readFacts(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<GroupingFacts> {
  const firing = alerts.filter((alert) => alert.state === "firing");
  const resolving = alerts.filter((alert) => alert.state === "resolved");
  // Only an alert that happened before it was received can have been overtaken by a resolution.
  const late = firing.filter((alert) => alert.occurredAt < alert.receivedAt);
  const [stored, joinable, closable, resolutions, ended] = await Promise.all([
    findStored(sql, alerts),
    findJoinable(sql, distinct(firing, problemOf)),
    resolving.length > 0 ? findClosable(sql, distinct(resolving, subjectOf)) : [],
    late.length > 0 ? findResolutions(sql, distinct(late, problemOf)) : [],
    firing.length > 0 ? findEnded(sql, distinct(firing, problemOf)) : [],
  ]);
  return { storedUuids: new Set(stored), open: distinct([...joinable, ...closable], problemOf), resolutions, ended };
}

const problemOf = ({ fingerprint }: { fingerprint: string }) => fingerprint;

async function findStored(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<string[]> {
  const rows = await sql<{ uuid: string }[]>`
    select a.uuid from unnest(${alerts.map((alert) => alert.uuid)}::uuid[]) k (uuid)
    cross join lateral (select uuid from alerts where uuid = k.uuid limit 1) a`;
  return rows.map((row) => row.uuid);
}

// `cross join lateral … limit 1` holds the planner to one index look-up a key, whatever it believes of the table's size.
async function findJoinable(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<OpenIncident[]> {
  return sql<OpenIncident[]>`
    select i.* from unnest(${column(alerts, "agentId")}::uuid[], ${column(alerts, "type")}::text[],
      ${column(alerts, "source")}::text[], ${column(alerts, "fingerprint")}::uuid[]) k (agent_id, type, source, fingerprint)
    cross join lateral (
      select ${openColumns(sql)} from incidents i
      where agent_id = k.agent_id and type = k.type and source = k.source and fingerprint = k.fingerprint
        and status <> 'resolved' limit 1) i`;
}

/** Beyond now by more than clocks differ: until it is brought back (db/set-back.ts) nothing is decided by it. */
function isAhead(sql: TransactionSql, of: string) {
  return sql`${sql(of)} > clock_timestamp() + interval '1 s'`;
}

async function findClosable(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<OpenIncident[]> {
  const lastSeenAt = sql`
    case when ${isAhead(sql, "i.last_seen_at")} then 0 else extract(epoch from i.last_seen_at)::float8 * 1000 end`;
  return sql<OpenIncident[]>`
    select ${openColumns(sql, lastSeenAt)}
    from unnest(${column(alerts, "agentId")}::uuid[], ${column(alerts, "type")}::text[], ${column(alerts, "source")}::text[],
      ${column(alerts, "origin")}::text[]) k (agent_id, type, source, origin)
    join incidents i on i.agent_id = k.agent_id and i.type = k.type and i.source = k.source and i.origin = k.origin
      and i.status <> 'resolved'
    order by i.id`;
}

/** What waited on its host occurred before its incident was made. */
const openColumns = (sql: TransactionSql, lastSeenAt = sql`extract(epoch from i.last_seen_at)::float8 * 1000`) => sql`
  i.id, i.origin, i.agent_id as "agentId", i.type, i.source, i.fingerprint, i.severity,
  ${lastSeenAt} as "lastSeenAt",
  extract(epoch from least(i.created_at, i.last_seen_at))::float8 * 1000 as "openedAt",
  exists (select from events e where e.incident_id = i.id and e.kind = 'flapping') as "isFlapping"`;

/** The last of each problem, where its agent reported it as over. */
async function findEnded(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<EndedIncident[]> {
  return sql<EndedIncident[]>`
    select k.fingerprint, i."openedAt" from unnest(${column(alerts, "fingerprint")}::uuid[]) k (fingerprint)
    cross join lateral (
      select reason, extract(epoch from least(created_at, last_seen_at))::float8 * 1000 as "openedAt" from incidents
      where fingerprint = k.fingerprint and status = 'resolved' order by fingerprint, id desc limit 1) i
    where i.reason = ${RESOLVED_BY_AGENT}`;
}

async function findResolutions(sql: TransactionSql, alerts: readonly IncomingAlert[]): Promise<PastResolution[]> {
  const rows = await sql<
    (Pick<OpenIncident, "origin" | "agentId" | "type" | "source"> & Omit<PastResolution, "subject">)[]
  >`
    select k.origin, k.agent_id as "agentId", k.type, k.source, k.fingerprint, r.occurred_at as "occurredAt", i.id as "incidentId"
    from unnest(${column(alerts, "origin")}::text[], ${column(alerts, "agentId")}::uuid[], ${column(alerts, "type")}::text[],
      ${column(alerts, "source")}::text[], ${column(alerts, "fingerprint")}::uuid[]) k (origin, agent_id, type, source, fingerprint)
    cross join lateral (
      select extract(epoch from occurred_at)::float8 * 1000 as occurred_at from alerts
      where state = 'resolved' and agent_id = k.agent_id and type = k.type and source = k.source and origin = k.origin
        and not ${isAhead(sql, "occurred_at")}
      order by alerts.occurred_at desc limit 1) r
    left join lateral (
      select id from incidents
      where agent_id = k.agent_id and type = k.type and source = k.source and origin = k.origin and status = 'resolved'
      order by fingerprint = k.fingerprint desc, id desc limit 1) i on true`;
  return rows.map((row) => ({ ...row, subject: subjectOf(row) }));
}

/** Writes a plan, and touches what shows the incidents that it ends. Returns the ids of those that opened. */
export async function writePlan(tx: TransactionSql, plan: GroupingPlan): Promise<number[]> {
  if (plan.alerts.length === 0) return [];
  const changed = plan.changed.map(({ id }) => id);
  const ending = plan.changed.filter(({ resolvedAt }) => resolvedAt !== null).map(({ id }) => id);
  const locked = ending.length > 0 ? await lockIncidents(tx, changed, ending) : [];
  const opened = await writeRows(tx, plan);
  await touchRelatives(tx, ending, locked);
  if (changed.length > 0) await wakeFollowers(tx, [...new Set([...changed, ...locked, ...opened])]);
  else await tellChanged(tx, "incidents", opened);
  return opened;
}

/**
 * Writes all in one statement. Ids for the incidents that open are drawn first, one each, so that rows of the same
 * statement can name them; nothing else draws from the sequence.
 */
async function writeRows(sql: TransactionSql, plan: GroupingPlan): Promise<number[]> {
  const { opened, changed, alerts, events } = plan;
  const [drawn] = await sql<{ ids: string | null }[]>`
    with ids as materialized (
      select no, nextval('incidents_id_seq')::int as id from generate_series(1, ${opened.length}::int) no),
    opening as (
      insert into incidents (id, origin, agent_id, type, source, fingerprint, severity, exit_code, raw_error, message_chars,
        occurrences, last_seen_at, resolved_at, reason, status, previous_id, next_id)
      select ids.id, o.origin, o.agent_id, o.type, o.source, o.fingerprint, o.severity, o.exit_code, o.raw_error, o.message_chars,
        o.occurrences, to_timestamp(o.last_seen_at / 1000), to_timestamp(o.resolved_at / 1000), o.reason,
        case when o.resolved_at is null then 'new' else 'resolved' end,
        coalesce(o.previous_id, previous.id), following.id
      from unnest(${opened.map((o) => o.alert.origin)}::text[],
        ${opened.map((o) => o.alert.agentId)}::uuid[], ${opened.map((o) => o.alert.type)}::text[],
        ${opened.map((o) => o.alert.source)}::text[], ${opened.map((o) => o.alert.fingerprint)}::uuid[],
        ${opened.map((o) => o.severity)}::text[], ${opened.map((o) => o.alert.exitCode)}::int[],
        ${opened.map((o) => o.alert.rawError)}::text[], ${opened.map((o) => o.alert.messageChars)}::int[],
        ${opened.map((o) => o.occurrences)}::int[], ${opened.map((o) => o.lastSeenAt)}::float8[],
        ${opened.map((o) => o.resolvedAt)}::float8[], ${opened.map((o) => o.reason)}::text[],
        ${opened.map((o) => existing(o.previous))}::int[], ${opened.map((o) => ordinal(o.previous))}::int[],
        ${opened.map((o) => ordinal(o.next))}::int[]
      ) with ordinality o (origin, agent_id, type, source, fingerprint, severity, exit_code, raw_error, message_chars, occurrences,
        last_seen_at, resolved_at, reason, previous_id, previous_no, next_no, no)
      join ids on ids.no = o.no
      left join ids previous on previous.no = o.previous_no
      left join ids following on following.no = o.next_no),
    changing as (
      update incidents i set occurrences = i.occurrences + c.add_occurrences,
        last_seen_at = greatest(i.last_seen_at, to_timestamp(c.last_seen_at / 1000)), severity = c.severity,
        status = case when c.resolved_at is null then i.status else 'resolved' end,
        resolved_at = coalesce(to_timestamp(c.resolved_at / 1000), i.resolved_at), reason = coalesce(c.reason, i.reason),
        next_id = coalesce(c.next_id, c.following_id, i.next_id), revision = i.revision + 1, updated_at = now()
      from (
        select l.id, t.add_occurrences, t.last_seen_at, t.severity, t.resolved_at, t.reason, t.next_id, following.id as following_id
        from unnest(
        ${changed.map((c) => c.id)}::int[], ${changed.map((c) => c.addOccurrences)}::int[],
        ${changed.map((c) => c.lastSeenAt)}::float8[], ${changed.map((c) => c.severity)}::text[],
        ${changed.map((c) => c.resolvedAt)}::float8[], ${changed.map((c) => c.reason)}::text[],
        ${changed.map((c) => existing(c.next))}::int[], ${changed.map((c) => ordinal(c.next))}::int[]
        ) t (id, add_occurrences, last_seen_at, severity, resolved_at, reason, next_id, next_no)
        join incidents l on l.id = t.id
        left join ids following on following.no = t.next_no
        order by l.id for no key update of l) c
      where i.id = c.id),
    noting as (
      insert into events (at, kind, actor, agent_id, incident_id)
      select to_timestamp(e.at / 1000), e.kind, 'agent', e.agent_id, coalesce(e.incident_id, ids.id)
      from unnest(
        ${events.map((e) => e.at)}::float8[], ${events.map((e) => e.kind)}::text[], ${events.map((e) => e.agentId)}::uuid[],
        ${events.map((e) => existing(e.incident))}::int[], ${events.map((e) => ordinal(e.incident))}::int[]
      ) e (at, kind, agent_id, incident_id, incident_no)
      left join ids on ids.no = e.incident_no),
    storing as (
    insert into alerts (uuid, agent_id, message_id, incident_id, state, severity, exit_code, occurred_at, received_at,
      origin, type, source, raw_error)
    select a.uuid, a.agent_id, a.message_id, coalesce(a.incident_id, ids.id), a.state, a.severity, a.exit_code,
      to_timestamp(a.occurred_at / 1000), to_timestamp(a.received_at / 1000), a.origin, a.type, a.source, a.raw_error
    from unnest(
      ${alerts.map((a) => a.alert.uuid)}::uuid[], ${alerts.map((a) => a.alert.agentId)}::uuid[],
      ${alerts.map((a) => a.alert.messageId)}::text[], ${alerts.map((a) => existing(a.incident))}::int[],
      ${alerts.map((a) => ordinal(a.incident))}::int[], ${alerts.map((a) => a.alert.state)}::text[],
      ${alerts.map((a) => a.alert.severity)}::text[], ${alerts.map((a) => a.alert.exitCode)}::int[],
      ${alerts.map((a) => a.alert.occurredAt)}::float8[], ${alerts.map((a) => a.alert.receivedAt)}::float8[],
      ${alerts.map((a) => (a.alert.state === "resolved" ? a.alert.origin : null))}::text[],
      ${alerts.map((a) => (a.alert.state === "resolved" ? a.alert.type : null))}::text[],
      ${alerts.map((a) => (a.alert.state === "resolved" ? a.alert.source : null))}::text[],
      ${alerts.map((a) => (a.isFirst ? null : a.alert.rawError))}::text[]
    ) a (uuid, agent_id, message_id, incident_id, incident_no, state, severity, exit_code, occurred_at, received_at,
      origin, type, source, raw_error)
    left join ids on ids.no = a.incident_no
    on conflict (uuid) do nothing)
    select string_agg(id::text, ',' order by id) as ids from ids`;
  // One row of text costs the driver a fraction of what thousands of rows do.
  return drawn?.ids ? drawn.ids.split(",").map(Number) : [];
}

function existing(incident: IncidentRef | null): number | null {
  return incident !== null && "id" in incident ? incident.id : null;
}

function ordinal(incident: IncidentRef | null): number | null {
  return incident !== null && "opened" in incident ? incident.opened : null;
}

function column<K extends keyof IncomingAlert>(alerts: readonly IncomingAlert[], key: K): IncomingAlert[K][] {
  return alerts.map((alert) => alert[key]);
}

function distinct<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
