import type { PendingQuery, Row, Sql } from "postgres";
import type { Database } from "../db/client.ts";

/** Rows of one kind are counted up to this: a scrape stays cheap, and who has more than that needs no exact number. */
const COUNTED_MAX = 10_000;

/** Each is up to three series. */
const PROBES_MAX = 5_000;
const PROBE_NAME_CHARS_MAX = 200;

/** What waits in a queue of jobs. */
interface QueueState {
  queue: string;
  waiting: number;
  active: number;
  /** In the dead letters: handed on to be given up, and not looked at yet. */
  failed: number;
  /** Since the first job that waits was due, seconds. */
  lateS: number;
}

/** How many rows there are of what a label says. */
interface Counted<Label extends string> {
  label: Label;
  n: number;
}

/** How a check of a host's stands, as its agent said last. */
interface ProbeState {
  agent: string;
  host: string;
  check: string;
  up: boolean;
  tookMs: number | null;
  /** When the first certificate of the chain ends, Unix seconds. */
  certificateEnds: number | null;
}

/** What the database says of all nodes together. */
export interface SharedState {
  queues: readonly QueueState[];
  incidents: readonly (Counted<string> & { severity: string })[];
  commands: readonly Counted<"pending" | "sent">[];
  agents: Record<"online" | "offline" | "lost" | "sharing", number>;
  blind: number;
  probes: readonly ProbeState[];
  decisions: number;
  decisionsLateS: number;
  sessions: number;
  silences: number;
  nodes: number;
  quarantined: number;
  modelCallsToday: number;
  /** Since the oldest alert came that is kept; 0 where there is none. */
  oldestAlertS: number;
  databaseBytes: number;
}

/** Reads it, each part by an index and up to a limit: however much is kept, it takes milliseconds. */
export async function readSharedState(
  { sql, layout }: Pick<Database, "sql" | "layout">,
  { queues, modelCallsMax }: { queues: readonly string[]; modelCallsMax: number },
): Promise<SharedState> {
  const [jobs, incidents, commands, agents, probes, rest] = await Promise.all([
    readQueues(sql, layout.jobs, queues),
    sql<(Counted<string> & { severity: string })[]>`
      select status as label, coalesce(severity, 'none') as severity, count(*)::int as n
      from (select status, severity from incidents where status <> 'resolved' limit ${COUNTED_MAX}) i group by 1, 2`,
    sql<Counted<"pending" | "sent">[]>`
      select status as label, count(*)::int as n
      from (select status from commands where status in ('pending', 'sent') limit ${COUNTED_MAX}) c group by 1`,
    sql<SharedState["agents"][]>`
      select count(*) filter (where status = 'online')::int as online, count(*) filter (where status <> 'online')::int as offline,
        count(*) filter (where lost_since is not null)::int as lost,
        count(*) filter (where shared_since is not null and shared_until is null)::int as sharing
      from agents where deleted_at is null`,
    readProbes(sql),
    readRest(sql, modelCallsMax),
  ]);
  const [fleet = { online: 0, offline: 0, lost: 0, sharing: 0 }] = agents;
  return { queues: jobs, incidents, commands, agents: fleet, probes, ...rest };
}

function readQueues(sql: Sql, schema: string, queues: readonly string[]): Promise<readonly QueueState[]> {
  const job = sql`${sql(schema)}.job`;
  return sql<QueueState[]>`
    select q.name as queue, w.n as waiting, a.n as active, f.n as failed,
      greatest(0, coalesce(extract(epoch from now() - w.due), 0))::float8 as "lateS"
    from unnest(${queues as string[]}::text[]) q (name),
      lateral (select count(*)::int as n, min(start_after) as due from (
        select start_after from ${job} where name = q.name and state < 'active' and not blocked
        order by start_after limit ${COUNTED_MAX}) j) w,
      lateral (select count(*)::int as n from (
        select from ${job} where name = q.name and state = 'active' limit ${COUNTED_MAX}) j) a,
      lateral (select count(*)::int as n from (
        select from ${job} where name = q.name || '.dead' and state < 'completed' limit ${COUNTED_MAX}) j) f`;
}

/** Of agents that are there; what is in a heartbeat may be of any shape. */
function readProbes(sql: Sql): Promise<readonly ProbeState[]> {
  const numberIn = (key: string) => sql`case when jsonb_typeof(p->${key}) = 'number' then (p->>${key})::float8 end`;
  return sql<ProbeState[]>`
    select distinct on (agent, "check") agent, host, "check", up, "tookMs", "certificateEnds" from (
      select a.id as agent, coalesce(a.hostname, '') as host, left(p->>'name', ${PROBE_NAME_CHARS_MAX}) as "check", p->'up' = 'true' as up,
        ${numberIn("took_ms")} as "tookMs", ${numberIn("certificate_ends")} as "certificateEnds", nth
      from collectors c join agents a on a.id = c.agent_id,
        lateral jsonb_array_elements(case when jsonb_typeof(a.meta->'checks') = 'array' then a.meta->'checks' else '[]' end)
          with ordinality e (p, nth)
      where c.name = 'checks' and c.state <> 'off' and a.status = 'online' and a.deleted_at is null
        and jsonb_typeof(p->'name') = 'string' and jsonb_typeof(p->'up') = 'boolean'
      limit ${PROBES_MAX}) probes
    order by agent, "check", nth`;
}

type Rest = Omit<SharedState, "queues" | "incidents" | "commands" | "agents" | "probes">;

async function readRest(sql: Sql, modelCallsMax: number): Promise<Rest> {
  const upTo = (rows: PendingQuery<Row[]>, max = COUNTED_MAX) =>
    sql`(select count(*)::int from (${rows} limit ${max}) r)`;
  const [rest] = await sql<[Rest]>`
    select ${upTo(sql`select from collectors where blind_since is not null`)} as blind,
      ${upTo(sql`select from decisions where ended_at is null`)} as decisions,
      greatest(0, coalesce(extract(epoch from now() - (
        select min(due_at) from decisions where ended_at is null)), 0))::float8 as "decisionsLateS",
      ${upTo(sql`select from sessions where expires_at > now()`)} as sessions,
      ${upTo(sql`select from silences where ended_at is null and (until is null or until > now())`)} as silences,
      ${upTo(sql`select from nodes where lease_until > now()`)} as nodes,
      ${upTo(sql`select from quarantine`)} as quarantined,
      ${upTo(sql`select from model_calls where asked_at >= date_trunc('day', now(), 'UTC')`, modelCallsMax)} as "modelCallsToday",
      coalesce(extract(epoch from now() - (select received_at from alerts order by id limit 1)), 0)::float8 as "oldestAlertS",
      pg_database_size(current_database())::float8 as "databaseBytes"`;
  return rest;
}
