import type { PendingQuery, Row } from "postgres";
import type { Database } from "../db/client.ts";
import { errorMessage } from "../lib/errors.ts";

/** What says how PostgreSQL works. Other settings may hold addresses and passwords. */
const POSTGRES_SETTINGS = [
  "autovacuum",
  "autovacuum_naptime",
  "checkpoint_timeout",
  "effective_cache_size",
  "fsync",
  "full_page_writes",
  "idle_in_transaction_session_timeout",
  "jit",
  "lock_timeout",
  "maintenance_work_mem",
  "max_connections",
  "max_locks_per_transaction",
  "max_wal_size",
  "random_page_cost",
  "server_encoding",
  "server_version",
  "shared_buffers",
  "statement_timeout",
  "synchronous_commit",
  "track_counts",
  "wal_compression",
  "wal_level",
  "work_mem",
];
/** Rows of one kind. */
const ROWS_MAX = 500;
/** So much of what there may be millions of is counted. */
const COUNTED_MAX = 100_000;
const STATEMENT_CHARS_MAX = 300;

type Rows = PendingQuery<Row[]>;

/** What a database says of how it does, by what it is about; a part that it does not tell says why. No row of a host is in it. */
export async function readDatabaseState({ sql, layout }: Pick<Database, "sql" | "layout">) {
  const schemas = [...new Set([layout.tables, layout.jobs])];
  const counted = (rows: Rows, ...by: string[]) => {
    const columns = by.map((name) => sql(name));
    const list = columns.reduce((all, one, at) => (at === 0 ? sql`${one}` : sql`${all}, ${one}`), sql``);
    return sql`select ${list}, count(*)::int as n from (${rows} limit ${COUNTED_MAX}) r group by ${list} order by ${list}`;
  };
  const parts: Record<string, Rows> = {
    settings: sql`select name, setting, unit, source from pg_settings where name = any(${POSTGRES_SETTINGS}::text[]) order by name`,
    database: sql`select numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted,
      tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, stats_reset,
      pg_database_size(current_database()) as size_bytes from pg_stat_database where datname = current_database()`,
    wal: sql`select * from pg_stat_wal`,
    tables: sql`select schemaname, relname, pg_total_relation_size(relid) as total_bytes, pg_relation_size(relid) as heap_bytes,
      n_live_tup, n_dead_tup, seq_scan, idx_scan, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, last_vacuum, last_autovacuum,
      last_analyze, last_autoanalyze from pg_stat_user_tables where schemaname = any(${schemas}::text[]) order by 3 desc limit ${ROWS_MAX}`,
    indexes: sql`select s.schemaname, s.relname, s.indexrelname, pg_relation_size(s.indexrelid) as bytes, s.idx_scan, s.idx_tup_read,
      i.indisvalid from pg_stat_user_indexes s join pg_index i on i.indexrelid = s.indexrelid
      where s.schemaname = any(${schemas}::text[]) order by 4 desc limit ${ROWS_MAX}`,
    sessions: sql`select application_name, state, wait_event_type, wait_event, extract(epoch from now() - xact_start)::int as transaction_s,
      extract(epoch from now() - query_start)::int as statement_s, left(query, ${STATEMENT_CHARS_MAX}) as statement
      from pg_stat_activity where usename = current_user and datname = current_database() limit ${ROWS_MAX}`,
    waiting_locks: sql`select locktype, mode, count(*)::int as n from pg_locks where not granted group by 1, 2`,
    nodes: sql`select version, started_at, extract(epoch from lease_until - now())::int as lease_s from nodes limit ${ROWS_MAX}`,
    agents: counted(
      sql`select status, meta->>'version' as version, deleted_at is not null as deleted, lost_since is not null as lost from agents`,
      "status",
      "version",
      "deleted",
      "lost",
    ),
    collectors: counted(sql`select name, state from collectors`, "name", "state"),
    open_incidents: counted(
      sql`select status, severity, origin, type, analysis->>'by' as explained_by from incidents where status <> 'resolved'`,
      "status",
      "severity",
      "origin",
      "explained_by",
    ),
    commands: counted(sql`select command, status from commands`, "command", "status"),
    announcements: counted(
      sql`select outlet, kind, state from announcements where closed_at is null`,
      "outlet",
      "kind",
      "state",
    ),
    decisions: counted(sql`select action, state from decisions where ended_at is null`, "action", "state"),
    model_calls: counted(sql`select outcome from model_calls where asked_at > now() - interval '1 day'`, "outcome"),
    jobs: counted(sql`select name, state from ${sql(layout.jobs)}.job`, "name", "state"),
    quarantine: sql`select at, kind, split_part(error, E'\n', 1) as error from quarantine order by id desc limit 20`,
    slow_statements: slowStatements(sql, await keepsStatements(sql)),
  };
  const said: Record<string, unknown> = {};
  // One after the other: a database that is in trouble is not given more of it.
  for (const [name, rows] of Object.entries(parts)) {
    said[name] = await rows.catch((error: unknown) => ({ not_told: errorMessage(error) }));
  }
  return said;
}

/** Only where an administrator has installed what keeps them. */
async function keepsStatements(sql: Database["sql"]): Promise<boolean> {
  const [there] = await sql<{ is: boolean }[]>`select to_regclass('pg_stat_statements') is not null as is`;
  return there?.is === true;
}

function slowStatements(sql: Database["sql"], areKept: boolean): Rows {
  if (!areKept) return sql`select 'the extension pg_stat_statements is not installed here' as not_told`;
  return sql`select calls, total_exec_time as total_ms, mean_exec_time as mean_ms, max_exec_time as max_ms, rows,
      left(query, ${STATEMENT_CHARS_MAX}) as statement from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database()) order by total_exec_time desc limit 30`;
}

/** The names of hosts, to be left out. */
export async function readHostNames({ sql }: Pick<Database, "sql">): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select distinct hostname as name from agents where hostname is not null
    union select hostname from token_hosts where hostname is not null`;
  return rows.map(({ name }) => name);
}
