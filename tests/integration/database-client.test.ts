import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { type DatabaseAddress, parseDatabaseUrl } from "../../src/config/database-url.ts";
import { openDatabase } from "../../src/db/client.ts";
import { settleTls } from "../../src/db/target.ts";
import { CERTIFICATE } from "../support/certificate.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTlsProxy } from "../support/tls-proxy.ts";
import { until } from "../support/until.ts";

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
});
afterAll(() => own.close());

describe("the database's clients", () => {
  test("read and write times, big numbers, JSON and arrays", async () => {
    const { sql } = own.database;
    const at = new Date("2026-01-02T03:04:05.678Z");
    const ids = [crypto.randomUUID(), crypto.randomUUID()];
    const [row] = await sql`
      select ${at}::timestamptz as at, 9007199254740993::bigint as big, ${sql.json({ a: [1, "b"] })}::jsonb as json,
        ${ids}::uuid[] as ids, ${["a", 'b"\\', null]}::text[] as texts, ${[1, 2]}::int[] as numbers,
        ${sql.array([true, false])} as booleans, ${sql.array([at])} as times`;
    expect(row).toEqual({
      at,
      big: "9007199254740993",
      json: { a: [1, "b"] },
      ids,
      texts: ["a", 'b"\\', null],
      numbers: [1, 2],
      booleans: [true, false],
      times: [at],
    });
  });

  test("take nothing from PG* variables", async () => {
    const names = "HOST PORT USER PASSWORD DATABASE APPNAME SSL SSLNEGOTIATION MAX TARGETSESSIONATTRS".split(" ");
    for (const name of names) process.env[`PG${name}`] = "rubbish";
    const { target } = own;
    const database = openDatabase({ target, log: quiet });
    try {
      const [row] = await database.sql`
        select current_user as user, current_database() as database, current_setting('application_name') as name`;
      expect(row).toEqual({ user: target.user, database: target.database, name: "opspilot" });
    } finally {
      for (const name of names) delete process.env[`PG${name}`];
      await database.close();
    }
  });

  test("work through a transaction pooler: nothing is prepared there", async () => {
    const database = openDatabase({ target: own.target, direct: own.target, log: quiet });
    await database.sql`select ${1}::int`;
    const [pooled] = await database.sql`select count(*)::int as statements from pg_prepared_statements`;
    expect(pooled).toEqual({ statements: 0 });
    await database.close();
  });

  test("come back by themselves after their connections were cut", async () => {
    const { database } = own;
    const name = "to be cut";
    const client = database.createClient({ applicationName: name });
    const [before] = await client`select pg_backend_pid() as pid`;
    await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${name}`;
    const after = await until(() => client`select pg_backend_pid() as pid`.catch(() => null));
    expect(after[0]?.pid).not.toBe(before?.pid);
    await client.end();
  });

  test("are destroyed alone, in the middle of a transaction", async () => {
    const { database } = own;
    const client = database.createClient();
    const work = client.begin((tx) => tx`select pg_sleep(30)`).catch((error) => error.code);
    await until(() =>
      database.sql`select 1 from pg_stat_activity where query like 'select pg_sleep%'`.then((r) => r[0]),
    );
    await client.end({ timeout: 0 });
    expect(await work).toBe("CONNECTION_DESTROYED");
    expect(await database.ping(1_000)).toBe(true);
  });

  test("let a transaction whose connection was cut go on nowhere else", async () => {
    const { sql, createClient } = own.database;
    await sql`create table half_done (n int)`;
    const client = createClient({ connections: 1, applicationName: "half done" });
    const [begun, mayGoOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const late = Promise.withResolvers<unknown>();
    const transaction = client.begin(async (tx) => {
      await tx`insert into half_done values (1)`;
      begun.resolve();
      await mayGoOn.promise;
      await tx`insert into half_done values (2)`.then(late.resolve, late.resolve);
    });
    const outcome = transaction.catch((error: unknown) => error);
    await begun.promise;
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'half done'`;
    expect(await outcome).toHaveProperty("code", "CONNECTION_CLOSED");
    await client`select 1`;
    mayGoOn.resolve();
    expect(await late.promise).toBeInstanceOf(Error);
    expect(await sql`select n from half_done`).toHaveLength(0);
    await client.end();
  });

  test("end all together, twice", async () => {
    const database = openDatabase({ target: own.target, log: quiet });
    const clients = [database.sql, database.createClient(), database.createSession()];
    for (const client of clients) await client`select 1`;
    await database.close();
    await database.close();
    for (const client of clients) await expect(client`select 1`.execute()).rejects.toThrow("CONNECTION_ENDED");
  });
});

describe("a ping", () => {
  test("knows a database that is not there, and one that is silent", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = silent;
    const database = openDatabase({ target: { ...own.target, host: "127.0.0.1", port }, log: quiet });
    expect(await Promise.all([database.ping(100), database.ping(100)])).toEqual([false, false]);
    silent.stop(true);
    expect(await database.ping(2_000)).toBe(false);
    await database.close();
  });

  test("notices that the database went away", async () => {
    const proxy = await startTlsProxy(own.target, { hasTls: false });
    const target = { ...own.target, host: "127.0.0.1", port: proxy.port };
    const database = openDatabase({ target, log: quiet });
    expect(await database.ping(2_000)).toBe(true);
    proxy.stop();
    await until(async () => !(await database.ping(500)));
    await database.close();
  });
});

describe("TLS", () => {
  const cases: [mode: string, hasTls: boolean, host: string, "plain" | "tls" | "refused"][] = [
    ["sslmode=disable", true, "127.0.0.1", "plain"],
    ["", true, "127.0.0.1", "tls"],
    ["", false, "127.0.0.1", "plain"],
    ["sslmode=prefer", false, "127.0.0.1", "plain"],
    ["sslmode=require", true, "127.0.0.1", "tls"],
    ["sslmode=require", false, "127.0.0.1", "refused"],
    ["sslmode=verify-full", true, "localhost", "refused"],
    ["sslmode=verify-full&ca", true, "localhost", "tls"],
    ["sslmode=verify-full&ca", true, "127.0.0.1", "tls"],
    ["sslmode=verify-ca&ca", true, "127.0.0.1", "tls"],
    ["sslmode=verify-ca", true, "localhost", "refused"],
  ];
  test.each(cases)("%p with a server that has TLS: %p, at %p, is %p", async (query, hasTls, host, expected) => {
    const proxy = await startTlsProxy(own.target, { hasTls });
    const { user, password, database: name } = own.target;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${proxy.port}/${name}?${query.replace("&ca", "")}`;
    const address = parseDatabaseUrl(url);
    const tls = query.endsWith("&ca") ? { ...address.tls, ca: CERTIFICATE } : address.tls;
    expect(await connectionTo({ ...address, tls }).catch(() => "refused")).toBe(expected);
    proxy.stop();

    async function connectionTo(whole: DatabaseAddress): Promise<string | undefined> {
      const database = openDatabase({ target: await settleTls(whole), log: quiet });
      await database.sql`select 1`.finally(() => database.close());
      return proxy.kinds.at(-1);
    }
  });

  test.each([
    ["says nothing", () => undefined, "did not say within 5 s"],
    ["hangs up", (client: Socket) => void client.end(), "hung up"],
    ["is another program", (client: Socket) => void client.write("220 mail.example.com\r\n"), "no PostgreSQL"],
  ])(
    "cannot be settled with a server that %s",
    async (_, answer, message) => {
      const server = createServer(
        (client) => void client.on("error", () => client.destroy()).once("data", () => answer(client)),
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      await expect(settleTls(parseDatabaseUrl(`postgres://me:secret@127.0.0.1:${port}/ops`))).rejects.toThrow(message);
      server.close();
    },
    180_000,
  );
});
