import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import { acquireDatabase } from "../db/open.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createLog, type Log } from "../lib/log.ts";

/** The log of a command that comes to an end: what is printed is the command's, log lines go to standard error. */
export function createCommandLog({ logLevel }: Pick<Config, "logLevel">): Log {
  const destination = { write: (line: string) => void process.stderr.write(line) };
  return createLog({ level: logLevel, readable: process.stderr.isTTY === true, destination });
}

/** Lends the database that the settings name to a command that comes to an end. */
export async function withDatabase<T>(config: Config, use: (database: Database, log: Log) => Promise<T>): Promise<T> {
  const log = createCommandLog(config);
  const acquired = await acquireDatabase({ config, log, clock: createSystemClock(), role: "command" });
  try {
    return await use(acquired.database, log);
  } finally {
    await acquired.stop();
  }
}
