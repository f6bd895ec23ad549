import type { Sql } from "postgres";

/** What a database says of itself. */
export interface DatabaseFacts {
  version: string;
  /** Its clock, Unix milliseconds. */
  nowMs: number;
  /** Null while there are no tables. */
  nodes: number | null;
  quarantine: QuarantineFacts | null;
  /** The hosts of each token that several use. */
  sharedTokens: string[][];
}

/** Frames that a fault of the server's own kept from being stored, if there are any. */
export interface QuarantineFacts {
  count: number;
  newestAt: Date;
  /** The newest one's first line. */
  error: string;
}

const ERROR_CHARS_MAX = 200;
/** Of which each is named; one who has more sees those once these are mended. */
const TOKENS_MAX = 20;

/** Asks it. */
export async function readDatabaseFacts(sql: Sql): Promise<DatabaseFacts> {
  const [row] = await sql<{ version: string; now: number; tables: boolean; quarantine: boolean; hosts: boolean }[]>`
    select current_setting('server_version') as version, to_regclass('token_hosts') is not null as hosts, to_regclass('nodes') is not null as tables,
      to_regclass('quarantine') is not null as quarantine,
      extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database said nothing of itself");
  if (!row.tables) return { version: row.version, nowMs: row.now, nodes: null, quarantine: null, sharedTokens: [] };
  const [live] = await sql<{ nodes: number }[]>`select count(*)::int as nodes from nodes where lease_until > now()`;
  const quarantine = row.quarantine ? await readQuarantine(sql) : null;
  const sharedTokens = row.hosts ? await readSharedTokens(sql) : [];
  return { version: row.version, nowMs: row.now, nodes: live?.nodes ?? 0, quarantine, sharedTokens };
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
