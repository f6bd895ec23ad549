import { isAbsolute } from "node:path";
import { type DatabaseAddress, parseDatabaseUrl } from "../config/database-url.ts";
import type { Config } from "../config.ts";
import { type Database, openDatabase } from "../db/client.ts";
import type { HostReport } from "../db/hosts.ts";
import { DatabaseRightsError } from "../db/layout.ts";
import { type MigrationState, POSTGRES_MIN, readMigrationState } from "../db/migrate.ts";
import { reachDatabase } from "../db/open.ts";
import { type DatabaseTarget, describeTarget } from "../db/target.ts";
import { tryJobsDriver } from "../jobs/jobs.ts";
import { withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../lib/finding.ts";
import type { Log } from "../lib/log.ts";
import { isOlder } from "../lib/versions.ts";
import type { OtherClock } from "./checks.ts";
import { type DatabaseFacts, readDatabaseFacts } from "./database-store.ts";

const ANSWER_LIMIT_MS = 8_000;

/** What was found, and the database's clock where it answered and is another machine's. */
interface DatabaseFindings {
  readonly findings: Finding[];
  readonly clocks: OtherClock[];
}

/** How a database is looked at. */
interface Place {
  readonly name: string;
  readonly todo: string;
  /** Where sessions are made elsewhere, this is a transaction pooler, and the jobs do not come here. */
  readonly isPooled: boolean;
}

/**
 * Looks at the database that the settings name, over every driver that the server uses. The built-in one is used where it
 * runs, and never started.
 */
export async function checkDatabase(config: Pick<Config, "database" | "dataDir">, log: Log): Promise<DatabaseFindings> {
  if (config.database === null) return checkBuiltIn(config.dataDir, log);
  const { url, directUrl } = config.database;
  const main = await checkUrl("DATABASE_URL", url, { name: "database", isPooled: directUrl !== null }, log);
  if (directUrl === null) return main;
  const direct = await checkUrl("DATABASE_URL_DIRECT", directUrl, { name: "database, direct", isPooled: false }, log);
  return { findings: [...main.findings, ...direct.findings], clocks: main.clocks };
}

async function checkBuiltIn(dataDir: string, log: Log): Promise<DatabaseFindings> {
  const { findRunning } = await import("../db/embedded/embedded.ts");
  try {
    const target = findRunning(dataDir);
    const place = { name: "database", todo: "look at postgres.log in the data directory", isPooled: false };
    if (target) return await checkTarget(target, async () => target, place, log);
    const todo = "nothing, if no server is meant to run now; else start it: opspilot serve";
    return { findings: [doubtful("database", "the built-in PostgreSQL does not run", todo)], clocks: [] };
  } catch (error) {
    const todo = "run doctor as the user that the server runs as, or as root";
    return { findings: [broken("database", `the built-in PostgreSQL: ${errorMessage(error)}`, todo)], clocks: [] };
  }
}

async function checkUrl(setting: string, url: string, place: Omit<Place, "todo">, log: Log): Promise<DatabaseFindings> {
  try {
    const address = parseDatabaseUrl(url);
    const todo = `check ${setting}: host, port, user, password, database, sslmode, and whether a firewall is between`;
    return await checkTarget(address, () => reachDatabase(address, place.isPooled, log), { ...place, todo }, log);
  } catch (error) {
    const finding = broken(place.name, `${setting} ${errorMessage(error)}`, `correct ${setting}`);
    return { findings: [finding], clocks: [] };
  }
}

async function checkTarget(
  address: Omit<DatabaseAddress, "tls">,
  reach: () => Promise<DatabaseTarget>,
  { name, todo, isPooled }: Place,
  log: Log,
): Promise<DatabaseFindings> {
  const where = describeTarget(address);
  const fails = (error: unknown) => {
    const text = `${where} cannot be used: ${errorMessage(error)}`;
    return broken(name, text, error instanceof DatabaseRightsError ? error.mend : todo);
  };
  try {
    const target = await reach();
    const database = openDatabase({ target: { ...target, pooled: isPooled }, log });
    return await checkOpened(database).finally(() => database.close());
  } catch (error) {
    return { findings: [fails(error)], clocks: [] };
  }

  async function checkOpened(database: Database): Promise<DatabaseFindings> {
    const { findings, clocks } = await examineDatabase(database, { name, where, host: address.host }, log);
    const jobs = isPooled ? [] : await checkJobsDriver(database, fails);
    return { findings: [...findings, ...checkHosts(name, await database.surveyHosts()), ...jobs], clocks };
  }
}

/** What an open database says of itself, and of what lies in it. Rejects where it does not answer. */
export async function examineDatabase(
  database: Pick<Database, "sql" | "layout">,
  { name, where, host }: { name: string; where: string; host: string },
  log: Log,
): Promise<DatabaseFindings> {
  const { facts, state, skewS } = await ask(database, log);
  const isOther = !isAbsolute(host);
  return {
    findings: [
      checkVersion(name, where, facts),
      checkTables(state),
      ...checkQuarantine(facts),
      ...checkCollectors(facts),
      ...checkTokens(facts),
      ...checkAgentVersions(facts),
    ],
    clocks: isOther ? [{ whose: `the database (${host})`, skewS }] : [],
  };
}

/** Of several hosts each is told; one that is away is missed at the next failover, and two that take writes drift apart. */
function checkHosts(name: string, hosts: readonly HostReport[]): Finding[] {
  if (hosts.length < 2) return [];
  const text = `hosts: ${hosts.map(({ host, is, why }) => `${host} is ${is}${why === undefined ? "" : ` (${why})`}`).join(", ")}`;
  const histories = new Set(hosts.flatMap(({ is, history }) => (is === "writable" ? [history] : [])));
  if (histories.size > 1) return [doubtful(name, text, TWO_PRIMARIES)];
  const isAway = hosts.some(({ is }) => is === "away");
  if (isAway) return [doubtful(name, text, "start what is away: a failover needs it")];
  const isForgetful =
    hosts.some(({ is }) => is === "standby") && hosts.some(({ isSynchronous }) => isSynchronous === false);
  return [isForgetful ? doubtful(name, `${text}; commits do not wait for the standby`, SYNCHRONOUS) : fine(name, text)];
}

const SYNCHRONOUS =
  "set synchronous_standby_names on the primary: else a failover may lose what was acknowledged last, README: Several nodes";
const TWO_PRIMARIES = "stop the one that was not promoted, and make it a standby again (pg_rewind)";

/** The jobs have a driver of their own, which may fail where ours gets on; nothing is said where it does too. */
async function checkJobsDriver(database: Database, fails: (error: unknown) => Finding): Promise<Finding[]> {
  try {
    await tryJobsDriver(database);
    return [];
  } catch (error) {
    return [fails(new Error(`the jobs' driver: ${errorMessage(error)}`, { cause: error }))];
  }
}

async function ask(database: Pick<Database, "sql" | "layout">, log: Log) {
  const late = (error: unknown) => log.debug({ error: errorMessage(error) }, "the database answered too late");
  return withDeadline(askAll(database), ANSWER_LIMIT_MS, "the database's answer", late);
}

async function askAll(
  database: Pick<Database, "sql" | "layout">,
): Promise<{ facts: DatabaseFacts; state: MigrationState; skewS: number }> {
  const { sql } = database;
  // The first connects; the second's way there and back is short.
  await readDatabaseFacts(sql);
  const beforeMs = Date.now();
  const facts = await readDatabaseFacts(sql);
  const skewS = (facts.nowMs - (beforeMs + Date.now()) / 2) / 1000;
  return { facts, state: await readMigrationState(database), skewS };
}

function checkVersion(name: string, where: string, { version, nodes }: DatabaseFacts): Finding {
  const text = `PostgreSQL ${version}, ${where}${nodes === null ? "" : `; servers that run on it: ${nodes}`}`;
  if (Number.parseInt(version, 10) >= POSTGRES_MIN) return fine(name, text);
  return broken(name, text, `use PostgreSQL ${POSTGRES_MIN} or newer`);
}

function checkQuarantine({ quarantine }: DatabaseFacts): Finding[] {
  if (quarantine === null) return [];
  const { count, newestAt, error } = quarantine;
  const text = `${count} frames could not be stored for a fault of the server's own, the last at ${newestAt.toISOString()}: ${error}`;
  const todo =
    "a newer version may know better; the table quarantine keeps the frames for RETENTION, with the whole error";
  return [doubtful("quarantine", text, todo)];
}

const BLIND_SHOWN = 5;

function checkCollectors({ blind }: DatabaseFacts): Finding[] {
  if (blind.length === 0) return [];
  const shown = blind.slice(0, BLIND_SHOWN).map(({ host, name, since, why }) => {
    return `${name} on ${host} since ${since.toISOString()} (${why})`;
  });
  const more = blind.length > BLIND_SHOWN ? `; and ${blind.length - BLIND_SHOWN} more` : "";
  const text = `collectors that cannot see: ${shown.join("; ")}${more}`;
  const todo =
    "run `opspilot agent check` on the host, which says what is missing; OPSPILOT_COLLECTORS there switches one off";
  return [doubtful("collectors", text, todo)];
}

function checkTokens({ sharedTokens }: DatabaseFacts): Finding[] {
  const todo = "give each host a token of its own: opspilot token create, then opspilot agent install --token there";
  return sharedTokens.map((hosts) => doubtful("tokens", `several hosts use one token: ${hosts.join(", ")}`, todo));
}

function checkAgentVersions({ serverVersions, agentVersions }: DatabaseFacts): Finding[] {
  const old = agentVersions.filter(({ version }) => serverVersions.some((server) => isOlder(version, server)));
  if (old.length === 0) return [];
  const shown = old.map(({ version, count, host }) => {
    return `${version} on ${host}${count > 1 ? ` and ${count - 1} more` : ""}`;
  });
  const text = `agents that are older than the server (${serverVersions.join(", ")}): ${shown.join("; ")}`;
  return [doubtful("agents", text, "on each of these hosts: sudo opspilot agent update")];
}

function checkTables({ missing, isNewer }: MigrationState): Finding {
  const name = "tables";
  if (isNewer)
    return broken(name, "they were made by a newer OpsPilot", "run that version, or restore an older backup");
  if (missing === 0) return fine(name, "up to date");
  return doubtful(name, `${missing} migrations are missing`, "opspilot migrate, or start the server, which does it");
}
