import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Database, openDatabase } from "./client.ts";
import {
  type DatabaseAddress,
  type DatabaseTarget,
  DatabaseUrlError,
  describeTarget,
  parseDatabaseUrl,
  settleTls,
} from "./target.ts";

/** How long a start waits for a database that is not there yet: whole stacks are often started at once. */
const CONNECT_WAIT_MS = { serve: 15_000, command: 3_000 } as const;
const CONNECT_POLL_MS = 250;

/** A database that answers, and how to let go of it. */
export interface AcquiredDatabase {
  readonly database: Database;
  /** For people, without secrets. */
  readonly description: string;
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
  const target = await keepTrying(main, endMs, clock, log);
  const direct = second && (await keepTrying(second, endMs, clock, log));
  const database = openDatabase({ target, direct, log });
  return { database, description: describeTarget(target), stop: () => database.close() };
}

/**
 * Settles by a first connection how all others are made: whether they are encrypted, and whether the limits of a connection
 * may be told as it is made. Rejects with why it cannot be reached.
 */
export async function reachDatabase(address: DatabaseAddress, log: Log): Promise<DatabaseTarget> {
  const target = await settleTls(address);
  const isBare = await tryTarget(target, log).catch((error) => {
    if (!/startup parameter/.test(errorMessage(error))) throw error;
    return true;
  });
  if (isBare) await tryTarget({ ...target, isBare }, log);
  return { ...target, isBare };
}

async function tryTarget(target: DatabaseTarget, log: Log): Promise<false> {
  const database = openDatabase({ target, log });
  try {
    await database.sql`select 1`;
    return false;
  } finally {
    await database.close();
  }
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
async function keepTrying({ setting, address }: Named, endMs: number, clock: Clock, log: Log): Promise<DatabaseTarget> {
  for (;;) {
    try {
      return await reachDatabase(address, log);
    } catch (error) {
      if (isFinal(error) || clock.monotonicMs() > endMs) {
        const message = `the database ${describeTarget(address)} (${setting}) cannot be used: ${errorMessage(error)}`;
        throw new StartupError(message, ExitCode.unavailable, { cause: error });
      }
      await clock.sleep(CONNECT_POLL_MS);
    }
  }
}

/** SQLSTATE 28: the login is refused; 3D: there is no such database; or its certificate is not trusted, or it has no TLS. */
function isFinal(error: unknown): boolean {
  const code = errorCode(error);
  return /^(28|3D)...$|CERT|^UNABLE_TO_/.test(code) || error instanceof DatabaseUrlError;
}
