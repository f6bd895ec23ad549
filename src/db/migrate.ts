import { createHash } from "node:crypto";
import type { MigrationMeta } from "drizzle-orm/migrator";
import type { Sql, TransactionSql } from "postgres";
import initial from "../../drizzle/0000_initial.sql" with { type: "text" };
import storage from "../../drizzle/0001_storage.sql" with { type: "text" };
import modelCalls from "../../drizzle/0002_model_calls.sql" with { type: "text" };
import decisions from "../../drizzle/0003_decisions.sql" with { type: "text" };
import revisions from "../../drizzle/0004_revisions.sql" with { type: "text" };
import collectors from "../../drizzle/0005_collectors.sql" with { type: "text" };
import tokenHosts from "../../drizzle/0006_token_hosts.sql" with { type: "text" };
import sessions from "../../drizzle/0007_sessions.sql" with { type: "text" };
import figures from "../../drizzle/0008_figures.sql" with { type: "text" };
import urgency from "../../drizzle/0009_urgency.sql" with { type: "text" };
import feedback from "../../drizzle/0010_feedback.sql" with { type: "text" };
import history from "../../drizzle/0011_history.sql" with { type: "text" };
import access from "../../drizzle/0012_access.sql" with { type: "text" };
import investigations from "../../drizzle/0013_investigations.sql" with { type: "text" };
import fullLists from "../../drizzle/0014_full_lists.sql" with { type: "text" };
import oidc from "../../drizzle/0015_oidc.sql" with { type: "text" };
import notices from "../../drizzle/0016_notices.sql" with { type: "text" };
import integrations from "../../drizzle/0017_integrations.sql" with { type: "text" };
import oidcAnswers from "../../drizzle/0018_oidc_answers.sql" with { type: "text" };
import cronJobs from "../../drizzle/0019_cron_jobs.sql" with { type: "text" };
import journal from "../../drizzle/meta/_journal.json" with { type: "json" };
import { assert, ExitCode, errorCode, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Database } from "./client.ts";
import { DatabaseRightsError, ownerOf, withMend } from "./layout.ts";
import { LockKey } from "./lock-keys.ts";
import type { Layout } from "./target.ts";

/** How long to wait for another node's migration, and for each lock that our own needs. */
const LOCK_LIMIT_MS = 60_000;

/** The oldest PostgreSQL that has what our SQL asks for. */
export const POSTGRES_MIN = 14;

/** How the tables stand to this executable. */
export interface MigrationState {
  /** Migrations that the database does not have. */
  readonly missing: number;
  /** The database was migrated by a newer OpsPilot. */
  readonly isNewer: boolean;
}

interface MigrateOptions {
  readonly lockLimitMs?: number;
  /** The last migration to make, by when it was made (Unix milliseconds); all when not said. */
  readonly upTo?: number;
}

/**
 * Brings the tables up to date, all migrations in one transaction; of several nodes one does it and the others wait. Throws a
 * StartupError when the database is too old, or newer than this executable, or another node does not come to an end.
 */
export async function migrate(database: Database, log: Log, options: MigrateOptions = {}): Promise<void> {
  const { lockLimitMs = LOCK_LIMIT_MS, upTo = Number.POSITIVE_INFINITY } = options;
  // A session: behind a transaction pooler a lock would belong to nobody. Without a limit: a new index on a table of millions takes minutes.
  const client = database.createSession({ applicationName: "opspilot migrate", statementLimitMs: 0 });
  try {
    await requireSupported(client);
    await lock(client, lockLimitMs);
    const before = await readLastMigration(client, database.layout);
    await apply(client, { before, upTo }, database, log);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** Looks, and changes nothing. */
export async function readMigrationState({ sql, layout }: Pick<Database, "sql" | "layout">): Promise<MigrationState> {
  const last = await readLastMigration(sql, layout);
  const all = embeddedMigrations();
  const missing = all.filter((migration) => migration.folderMillis > last).length;
  return { missing, isNewer: last > (all.at(-1)?.folderMillis ?? 0) };
}

async function requireSupported(sql: Sql): Promise<void> {
  const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`;
  const version = row?.version ?? "";
  if (Number.parseInt(version, 10) >= POSTGRES_MIN) return;
  throw new StartupError(`the database is PostgreSQL ${version}; ${POSTGRES_MIN} or newer is needed`, ExitCode.config);
}

async function lock(sql: Sql, limitMs: number): Promise<void> {
  await sql`select set_config('lock_timeout', ${String(limitMs)}, false)`;
  try {
    await sql`select pg_advisory_lock(${LockKey.migration})`;
  } catch (error) {
    if (errorCode(error) !== "55P03") throw error;
    const message = `another node has been migrating the database for ${limitMs / 1000} s; try again when it is done`;
    throw new StartupError(message, ExitCode.unavailable, { cause: error });
  }
}

/** When the last migration that the database has was made (Unix milliseconds: Drizzle's order), 0 for none. */
export async function readLastMigration(
  sql: Sql | TransactionSql,
  { journal: [schema, table] }: Layout,
): Promise<number> {
  const [there] = await sql<{ is: boolean }[]>`
    select exists (select from pg_tables where schemaname = ${schema} and tablename = ${table}) as is`;
  if (there?.is !== true) return 0;
  const [row] = await sql<{ at: string | null }[]>`select max(created_at) as at from ${sql(schema)}.${sql(table)}`;
  return Number(row?.at ?? 0);
}

async function apply(
  client: Sql,
  { before, upTo }: { before: number; upTo: number },
  database: Database,
  log: Log,
): Promise<void> {
  const migrations = embeddedMigrations();
  const newest = migrations.at(-1)?.folderMillis ?? 0;
  if (before > newest) {
    const message = "the database was migrated by a newer OpsPilot; run that version, or restore an older backup";
    throw new StartupError(message, ExitCode.config);
  }
  const missing = migrations.filter(({ folderMillis }) => folderMillis > before && folderMillis <= upTo);
  if (missing.length === 0) return;
  const { layout, sessionTarget } = database;
  const owner = await ownerOf(client, layout);
  await withMend(makeAll(client, layout, missing), sessionTarget, layout.tables, owner).catch((error) => {
    if (!(error instanceof DatabaseRightsError)) throw error;
    throw new StartupError(`the tables cannot be made: ${error.message}`, ExitCode.unavailable, { cause: error });
  });
  log.info({ migrations: missing.length }, "the database's tables are up to date");
}

/** Drizzle's own migrator insists on a right to make schemas. */
async function makeAll(client: Sql, layout: Layout, migrations: readonly MigrationMeta[]): Promise<void> {
  const [schema, table] = layout.journal;
  await client.begin(async (tx) => {
    if (schema !== layout.tables) await makeSchema(tx, schema);
    const journal = tx`${tx(schema)}.${tx(table)}`;
    await tx`create table if not exists ${journal} (id serial primary key, hash text not null, created_at bigint)`;
    for (const { sql, hash, folderMillis } of migrations) {
      // Drizzle writes that schema's name into references alone; all other names are those of the search path.
      for (const statement of sql) await tx.unsafe(statement.replaceAll('"public".', ""));
      await tx`insert into ${journal} (hash, created_at) values (${hash}, ${folderMillis})`;
    }
  });
}

/** Where it is there, even "if not exists" would ask for the right to make one. */
async function makeSchema(tx: TransactionSql, name: string): Promise<void> {
  const [there] = await tx`select from pg_namespace where nspname = ${name}`;
  if (!there) await tx`create schema ${tx(name)}`;
}

/** Every file of drizzle/, named one by one: the executable carries what is imported. A test compares it with the folder. */
const FILES: Readonly<Record<string, string>> = {
  "0000_initial": initial,
  "0001_storage": storage,
  "0002_model_calls": modelCalls,
  "0003_decisions": decisions,
  "0004_revisions": revisions,
  "0005_collectors": collectors,
  "0006_token_hosts": tokenHosts,
  "0007_sessions": sessions,
  "0008_figures": figures,
  "0009_urgency": urgency,
  "0010_feedback": feedback,
  "0011_history": history,
  "0012_access": access,
  "0013_investigations": investigations,
  "0014_full_lists": fullLists,
  "0015_oidc": oidc,
  "0016_notices": notices,
  "0017_integrations": integrations,
  "0018_oidc_answers": oidcAnswers,
  "0019_cron_jobs": cronJobs,
};

/** The migrations in order, in the form in which Drizzle's own reader gives them. */
export function embeddedMigrations(): MigrationMeta[] {
  return journal.entries.map(({ tag, when, breakpoints }) => {
    const text = FILES[tag];
    assert(text !== undefined, `migration ${tag} is in the list`);
    return {
      sql: text.split("--> statement-breakpoint"),
      bps: breakpoints,
      folderMillis: when,
      hash: createHash("sha256").update(text).digest("hex"),
    };
  });
}

/** Tells our list of migrations from that of another program. */
export function firstMigrationHash(): string {
  return embeddedMigrations()[0]?.hash ?? "";
}
