import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { embeddedMigrations, migrate } from "../../src/db/migrate.ts";
import { StartupError } from "../../src/lib/errors.ts";
import { quiet } from "../support/log.ts";
import { createEmptyDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let own: TestDatabase;
beforeEach(async () => {
  own = await createEmptyDatabase();
});
afterEach(() => own.close());

const applied = () => own.database.sql`select hash from drizzle.__drizzle_migrations order by created_at`;
const hashes = embeddedMigrations().map(({ hash }) => ({ hash }));

async function refusal(work: Promise<void>): Promise<StartupError> {
  const error = await work.catch((caught) => caught);
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

describe("migrations", () => {
  test("make the tables, and a second time do nothing", async () => {
    await migrate(own.database, quiet);
    await migrate(own.database, quiet);
    expect([...(await applied())]).toEqual(hashes);
    const tables = await own.database
      .sql`select tablename as name from pg_tables where schemaname = 'public' order by 1`;
    const names = [
      "access_tokens",
      "agents",
      "alerts",
      "announcements",
      "collectors",
      "commands",
      "cron_jobs",
      "decisions",
      "enrolments",
      "events",
      "feedback",
      "figure_windows",
      "figures_1h",
      "figures_1m",
      "figures_5m",
      "figures_kept",
      "figures_rolled",
      "incidents",
      "integrations",
    ];
    names.push(
      "investigation_steps",
      "investigations",
      "model_calls",
      "nodes",
      "oidc_sign_ins",
      "outages",
      "outlets",
      "quarantine",
      "revoked_tokens",
      "sessions",
      "silences",
      "slack_callbacks",
      "token_hosts",
    );
    expect(tables.map(({ name }) => name)).toEqual(names);
    const [agents] = await own.database.sql`select reloptions from pg_class where relname = 'agents'`;
    expect(agents?.reloptions).toEqual(["fillfactor=70"]);
  });

  test("are made once by nodes that start together", async () => {
    const nodes = Array.from({ length: 4 }, () => openDatabase({ target: own.target, log: quiet }));
    await Promise.all(nodes.map((node) => migrate(node, quiet)));
    await Promise.all(nodes.map((node) => node.close()));
    expect([...(await applied())]).toEqual(hashes);
  });

  test("are not waited for without end", async () => {
    const other = own.database.createSession();
    const holding = other.begin(async (tx) => {
      await tx`select pg_advisory_lock(${0x6f70736d})`;
      await tx`select pg_sleep(30)`;
    });
    const ended = holding.catch((error) => error.code);
    // Of this database: others of the same PostgreSQL have locks of their own.
    await until(async () => {
      const rows = await own.database.sql`
        select 1 from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and l.granted and d.datname = current_database()`;
      return rows.length > 0;
    });
    const error = await refusal(migrate(own.database, quiet, { lockLimitMs: 50 }));
    expect(error).toMatchObject({ exitCode: 69, message: expect.stringContaining("another node") });
    await other.end({ timeout: 0 });
    expect(await ended).toBe("CONNECTION_DESTROYED");
  }, 180_000);

  test("refuse a database of a newer release, and leave it alone", async () => {
    await migrate(own.database, quiet);
    const future = Date.now() + 1e12;
    await own.database.sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('new', ${future})`;
    const error = await refusal(migrate(own.database, quiet));
    expect(error).toMatchObject({ exitCode: 78, message: expect.stringContaining("newer OpsPilot") });
    expect(await applied()).toHaveLength(hashes.length + 1);
  });

  test("refuse an old PostgreSQL", async () => {
    const session = Object.assign(async () => [{ version: "13.16 (Debian)" }], { end: async () => undefined });
    const old = { createSession: () => session } as unknown as Database;
    const error = await refusal(migrate(old, quiet));
    expect(error).toMatchObject({ exitCode: 78, message: expect.stringContaining("PostgreSQL 13.16") });
  });
});
