import { join } from "node:path";
import type { Sql } from "postgres";
import { type DatabaseAddress, DatabaseUrlError, parseDatabaseUrl } from "../config/database-url.ts";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Database, openDatabase } from "./client.ts";
import type { EmbeddedPostgres } from "./embedded/embedded.ts";
import { DatabaseRightsError, requireSettings, settleLayout, withMend } from "./layout.ts";
import { firstMigrationHash } from "./migrate.ts";
import { type DatabaseTarget, describeTarget, settleTls } from "./target.ts";

/** How long a start waits for a database that is not there yet: whole stacks are often started at once. */
const CONNECT_WAIT_MS = { serve: 15_000, command: 3_000 } as const;
const CONNECT_POLL_MS = 250;

/** A database that answers, and how to let go of it. */
export interface AcquiredDatabase {
  readonly database: Database;
  /** For people, without secrets. */
  readonly description: string;
  /** The built-in PostgreSQL; null where the settings name another. */
  readonly embedded: Pick<EmbeddedPostgres, "postmasterPid" | "restarts"> | null;
  /** Ends the connections; the built-in PostgreSQL is stopped where this process is the one that may. */
  stop(): Promise<void>;
}

export interface AcquireOptions {
  config: Pick<Config, "database" | "dataDir">;
  clock: Clock;
  log: Log;
  /** `serve` holds the data directory; other commands use a running PostgreSQL, or their own for the time being. */
  role: "serve" | "command";
}

/** The database that the settings name: DATABASE_URL, or the built-in PostgreSQL. Throws a StartupError when there is none. */
export async function acquireDatabase(options: AcquireOptions): Promise<AcquiredDatabase> {
  return options.config.database === null
    ? acquireEmbedded(options)
    : acquireExternal(options, options.config.database);
}

async function acquireEmbedded({ config, clock, log, role }: AcquireOptions): Promise<AcquiredDatabase> {
  const { startEmbedded } = await import("./embedded/embedded.ts");
  const embedded = await startEmbedded({ dataDir: config.dataDir, clock, log, role });
  const database = openDatabase({ target: embedded.target, log });
  return {
    database,
    description: `built-in PostgreSQL in ${join(config.dataDir, "data")}`,
    embedded,
    stop: async () => {
      await database.close();
      await embedded.stop();
    },
  };
}

async function acquireExternal(
  { clock, log, role }: AcquireOptions,
  { url, directUrl }: NonNullable<Config["database"]>,
): Promise<AcquiredDatabase> {
  const endMs = clock.monotonicMs() + CONNECT_WAIT_MS[role];
  const main = parse("DATABASE_URL", url);
  const second = directUrl === null ? undefined : parse("DATABASE_URL_DIRECT", directUrl);
  const target = await keepTrying(main, second !== undefined, endMs, clock, log);
  const direct = second && (await keepTrying(second, false, endMs, clock, log));
  const database = openDatabase({ target, direct, log });
  if (direct !== undefined) await requireOneDatabase(database);
  return { database, description: describeTarget(target), embedded: null, stop: () => database.close() };
}

/** Rows that were written by one way are to be there by the other. Closes the database, and throws a StartupError, where they are not. */
async function requireOneDatabase(database: Database): Promise<void> {
  const session = database.createSession();
  const [here, there] = await Promise.all([readIdentity(database.sql), readIdentity(session)]).catch(async (error) => {
    await database.close();
    throw error;
  });
  await session.end();
  if (here === there) return;
  await database.close();
  throw new StartupError("DATABASE_URL and DATABASE_URL_DIRECT lead to two different databases", ExitCode.config);
}

/** The same for a primary, its standbys and every way to them. */
async function readIdentity(sql: Sql): Promise<string> {
  const [row] = await sql<{ identity: string }[]>`
    select concat_ws('/', (select system_identifier from pg_control_system()), oid) as identity
    from pg_database where datname = current_database()`;
  return row?.identity ?? "";
}

/**
 * Settles by a first connection how all others are made: whether they are encrypted, whether the limits of a connection
 * may be told as it is made, and where the tables lie. Rejects with why it cannot be used; one that is a transaction pooler,
 * unless it `mayBePooler`, too.
 */
export async function reachDatabase(address: DatabaseAddress, mayBePooler: boolean, log: Log): Promise<DatabaseTarget> {
  const target = { ...(await settleTls(address)), pooled: mayBePooler };
  try {
    return await settle(target, mayBePooler, log);
  } catch (error) {
    if (!/startup parameter/.test(errorMessage(error))) throw error;
    return settle({ ...target, isBare: true }, mayBePooler, log);
  }
}

async function settle(target: DatabaseTarget, mayBePooler: boolean, log: Log): Promise<DatabaseTarget> {
  // What is prepared behind a pooler is lost.
  const database = openDatabase({ target: { ...target, pooled: true }, log });
  try {
    const session = database.createSession();
    const isLimited = await withMend(readsLimits(session), target);
    // One that is told to ignore what it does not know takes them without a word.
    if (!isLimited && !target.isBare) return await settle({ ...target, isBare: true }, mayBePooler, log);
    if (!mayBePooler && (await isPooler(session, database.createSession()))) throw new DatabaseUrlError(POOLER);
    if (target.isBare) await requireSettings(session, target);
    return { ...target, layout: await settleLayout(session, target, firstMigrationHash()) };
  } finally {
    await database.close();
  }
}

/** Whether the limits of a connection, which are told as it is made, are in force. */
async function readsLimits(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ is: boolean }[]>`
    select setting::int > 0 as is from pg_settings where name = 'idle_in_transaction_session_timeout'
      and source = 'client'`;
  return row?.is === true;
}

const POOLER = "leads through a transaction pooler: set DATABASE_URL_DIRECT to the database itself, past the pooler";
const POOLER_LOOKS = 5;

/** Two connections that are open at once have a server process each, unless somebody between lends out a few in turn. */
export async function isPooler(one: Sql, other: Sql): Promise<boolean> {
  const processes = [new Set<number>(), new Set<number>()];
  for (let look = 0; look < POOLER_LOOKS; look++) {
    for (const [at, session] of [one, other].entries()) {
      const [row] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
      if (row) processes[at]?.add(row.pid);
    }
  }
  return processes.some(({ size }) => size > 1) || !processes[0]?.isDisjointFrom(processes[1] ?? new Set());
}

/** A database as a setting names it. */
type Named = ReturnType<typeof parse>;

function parse(setting: string, url: string) {
  try {
    return { setting, address: parseDatabaseUrl(url) };
  } catch (error) {
    throw new StartupError(`${setting}: ${errorMessage(error)}`, ExitCode.config, { cause: error });
  }
}

/** A wrong password or database name fails at once; what may pass is tried again. */
async function keepTrying(
  { setting, address }: Named,
  mayBePooler: boolean,
  endMs: number,
  clock: Clock,
  log: Log,
): Promise<DatabaseTarget> {
  for (;;) {
    try {
      return await reachDatabase(address, mayBePooler, log);
    } catch (error) {
      if (isFinal(error) || clock.monotonicMs() > endMs) {
        const message = `the database ${describeTarget(address)} (${setting}) cannot be used: ${errorMessage(error)}`;
        throw new StartupError(message, ExitCode.unavailable, { cause: error });
      }
      await clock.sleep(CONNECT_POLL_MS);
    }
  }
}

/**
 * SQLSTATE 28: the login is refused; 3D: there is no such database; or a right is missing, its certificate is not trusted, it has
 * no TLS, or is a pooler.
 */
function isFinal(error: unknown): boolean {
  return (
    /^(28|3D)...$|CERT|^UNABLE_TO_/.test(errorCode(error)) ||
    error instanceof DatabaseUrlError ||
    error instanceof DatabaseRightsError
  );
}
