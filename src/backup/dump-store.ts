import { getTableName, is } from "drizzle-orm";
import { PgTable } from "drizzle-orm/pg-core";
import type { TransactionSql } from "postgres";
import type { Database } from "../db/client.ts";
import { readLastMigration } from "../db/migrate.ts";
import { DECLARED } from "../db/tables.ts";
import type { Layout } from "../db/target.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import type { ArchiveSource, TableSource } from "./archive.ts";
import { FORMAT, type Kind, type SequenceEntry } from "./model.ts";

/** Of pg-boss: what was still to be done, and the queues that it belongs to. */
const JOB_TABLES = ["queue", "job"];
const UNDONE = "state in ('created', 'retry', 'active')";

/** When and by whom a backup is made. */
export interface Maker {
  readonly version: string;
  readonly nowMs: number;
}

/** The names of all our tables, in order. */
export function ownTables(): string[] {
  return Object.values<unknown>(DECLARED)
    .filter((one) => is(one, PgTable))
    .map((table) => getTableName(table as PgTable))
    .sort();
}

/**
 * Lends the whole database, as it is at one moment, to who writes it down; who writes to it meanwhile is not held up. Throws a
 * StartupError when it has no tables.
 */
export async function withSnapshot<T>(
  database: Database,
  maker: Maker,
  use: (source: ArchiveSource) => Promise<T>,
): Promise<T> {
  const session = database.createSession({ applicationName: "opspilot backup", statementLimitMs: 0 });
  const failed: { error?: unknown } = {};
  const work = session.begin("isolation level repeatable read read only", async (tx) => {
    try {
      return await use(await describe(tx, database.layout, maker));
    } catch (error) {
      failed.error = error;
      // A table of which not all is read would be sent to its end first.
      await session.end({ timeout: 0 });
      throw error;
    }
  });
  try {
    return (await work) as T;
  } catch (error) {
    throw failed.error ?? error;
  } finally {
    await session.end({ timeout: 1 });
  }
}

async function describe(tx: TransactionSql, layout: Layout, { version, nowMs }: Maker): Promise<ArchiveSource> {
  const [server] = await tx<{ version: string }[]>`select current_setting('server_version') as version`;
  const migration = await readLastMigration(tx, layout);
  if (migration === 0)
    throw new StartupError("there is nothing to back up: the database has no tables", ExitCode.config);
  const own = await tablesOf(tx, "tables", layout.tables, ownTables());
  const jobs = await tablesOf(tx, "jobs", layout.jobs, JOB_TABLES);
  return {
    preface: {
      format: FORMAT,
      opspilot: version,
      made_at: new Date(nowMs).toISOString(),
      postgres: server?.version ?? "",
      migration,
    },
    tables: [...own, ...jobs],
    sequences: await sequencesOf(tx, layout.tables, ownTables()),
  };
}

/** Those that are there: a database of a former version has fewer. In the order of the names. */
async function tablesOf(
  tx: TransactionSql,
  kind: Kind,
  schema: string,
  names: readonly string[],
): Promise<TableSource[]> {
  const rows = await tx<{ name: string; columns: string[] }[]>`
    select c.relname::text as name, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where n.nspname = ${schema} and c.relname = any(${names as string[]}::text[]) and c.relkind in ('r', 'p')
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    group by c.relname order by array_position(${names as string[]}::text[], c.relname::text)`;
  return rows.map(({ name, columns }) => ({
    kind,
    name,
    columns,
    rows: () => copyOut(tx, kind, schema, name, columns),
  }));
}

async function copyOut(
  tx: TransactionSql,
  kind: Kind,
  schema: string,
  name: string,
  columns: readonly string[],
): Promise<AsyncIterable<Uint8Array>> {
  const list = columns.map(quoted).join(", ");
  const where = kind === "jobs" && name === "job" ? ` where ${UNDONE}` : "";
  return tx.unsafe(`copy (select ${list} from ${quoted(schema)}.${quoted(name)}${where}) to stdout`).readable();
}

/** They stand beside the snapshot, and may only be further on. */
async function sequencesOf(tx: TransactionSql, schema: string, names: readonly string[]): Promise<SequenceEntry[]> {
  const rows = await tx<SequenceEntry[]>`
    select t.relname::text as "table", a.attname::text as "column", pg_sequence_last_value(s.oid)::text as last
    from pg_class s join pg_depend d on d.objid = s.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      join pg_class t on t.oid = d.refobjid join pg_namespace n on n.oid = t.relnamespace
      join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    where s.relkind = 'S' and n.nspname = ${schema} and t.relname = any(${names as string[]}::text[]) order by 1, 2`;
  return rows.map(({ table, column, last }) => ({ table, column, last }));
}

/** An identifier in quotes. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
