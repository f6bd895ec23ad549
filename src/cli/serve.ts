import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { announce } from "./banner.ts";
import { nextSurprise, stopped } from "./ends.ts";
import { VERSION } from "./version.ts";

/** Runs the server until `stop` aborts (0) or it cannot go on (1). Throws a StartupError when it cannot start. */
export async function serve(flags: Flags, stop: AbortSignal): Promise<number> {
  const config = loadConfig(flags);
  const readable = process.stdout.isTTY === true;
  const log = createLog({ level: config.logLevel, readable });
  const surprise = nextSurprise(log);
  // Only now: a mistake in the settings need not wait for all of the server to be loaded.
  const { startServer } = await import("../server.ts");
  const server = await startServer({ config, log, clock: createSystemClock(), version: VERSION });
  announce(config, { version: VERSION, url: server.url, database: server.describe.database }, log, readable);
  const end = await Promise.race([stopped(stop), surprise]);
  if (end instanceof Error) log.fatal({ error: end }, "the server cannot go on");
  else log.info("stopping");
  await server.stop();
  return end instanceof Error ? ExitCode.failure : ExitCode.ok;
}
