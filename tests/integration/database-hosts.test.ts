import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { parseDatabaseUrl } from "../../src/config/database-url.ts";
import { isDatabaseAway } from "../../src/db/away.ts";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { NO_HOST } from "../../src/db/hosts.ts";
import { acquireDatabase } from "../../src/db/open.ts";
import { settleTls } from "../../src/db/target.ts";
import { tryJobsDriver } from "../../src/jobs/jobs.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { freePort } from "../support/executable.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let own: TestDatabase;
/** Two ways to it, as if there were two hosts. */
let ways: [DatabaseProxy, DatabaseProxy];
beforeAll(async () => {
  own = await createTestDatabase();
  ways = [await startDatabaseProxy(own.target), await startDatabaseProxy(own.target)];
});
afterAll(async () => {
  await Promise.all(ways.map((way) => way.stop()));
  await own.close();
});

const portOf = (way: DatabaseProxy) => Number(new URL(way.url).port);

function urlOf(ports: readonly number[], more = ""): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(",");
  return ways[0].url.replace(/127\.0\.0\.1:\d+/, hosts) + more;
}

async function open(url = urlOf(ways.map(portOf))): Promise<Database> {
  return openDatabase({ target: await settleTls(parseDatabaseUrl(url)), log: quiet });
}

const pid = async (database: Pick<Database, "sql">) =>
  (await database.sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]?.pid;

describe("of several hosts", () => {
  test("the first is used, the next when it is away, by both drivers, and it stays with that", async () => {
    const database = await open();
    const before = await pid(database);
    ways[1].cut();
    await tryJobsDriver(database);
    expect(await pid(database)).toBe(before as number);
    ways[1].mend();
    ways[0].cut();
    const second = await until(() => pid(database).catch(() => null), { what: "the second host" });
    await tryJobsDriver(database);
    ways[0].mend();
    await tryJobsDriver(database);
    expect(await pid(database)).toBe(second);
    expect(await database.surveyHosts()).toMatchObject([{ is: "writable" }, { is: "writable" }]);
    await database.close();
  });

  test("none is left: what was tried is told, and it counts as away", async () => {
    const [dead, deader] = [await freePort(), await freePort()];
    const database = await open(urlOf([dead, deader]));
    const error = await database.sql`select 1`.catch((caught) => caught);
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    expect(error.message).toContain(`127.0.0.1:${dead}: `);
    expect(error.message).toContain(`127.0.0.1:${deader}: `);
    expect(isDatabaseAway(error)).toBe(true);
    expect(await database.ping(1_000)).toBe(false);
    expect(await database.surveyHosts()).toMatchObject([{ is: "away" }, { is: "away" }]);
    await database.close();
    await expect(tryJobsDriver(database)).rejects.toMatchObject({ code: NO_HOST });
  });

  test("a wrong password, which each refuses, ends a start at once", async () => {
    const url = urlOf(ways.map(portOf)).replace(/:[^:@]+@/, ":hunter2@");
    const startedMs = performance.now();
    const options = { clock: createSystemClock(), log: quiet, role: "serve" as const };
    const starting = acquireDatabase({
      ...options,
      config: { database: { url, directUrl: null }, dataDir: "/nowhere" },
    });
    await expect(starting).rejects.toThrow(/password authentication failed/);
    expect(performance.now() - startedMs).toBeLessThan(12_000);
  });

  test("one that takes no writes is passed over, unless any will do", async () => {
    const name = own.target.database;
    await own.database.sql`alter database ${own.database.sql(name)} set default_transaction_read_only = on`;
    const [database, any] = [await open(), await open(urlOf(ways.map(portOf), "&target_session_attrs=any"))];
    await expect(pid(database)).rejects.toThrow("it takes no writes (default_transaction_read_only)");
    expect(await pid(any)).toBeGreaterThan(0);
    await own.database.sql.begin(async (tx) => {
      await tx`set transaction read write`;
      await tx`alter database ${tx(name)} set default_transaction_read_only = off`;
    });
    await until(() => pid(database).catch(() => null), { what: "it takes writes again" });
    await Promise.all([database.close(), any.close()]);
  });
});

describe("a connection to a server that only reads", () => {
  test("is left after the first write that was refused, whose reason is told", async () => {
    const sql = own.database.createClient();
    const backend = () => pid({ sql });
    const before = await backend();
    await sql`set default_transaction_read_only = on`;
    expect(await backend()).toBe(before as number);
    await expect(sql`create table t ()`).rejects.toMatchObject({ code: "25006" });
    const next = await until(() => backend().catch(() => null), { what: "another connection" });
    expect(next).not.toBe(before as number);

    await sql`set default_transaction_read_only = on`;
    const work = sql.begin(async (tx) => {
      await tx`select 1`;
      await tx`create table t ()`;
    });
    await expect(work).rejects.toMatchObject({ code: "25006" });
    expect(await until(() => backend().catch(() => null), { what: "a third one" })).not.toBe(next);
    await sql.end();
  });
});
