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
/** An agent that has just begun does not see yet. */
const BLIND_FOR = "1 min";

/** Asks it. */
export async function readDatabaseFacts(sql: Sql): Promise<DatabaseFacts> {
  const [row] = await sql<
    { version: string; now: number; tables: boolean; quarantine: boolean; collectors: boolean }[]
  >`
    select current_setting('server_version') as version, to_regclass('nodes') is not null as tables,
      to_regclass('quarantine') is not null as quarantine, to_regclass('collectors') is not null as collectors,
      extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database said nothing of itself");
  if (!row.tables) return { version: row.version, nowMs: row.now, nodes: null, quarantine: null, blind: [] };
  const [live] = await sql<{ nodes: number }[]>`select count(*)::int as nodes from nodes where lease_until > now()`;
  const quarantine = row.quarantine ? await readQuarantine(sql) : null;
  const blind = row.collectors ? await readBlind(sql) : [];
  return { version: row.version, nowMs: row.now, nodes: live?.nodes ?? 0, quarantine, blind };
}

async function readBlind(sql: Sql): Promise<BlindFacts[]> {
  return sql<BlindFacts[]>`
    select coalesce(a.hostname, 'agent ' || a.id) as host, c.name, c.since, coalesce(c.why, '') as why
    from collectors c join agents a on a.id = c.agent_id
    where c.state = 'cannot' and c.since < now() - ${BLIND_FOR}::interval and a.status = 'online' and a.deleted_at is null
    order by c.since limit ${BLIND_MAX}`;
}

async function readQuarantine(sql: Sql): Promise<QuarantineFacts | null> {
  const [newest] = await sql<QuarantineFacts[]>`
    select at as "newestAt", left(split_part(error, chr(10), 1), ${ERROR_CHARS_MAX}) as error,
      (select count(*)::int from quarantine) as count
    from quarantine order by id desc limit 1`;
  return newest ?? null;
}
