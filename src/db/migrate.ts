import { createHash } from "node:crypto";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { PgDialect } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import initial from "../../drizzle/0000_initial.sql" with { type: "text" };
import storage from "../../drizzle/0001_storage.sql" with { type: "text" };
import modelCalls from "../../drizzle/0002_model_calls.sql" with { type: "text" };
import decisions from "../../drizzle/0003_decisions.sql" with { type: "text" };
import revisions from "../../drizzle/0004_revisions.sql" with { type: "text" };
import journal from "../../drizzle/meta/_journal.json" with { type: "json" };
import { assert, ExitCode, errorCode, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Database } from "./client.ts";
import { LockKey } from "./lock-keys.ts";

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

/**
 * Brings the tables up to date, all migrations in one transaction; of several nodes one does it and the others wait. Throws a
 * StartupError when the database is too old, or newer than this executable, or another node does not come to an end.
 */
export async function migrate(database: Database, log: Log, lockLimitMs = LOCK_LIMIT_MS): Promise<void> {
  // A session: behind a transaction pooler a lock would belong to nobody. Without a limit: a new index on a table of millions takes minutes.
  const client = database.createSession({ applicationName: "opspilot migrate", statementLimitMs: 0 });
  try {
    await requireSupported(client);
    await lock(client, lockLimitMs);
    await apply(client, log);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** Looks, and changes nothing. */
export async function readMigrationState(sql: Sql): Promise<MigrationState> {
  const last = await lastMigration(sql);
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
async function lastMigration(sql: Sql): Promise<number> {
  const [there] = await sql<{ is: boolean }[]>`select to_regclass('drizzle.__drizzle_migrations') is not null as is`;
  if (there?.is !== true) return 0;
  const [row] = await sql<{ at: string | null }[]>`select max(created_at) as at from drizzle.__drizzle_migrations`;
  return Number(row?.at ?? 0);
}

async function apply(client: Sql, log: Log): Promise<void> {
  const { missing, isNewer } = await readMigrationState(client);
  if (isNewer) {
    const message = "the database was migrated by a newer OpsPilot; run that version, or restore an older backup";
    throw new StartupError(message, ExitCode.config);
  }
  if (missing === 0) return;
  await new PgDialect().migrate(embeddedMigrations(), drizzle(client)._.session as never, "");
  log.info({ migrations: missing }, "the database's tables are up to date");
}

/** Every file of drizzle/, named one by one: the executable carries what is imported. A test compares it with the folder. */
const FILES: Readonly<Record<string, string>> = {
  "0000_initial": initial,
  "0001_storage": storage,
  "0002_model_calls": modelCalls,
  "0003_decisions": decisions,
  "0004_revisions": revisions,
};

/** The migrations in order, in the form in which Drizzle's own reader gives them to its migrator. */
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
