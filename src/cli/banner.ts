import type { Config } from "../config.ts";
import { isLoopbackHost } from "../lib/addresses.ts";
import type { Log } from "../lib/log.ts";
import { transportOf } from "../slack/transport.ts";

/** What is known only once the server runs. */
export interface Started {
  readonly version: string;
  readonly url: string;
  /** Where the data is, without a secret. */
  readonly database: string;
}

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
