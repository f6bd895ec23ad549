import type { Sql } from "postgres";

/** What a database says of itself. */
export interface DatabaseFacts {
  version: string;
  /** Its clock, Unix milliseconds. */
  nowMs: number;
  /** Null while there are no tables. */
  nodes: number | null;
  quarantine: QuarantineFacts | null;
  /** Those of connected agents that cannot see for a while, the ones that are blind for longest first. */
  blind: BlindFacts[];
  /** The hosts of each token that several use. */
  sharedTokens: string[][];
  /** Of the servers that run on it. */
  serverVersions: string[];
  agentVersions: VersionFacts[];
}

/** Connected agents of ours with one version. */
export interface VersionFacts {
  version: string;
  count: number;
  /** The name of one of their hosts. */
  host: string;
}

/** A collector that cannot see, on a host whose agent is connected. */
export interface BlindFacts {
  host: string;
  name: string;
  since: Date;
  why: string;
}

/** Frames that a fault of the server's own kept from being stored, if there are any. */
export interface QuarantineFacts {
  count: number;
  newestAt: Date;
  /** The newest one's first line. */
  error: string;
}

const ERROR_CHARS_MAX = 200;
const BLIND_MAX = 200;
const VERSIONS_MAX = 100;
/** An agent that has just begun does not see yet. */
const BLIND_FOR = "1 min";
/** Of which each is named; one who has more sees those once these are mended. */
const TOKENS_MAX = 20;

/** Which tables there are: an earlier version made fewer. */
interface Tables {
  nodes: boolean;
  quarantine: boolean;
  collectors: boolean;
  hosts: boolean;
}

/** Asks it. */
export async function readDatabaseFacts(sql: Sql): Promise<DatabaseFacts> {
  const [row] = await sql<({ version: string; nowMs: number } & Tables)[]>`
    select current_setting('server_version') as version, to_regclass('nodes') is not null as nodes,
      to_regclass('quarantine') is not null as quarantine, to_regclass('collectors') is not null as collectors,
      to_regclass('token_hosts') is not null as hosts,
      extract(epoch from clock_timestamp())::float8 * 1000 as "nowMs"`;
  if (!row) throw new Error("the database said nothing of itself");
  const { version, nowMs, ...tables } = row;
  return {
    version,
    nowMs,
    nodes: tables.nodes ? await countNodes(sql) : null,
    quarantine: tables.quarantine ? await readQuarantine(sql) : null,
    blind: tables.collectors ? await readBlind(sql) : [],
    sharedTokens: tables.hosts ? await readSharedTokens(sql) : [],
    serverVersions: tables.nodes ? await readServerVersions(sql) : [],
    agentVersions: tables.nodes ? await readAgentVersions(sql) : [],
  };
}

async function countNodes(sql: Sql): Promise<number> {
  const [live] = await sql<{ nodes: number }[]>`select count(*)::int as nodes from nodes where lease_until > now()`;
  return live?.nodes ?? 0;
}

async function readServerVersions(sql: Sql): Promise<string[]> {
  const rows = await sql<{ version: string }[]>`select distinct version from nodes where lease_until > now()`;
  return rows.map(({ version }) => version);
}

/** Only ours say how their spool is; see fleet/versions.ts. */
async function readAgentVersions(sql: Sql): Promise<VersionFacts[]> {
  return sql<VersionFacts[]>`
    select meta->>'version' as version, count(*)::int as count, min(coalesce(hostname, 'agent ' || id)) as host
    from agents where status = 'online' and deleted_at is null and meta->'spool' ? 'dropped_repeats'
      and jsonb_typeof(meta->'version') = 'string'
    group by 1 order by 1 limit ${VERSIONS_MAX}`;
}

async function readBlind(sql: Sql): Promise<BlindFacts[]> {
  return sql<BlindFacts[]>`
    select coalesce(a.hostname, 'agent ' || a.id) as host, c.name, c.since, coalesce(c.why, '') as why
    from collectors c join agents a on a.id = c.agent_id
    where c.state = 'cannot' and c.since < now() - ${BLIND_FOR}::interval and a.status = 'online' and a.deleted_at is null
    order by c.since limit ${BLIND_MAX}`;
}

async function readSharedTokens(sql: Sql): Promise<string[][]> {
  const rows = await sql<{ hosts: string[] }[]>`
    select array(select distinct coalesce(h.hostname, '(no name)') from token_hosts h
      where h.agent_id = a.id and h.returns > 0 order by 1) as hosts
    from agents a where a.shared_since is not null and a.shared_until is null and a.deleted_at is null
    order by a.shared_since limit ${TOKENS_MAX}`;
  return rows.map(({ hosts }) => hosts);
}

async function readQuarantine(sql: Sql): Promise<QuarantineFacts | null> {
  const [newest] = await sql<QuarantineFacts[]>`
    select at as "newestAt", left(split_part(error, chr(10), 1), ${ERROR_CHARS_MAX}) as error,
      (select count(*)::int from quarantine) as count
    from quarantine order by id desc limit 1`;
  return newest ?? null;
}
