import { rm } from "node:fs/promises";
import type { Sql } from "postgres";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import type { DatabaseTarget } from "../../src/db/target.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { atEnd } from "./at-end.ts";
import { quiet } from "./log.ts";
import { allowSuperuser, clearLeftOvers, makeDataDir } from "./own-postgres.ts";
import { until } from "./until.ts";

/** An empty database with the current tables, of one test file alone. */
export interface TestDatabase {
  readonly target: DatabaseTarget;
  /** The same, for DATABASE_URL. */
  readonly url: string;
  /** Open, for the test's own looks. */
  readonly database: Database;
  /** Ends its connections and drops it. */
  close(): Promise<void>;
}

const TEMPLATE = "test_template";

/** The one PostgreSQL of the run. */
interface Shared {
  readonly target: DatabaseTarget;
  /** As the superuser, which alone may make databases. */
  readonly admin: Sql;
  stop(): Promise<void>;
}

// While the first test file that needs it is loaded: that, unlike a hook, has no time limit, and the file cannot go on without.
const shared = await start();
atEnd(shared.stop);
let created = 0;

/** A database of its own, in the one PostgreSQL that all test files share. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { admin } = shared;
  const name = `test_${++created}`;
  // Copying files would wait for a checkpoint; a new database is small enough to be written to the log.
  await admin`create database ${admin(name)} template ${admin(TEMPLATE)} owner ${admin(shared.target.user)}`;
  const target = { ...shared.target, database: name };
  const database = openDatabase({ target, log: quiet });
  return {
    target,
    url: urlOf(target),
    database,
    async close() {
      await database.close();
      await admin`drop database if exists ${admin(name)} with (force)`;
    },
  };
}

/** A database without tables; else as createTestDatabase. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const made = await createTestDatabase();
  await made.database.sql`drop schema public cascade`;
  await made.database.sql`drop schema drizzle cascade`;
  await made.database.sql`create schema public`;
  return made;
}

async function start(): Promise<Shared> {
  await clearLeftOvers();
  const dataDir = await makeDataDir();
  const embedded = await startEmbedded({ dataDir, clock: createSystemClock(), log: quiet, role: "serve" });
  const { target } = embedded;
  const superuser = openDatabase({ target: await allowSuperuser(dataDir, embedded), log: quiet });
  // Copying a database on a machine that is busy with tests takes its time.
  const admin = superuser.createSession({ statementLimitMs: 0 });
  await until(() => admin`select 1`.catch(() => null), { what: "the superuser is let in" });
  await admin`create database ${admin(TEMPLATE)} owner ${admin(target.user)}`;
  const template = openDatabase({ target: { ...target, database: TEMPLATE }, log: quiet });
  await migrate(template, quiet);
  await template.close();
  return {
    target,
    admin,
    async stop() {
      await superuser.close();
      await embedded.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The target as a URL. */
export function urlOf({ host, port, user, password, database }: DatabaseTarget): string {
  const query = new URLSearchParams({ host, port: String(port), sslmode: "disable" });
  return `postgres://${user}:${encodeURIComponent(password)}@localhost/${database}?${query}`;
}
