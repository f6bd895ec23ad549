import type { Sql } from "postgres";

/** What a database says of itself. */
export interface DatabaseFacts {
  version: string;
  /** Its clock, Unix milliseconds. */
  nowMs: number;
  /** Null while there are no tables. */
  nodes: number | null;
}

/** Asks it. */
export async function readDatabaseFacts(sql: Sql): Promise<DatabaseFacts> {
  const [row] = await sql<{ version: string; now: number; tables: boolean }[]>`
    select current_setting('server_version') as version, to_regclass('public.nodes') is not null as tables,
      extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  if (!row) throw new Error("the database said nothing of itself");
  if (!row.tables) return { version: row.version, nowMs: row.now, nodes: null };
  const [live] = await sql<{ nodes: number }[]>`select count(*)::int as nodes from nodes where lease_until > now()`;
  return { version: row.version, nowMs: row.now, nodes: live?.nodes ?? 0 };
}
