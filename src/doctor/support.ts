import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseDatabaseUrl } from "../config/database-url.ts";
import type { ShownSettings } from "../config/shown.ts";
import { parsed } from "../config/sources.ts";
import type { Config } from "../config.ts";
import { type Database, openDatabase } from "../db/client.ts";
import { readMigrationState } from "../db/migrate.ts";
import { reachDatabase } from "../db/open.ts";
import { errorCode, errorMessage } from "../lib/errors.ts";
import type { Finding } from "../lib/finding.ts";
import type { Log } from "../lib/log.ts";
import { get, reachable } from "./checks.ts";
import { listeningUsers } from "./listener.ts";
import { createMask, DATABASE_HOSTS } from "./mask.ts";
import { readDatabaseState, readHostNames } from "./support-store.ts";

const SERVER_LIMIT_MS = 10_000;
const LOG_BYTES_MAX = 2 * 2 ** 20;
const LOG_LINES_MAX = 5_000;
const JOURNAL_LIMIT_MS = 15_000;
/** The unit that `opspilot systemd` prints. */
const UNIT = "opspilot";

/** What a report is made of. */
export interface SupportDeps {
  /** Null: the settings cannot be used, as `findings` say. */
  config: Config | null;
  shown: ShownSettings;
  version: Record<string, unknown>;
  findings: readonly Finding[];
  /** A file with the server's log, where it is not in the journal. */
  logPath: string | null;
  withNames: boolean;
  log: Log;
}

/** The texts of a report by their names, without secrets; what could not be had says why. */
export async function collectSupport(deps: SupportDeps): Promise<Record<string, string>> {
  const { config, shown, findings, version } = deps;
  const [database, server, journal, postgres, given] = await Promise.all([
    config ? lookAtDatabase(config, deps.log) : unlooked("the settings cannot be used"),
    config ? askServer(config) : { "metrics.txt": "the settings cannot be used\n" },
    readJournal(),
    config?.database === null ? readTail(join(config.dataDir, "postgres.log")) : null,
    deps.logPath === null ? null : readTail(deps.logPath),
  ]);
  const texts: Record<string, string> = {
    "about.txt": ABOUT,
    "version.json": asJson({ ...version, at: new Date(), uptime_s: Math.round(process.uptime()) }),
    "doctor.json": asJson(findings),
    "settings.json": asJson(shown.settings),
    "database.json": asJson(database.said),
    ...server,
    "log-journal.txt": journal,
    ...(given === null ? {} : { "log.txt": given }),
    ...(postgres === null ? {} : { "log-postgres.txt": postgres }),
  };
  const names = [hostname(), ...database.hosts, ...shown.names.flatMap(hostsIn)];
  const secrets = [...shown.secrets, ...(config?.database === null ? await ownPassword(config) : [])];
  const mask = createMask({ secrets, names: deps.withNames ? null : names });
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, mask(text)]));
}

const ABOUT = `A report of how an OpsPilot server does, made by \`opspilot support\`.

Settings that are secrets or name somebody are marked [set]. Texts have passed the redaction that everything passes which leaves
the server. No alert, no log of a host and no token is in it. Unless it was made with --with-names, names of hosts stand as host-1,
host-2 and so on, and addresses as [address]. Please look it through before you give it away.
`;

function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

interface Looked {
  readonly said: unknown;
  readonly hosts: readonly string[];
}

const unlooked = (why: string): Looked => ({ said: { not_told: why }, hosts: [] });

async function lookAtDatabase(config: Config, log: Log): Promise<Looked> {
  let database: Database | undefined;
  try {
    database = await openThere(config, log);
    if (database === undefined) return unlooked("the built-in PostgreSQL does not run");
    const migrations = await readMigrationState(database);
    const hosts = await readHostNames(database);
    return { said: { migrations, ...(await readDatabaseState(database)) }, hosts };
  } catch (error) {
    return unlooked(errorMessage(error));
  } finally {
    await database?.close();
  }
}

/** The built-in one only where it runs: nothing is started. */
async function openThere({ database, dataDir }: Config, log: Log): Promise<Database | undefined> {
  if (database !== null) {
    const target = await reachDatabase(parseDatabaseUrl(database.url), database.directUrl !== null, log);
    return openDatabase({ target: { ...target, pooled: database.directUrl !== null }, log });
  }
  const { findRunning } = await import("../db/embedded/embedded.ts");
  const target = findRunning(dataDir);
  return target && openDatabase({ target, log });
}

/** What the server that runs here says of itself, if one does. */
async function askServer(config: Config): Promise<Record<string, string>> {
  const { listen: bound, tls, access } = config;
  const base = `${tls === null ? "http" : "https"}://${reachable(bound.host)}:${bound.port}`;
  const mayHear = access.adminToken !== null && (await isOurs(config));
  const headers: Record<string, string> = mayHear ? { authorization: `Bearer ${access.adminToken}` } : {};
  const ask = async (path: string) => {
    const answer = await get(`${base}${path}`, { headers, limitMs: SERVER_LIMIT_MS, ownCertificate: true });
    return answer.ok ? answer.body : `no server answers: ${answer.why}\n`;
  };
  const [metrics, ready] = await Promise.all([ask("/metrics"), ask("/readyz")]);
  return { "metrics.txt": metrics, "readyz.json": ready };
}

/** Whether it is our server that listens: while that is down any user of this machine may, and would be shown the token. */
async function isOurs({ listen: { port }, dataDir }: Config): Promise<boolean> {
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  const trusted = [0, process.getuid?.(), owner?.uid];
  const users = await listeningUsers(port);
  return users.length > 0 && users.every((uid) => trusted.includes(uid));
}

/** The server's own last lines. */
async function readJournal(): Promise<string> {
  const command = [
    "journalctl",
    "--unit",
    UNIT,
    "--lines",
    String(LOG_LINES_MAX),
    "--output",
    "short-iso",
    "--no-pager",
  ];
  try {
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "ignore", timeout: JOURNAL_LIMIT_MS });
    return (await child.stdout.text()).slice(-LOG_BYTES_MAX);
  } catch (error) {
    return `there is no journal: ${errorMessage(error)}\n`;
  }
}

async function readTail(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - LOG_BYTES_MAX);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
      const lines = buffer.subarray(0, bytesRead).toString("utf8").split("\n");
      // The first one is not whole.
      return lines
        .slice(from > 0 ? 1 : 0)
        .slice(-LOG_LINES_MAX)
        .join("\n");
    } finally {
      await file.close();
    }
  } catch (error) {
    return `it cannot be read: ${errorMessage(error)}\n`;
  }
}

/** The password of the built-in PostgreSQL. What cannot be read, or is not there yet, is nowhere else either. */
async function ownPassword({ dataDir }: Config): Promise<string[]> {
  const file = Bun.file(join(dataDir, "postgres.password"));
  try {
    return [(await file.text()).trim()];
  } catch (error) {
    if (["ENOENT", "EACCES"].includes(errorCode(error))) return [];
    throw error;
  }
}

/** Of URLs their hosts; of lists each part, and whatever else names a place as it is. */
export function hostsIn(setting: string): string[] {
  const [, , hosts] = DATABASE_HOSTS.exec(setting) ?? [];
  if (hosts !== undefined) {
    const given = parsed(() => new URL(setting.replace(DATABASE_HOSTS, "$1localhost")))?.searchParams.get("host") ?? "";
    return `${hosts},${given}`.split(",").map((one) => one.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1"));
  }
  return setting.split(/[\s,]+/).flatMap((part) => (URL.canParse(part) ? [new URL(part).hostname] : [part]));
}
