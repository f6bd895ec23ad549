import { isAbsolute } from "node:path";
import type { Sql } from "postgres";
import type { Config } from "../../config.ts";
import { type Database, openDatabase } from "../../db/client.ts";
import { type MigrationState, POSTGRES_MIN, readMigrationState } from "../../db/migrate.ts";
import { type DatabaseTarget, describeTarget, parseDatabaseUrl } from "../../db/target.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { errorMessage } from "../../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../../lib/finding.ts";
import type { Log } from "../../lib/log.ts";
import type { OtherClock } from "./clock.ts";
import { type DatabaseFacts, readDatabaseFacts } from "./database-store.ts";

const ANSWER_LIMIT_MS = 8_000;

/** What was found, and the database's clock where it answered and is another machine's. */
export interface DatabaseFindings {
  readonly findings: Finding[];
  readonly clocks: OtherClock[];
}

/** Looks at the database that the settings name. The built-in one is used where it runs, and never started. */
export async function checkDatabase(config: Pick<Config, "database" | "dataDir">, log: Log): Promise<DatabaseFindings> {
  if (config.database === null) return checkBuiltIn(config.dataDir, log);
  const { url, directUrl } = config.database;
  const main = await checkUrl("DATABASE_URL", url, "database", log);
  if (directUrl === null) return main;
  const direct = await checkUrl("DATABASE_URL_DIRECT", directUrl, "database, direct", log);
  return { findings: [...main.findings, ...direct.findings], clocks: main.clocks };
}

async function checkBuiltIn(dataDir: string, log: Log): Promise<DatabaseFindings> {
  const { findRunning } = await import("../../db/embedded/find-running.ts");
  try {
    const target = findRunning(dataDir);
    if (target) return await checkTarget(target, "database", "look at postgres.log in the data directory", log);
    const todo = "nothing, if no server is meant to run now; else start it: opspilot serve";
    return { findings: [doubtful("database", "the built-in PostgreSQL does not run", todo)], clocks: [] };
  } catch (error) {
    const todo = "run doctor as the user that the server runs as, or as root";
    return { findings: [broken("database", `the built-in PostgreSQL: ${errorMessage(error)}`, todo)], clocks: [] };
  }
}

async function checkUrl(setting: string, url: string, name: string, log: Log): Promise<DatabaseFindings> {
  try {
    const todo = `check ${setting}: host, port, user, password, database, and whether a firewall is between`;
    return await checkTarget(parseDatabaseUrl(url), name, todo, log);
  } catch (error) {
    return { findings: [broken(name, `${setting} ${errorMessage(error)}`, `correct ${setting}`)], clocks: [] };
  }
}

async function checkTarget(target: DatabaseTarget, name: string, todo: string, log: Log): Promise<DatabaseFindings> {
  const where = describeTarget(target);
  const database = openDatabase({ target, log });
  try {
    const { facts, state, skewS } = await ask(database, log);
    const isOther = !isAbsolute(target.host);
    const clocks = isOther ? [{ whose: `the database (${target.host})`, skewS }] : [];
    return { findings: [checkVersion(name, where, facts), checkTables(state)], clocks };
  } catch (error) {
    return { findings: [broken(name, `${where} cannot be used: ${errorMessage(error)}`, todo)], clocks: [] };
  } finally {
    await database.close();
  }
}

async function ask(database: Database, log: Log) {
  const late = (error: unknown) => log.debug({ error: errorMessage(error) }, "the database answered too late");
  return withDeadline(askAll(database.sql), ANSWER_LIMIT_MS, "the database's answer", late);
}

async function askAll(sql: Sql): Promise<{ facts: DatabaseFacts; state: MigrationState; skewS: number }> {
  // The first connects; the second's way there and back is short.
  await readDatabaseFacts(sql);
  const beforeMs = Date.now();
  const facts = await readDatabaseFacts(sql);
  const skewS = (facts.nowMs - (beforeMs + Date.now()) / 2) / 1000;
  return { facts, state: await readMigrationState(sql), skewS };
}

function checkVersion(name: string, where: string, { version, nodes }: DatabaseFacts): Finding {
  const text = `PostgreSQL ${version}, ${where}${nodes === null ? "" : `; servers that run on it: ${nodes}`}`;
  if (Number.parseInt(version, 10) >= POSTGRES_MIN) return fine(name, text);
  return broken(name, text, `use PostgreSQL ${POSTGRES_MIN} or newer`);
}

function checkTables({ missing, isNewer }: MigrationState): Finding {
  const name = "tables";
  if (isNewer)
    return broken(name, "they were made by a newer OpsPilot", "run that version, or restore an older backup");
  if (missing === 0) return fine(name, "up to date");
  return doubtful(name, `${missing} migrations are missing`, "opspilot migrate, or start the server, which does it");
}
