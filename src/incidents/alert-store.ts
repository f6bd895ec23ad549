import type { TransactionSql } from "postgres";
import { tellChanged } from "../db/changes.ts";
import { type CopyColumn, copyRows, int, moment, text, uuid } from "../db/copy.ts";
import { allSent } from "../db/pipeline.ts";
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

/**
 * Writes a plan, and touches what shows the incidents that it ends. `follow` does what follows from those that opened. Ids for these are
 * drawn first, one each, so that every other row can name them; nothing else draws from the sequence. All else is sent at once, and
 * what changes before what opens: of a fingerprint one incident is open at a time.
 */
export async function writePlan(
  tx: TransactionSql,
  plan: GroupingPlan,
  follow: (opened: readonly number[]) => Promise<void>,
): Promise<void> {
  if (plan.alerts.length === 0) return;
  const changed = plan.changed.map(({ id }) => id);
  const ending = plan.changed.filter(({ resolvedAt }) => resolvedAt !== null).map(({ id }) => id);
  const locked = ending.length > 0 ? await lockIncidents(tx, changed, ending) : [];
  const ids = await drawIds(tx, plan.opened.length);
  const idOf = (incident: IncidentRef | null) => {
    if (incident === null) return null;
    return "id" in incident ? incident.id : (ids[incident.opened - 1] ?? null);
  };
  const opening = plan.opened.map((one, at) => ({ ...one, id: ids[at] ?? null }));
  await allSent([
    change(tx, plan.changed, idOf),
    copyRows(tx, "incidents", incidentColumns(idOf), opening),
    copyRows(tx, "alerts", alertColumns(idOf), plan.alerts),
    note(tx, plan.events, idOf),
    touchRelatives(tx, ending, locked),
    changed.length > 0
      ? wakeFollowers(tx, [...new Set([...changed, ...locked, ...ids])])
      : tellChanged(tx, "incidents", ids),
    ids.length > 0 ? follow(ids) : Promise.resolve(),
  ]);
}

type IdOf = (incident: IncidentRef | null) => number | null;

async function drawIds(tx: TransactionSql, count: number): Promise<number[]> {
  if (count === 0) return [];
  // One row of text costs the driver a fraction of what thousands of rows do.
  const [drawn] = await tx<{ ids: string }[]>`
    select string_agg(id::text, ',' order by id) as ids
    from (select nextval('incidents_id_seq') as id from generate_series(1, ${count}::int)) drawn`;
  return drawn?.ids.split(",").map(Number) ?? [];
}

type Opening = GroupingPlan["opened"][number] & { readonly id: number | null };

function incidentColumns(idOf: IdOf): readonly CopyColumn<Opening>[] {
  return [
    int("id", ({ id }) => id),
    text("origin", ({ alert }) => alert.origin),
    uuid("agent_id", ({ alert }) => alert.agentId),
    text("type", ({ alert }) => alert.type),
    text("source", ({ alert }) => alert.source),
    uuid("fingerprint", ({ alert }) => alert.fingerprint),
    text("severity", ({ severity }) => severity),
    int("exit_code", ({ alert }) => alert.exitCode),
    text("raw_error", ({ alert }) => alert.rawError),
    int("message_chars", ({ alert }) => alert.messageChars),
    int("occurrences", ({ occurrences }) => occurrences),
    moment("last_seen_at", ({ lastSeenAt }) => lastSeenAt),
    moment("resolved_at", ({ resolvedAt }) => resolvedAt),
    text("reason", ({ reason }) => reason),
    text("status", ({ resolvedAt }) => (resolvedAt === null ? "new" : "resolved")),
    int("previous_id", ({ previous }) => idOf(previous)),
    int("next_id", ({ next }) => idOf(next)),
  ];
}

function alertColumns(idOf: IdOf): readonly CopyColumn<GroupingPlan["alerts"][number]>[] {
  const ofResolution = (name: "origin" | "type" | "source") =>
    text(name, ({ alert }: GroupingPlan["alerts"][number]) => (alert.state === "resolved" ? alert[name] : null));
  return [
    uuid("uuid", ({ alert }) => alert.uuid),
    uuid("agent_id", ({ alert }) => alert.agentId),
    text("message_id", ({ alert }) => alert.messageId),
    int("incident_id", ({ incident }) => idOf(incident)),
    text("state", ({ alert }) => alert.state),
    text("severity", ({ alert }) => alert.severity),
    int("exit_code", ({ alert }) => alert.exitCode),
    moment("occurred_at", ({ alert }) => alert.occurredAt),
    moment("received_at", ({ alert }) => alert.receivedAt),
    ofResolution("origin"),
    ofResolution("type"),
    ofResolution("source"),
    text("raw_error", ({ alert, isFirst }) => (isFirst ? null : alert.rawError)),
  ];
}

async function change(tx: TransactionSql, changed: GroupingPlan["changed"], idOf: IdOf): Promise<void> {
  if (changed.length === 0) return;
  await tx`
    update incidents i set occurrences = i.occurrences + c.add_occurrences,
      last_seen_at = greatest(i.last_seen_at, to_timestamp(c.last_seen_at / 1000)), severity = c.severity,
      status = case when c.resolved_at is null then i.status else 'resolved' end,
      resolved_at = coalesce(to_timestamp(c.resolved_at / 1000), i.resolved_at), reason = coalesce(c.reason, i.reason),
      next_id = coalesce(c.next_id, i.next_id), revision = i.revision + 1, updated_at = now()
    from (
      select l.id, t.add_occurrences, t.last_seen_at, t.severity, t.resolved_at, t.reason, t.next_id
      from unnest(
        ${changed.map((c) => c.id)}::int[], ${changed.map((c) => c.addOccurrences)}::int[],
        ${changed.map((c) => c.lastSeenAt)}::float8[], ${changed.map((c) => c.severity)}::text[],
        ${changed.map((c) => c.resolvedAt)}::float8[], ${changed.map((c) => c.reason)}::text[],
        ${changed.map((c) => idOf(c.next))}::int[]
      ) t (id, add_occurrences, last_seen_at, severity, resolved_at, reason, next_id)
      join incidents l on l.id = t.id
      order by l.id for no key update of l) c
    where i.id = c.id`;
}

async function note(tx: TransactionSql, events: GroupingPlan["events"], idOf: IdOf): Promise<void> {
  if (events.length === 0) return;
  await tx`
    insert into events (at, kind, actor, agent_id, incident_id)
    select to_timestamp(e.at / 1000), e.kind, 'agent', e.agent_id, e.incident_id
    from unnest(
      ${events.map((e) => e.at)}::float8[], ${events.map((e) => e.kind)}::text[], ${events.map((e) => e.agentId)}::uuid[],
      ${events.map((e) => idOf(e.incident))}::int[]
    ) e (at, kind, agent_id, incident_id)`;
}

function column<K extends keyof IncomingAlert>(alerts: readonly IncomingAlert[], key: K): IncomingAlert[K][] {
  return alerts.map((alert) => alert[key]);
}

function distinct<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
