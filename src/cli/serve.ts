import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import { isLoopbackHost } from "../lib/addresses.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createLog, type Log } from "../lib/log.ts";
import { transportOf } from "../slack/transport.ts";
import { nextSurprise, runToEnd } from "./ends.ts";
import { PLATFORM, VERSION } from "./version.ts";

/** Runs the server until `stop` aborts (0) or it cannot go on (1). Throws a StartupError when it cannot start. */
export async function serve(flags: Flags, stop: AbortSignal): Promise<number> {
  const config = loadConfig(flags);
  const readable = process.stdout.isTTY === true;
  const log = createLog({ level: config.logLevel, readable });
  const surprise = nextSurprise(log);
  // Only now: a mistake in the settings need not wait for all of the server to be loaded.
  const { startServer } = await import("../server.ts");
  const server = await startServer({ config, log, clock: createSystemClock(), version: VERSION, platform: PLATFORM });
  announce(config, { version: VERSION, url: server.url, database: server.describe.database }, log, readable);
  return runToEnd("the server", server, { stop, surprise, log });
}

/** What is known only once the server runs; of the database it says where the data is, without a secret. */
type Started = Record<"version" | "url" | "database", string>;

/** Says what runs, where, and who may use it: readable on a terminal, else as one log line. */
export function announce(config: Config, started: Started, log: Log, readable: boolean): void {
  const lines = describeStart(config, started);
  if (readable) process.stdout.write(`\n${asText(started.version, lines)}\n\n`);
  else log.info({ version: started.version, ...lines }, "listening");
  if (config.access.mode === "open" && !isLoopbackHost(config.listen.host)) {
    log.warn("ACCESS=open: whoever reaches this address may run commands on every agent");
  }
}

/** The parts of the announcement. */
export function describeStart(config: Config, { url, database }: Started): Record<string, string> {
  const base = config.publicUrl ?? url.replace("//0.0.0.0", "//<this host>").replace("//[::]", "//<this host>");
  return {
    url,
    database,
    ...(config.database === null ? { data_dir: config.dataDir } : {}),
    page: `${base}/app`,
    agents: `${base.replace(/^http/, "ws")}/v1/stream, token in each frame or as Authorization: Bearer`,
    access: describeAccess(config),
    enrollment:
      config.enrollment === "open"
        ? "open: an unknown agent token enrols itself"
        : "closed: make tokens by POST /v1/agents or `opspilot token create`",
    slack: transportOf(config.slack).description,
  };
}

function describeAccess({ access }: Config): string {
  if (access.mode === "token") return "token: the API asks for Authorization: Bearer with ADMIN_TOKEN";
  return access.explicit
    ? "open, by ACCESS=open: no credential is asked for"
    : "open to this machine alone: no credential";
}

function asText(version: string, lines: Record<string, string>): string {
  const width = Math.max(...Object.keys(lines).map((name) => name.length));
  const rows = Object.entries(lines).map(([name, text]) => `  ${name.replace("_", " ").padEnd(width)}  ${text}`);
  return [`OpsPilot ${version}`, ...rows].join("\n");
}
