import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { parseDatabaseUrl } from "../../src/config/database-url.ts";
import { isDatabaseAway } from "../../src/db/away.ts";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { reachDatabase } from "../../src/db/open.ts";
import { tryJobsDriver } from "../../src/jobs/jobs.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { type StockPostgres, startStockPostgres } from "../support/stock-postgres.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const LOGIN = { user: "opspilot", password: "opspilot", database: "opspilot" };
/** With the grace, what was swallowed is known to be lost within about 2 s. */
const SHORT = { statementLimitMs: 500 };

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
});
afterAll(() => own.close());

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Why it rejects. */
const failure = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => expect.unreachable("it went well"),
    (error: unknown) => error as Error & { code: string },
  );

describe("a statement that takes too long", () => {
  test("is ended by the server, and may be tried again", async () => {
    const error = await failure(own.database.createClient(SHORT)`select pg_sleep(5)`);
    expect(error.code).toBe("57014");
    expect(isDatabaseAway(error)).toBe(true);
  });

  test("is ended while it waits for a lock, except for who waits on purpose", async () => {
    const holder = own.database.createClient();
    const held = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    const holding = holder.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(1)`;
      held.resolve();
      await done.promise;
    });
    await held.promise;
    const patient = own.database.createSession({ statementLimitMs: 0 });
    const waited = patient`select pg_advisory_lock(1)`.execute();
    expect((await failure(own.database.createClient(SHORT)`select pg_advisory_lock(1)`)).code).toBe("57014");
    done.resolve();
    await holding;
    await waited;
  });

  test("has its end on every connection, the other driver's too", async () => {
    const read = "select name, setting from pg_settings where name like '%timeout' and setting <> '0'";
    const settings = { statement_timeout: "8000", idle_in_transaction_session_timeout: "10000" };
    const { database } = own;
    for (const client of [database.sql, database.createClient(), database.createSession()]) {
      const rows = await client.unsafe<{ name: string; setting: string }[]>(read);
      expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toMatchObject(settings);
    }
    const migrating = await database.createSession({ statementLimitMs: 0 })`
      select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle`;
    expect([...migrating]).toEqual([{ statement: "0", idle: "0" }]);
    const [held] = await database.createSession({ idleLimitMs: 15_000 })`show idle_session_timeout`;
    expect(held).toEqual({ idle_session_timeout: "15s" });
  });
});

describe.each([
  ["in the clear", false],
  ["over TLS", true],
])("a connection %s that swallows everything", (_, hasTls) => {
  let postgres: StockPostgres;
  let proxy: TcpProxy;
  let database: Database;
  beforeAll(async () => {
    postgres = await startStockPostgres(LOGIN, { hasTls });
    proxy = await startTcpProxy(postgres.port);
    const { user, password, database: name } = LOGIN;
    const address = parseDatabaseUrl(`postgres://${user}:${password}@127.0.0.1:${proxy.port}/${name}`);
    const target = await reachDatabase(address, false, quiet);
    expect(target.tls !== false).toBe(hasTls);
    database = openDatabase({ target, log: quiet });
  }, 180_000);
  afterAll(async () => {
    await database.close();
    proxy.stop();
    await postgres.stop();
  }, 180_000);

  test("is given up: all that waits on it rejects, and what comes next connects anew", async () => {
    const client = database.createClient(SHORT);
    const [before] = await client`select pg_backend_pid() as pid`;
    proxy.forget();
    const startedMs = performance.now();
    const errors = await Promise.all(Array.from({ length: 5 }, () => failure(client`select 1`)));
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(errors.map(isDatabaseAway)).toEqual(Array(5).fill(true));
    const [after] = await client`select pg_backend_pid() as pid`;
    expect(after?.pid).not.toBe(before?.pid);
  });

  test("is given up in a transaction, whose locks the server gives back", async () => {
    const client = database.createClient(SHORT);
    await client`select 1`;
    const error = await failure(
      client.begin(async (tx) => {
        await tx`set local idle_in_transaction_session_timeout = 1000`;
        await tx`select pg_advisory_xact_lock(2)`;
        proxy.forget();
        await tx`select 1`;
      }),
    );
    expect(isDatabaseAway(error)).toBe(true);
    await database.createClient()`select pg_advisory_xact_lock(2)`;
  });

  test("is left alone while it answers, however long that takes all in all", async () => {
    const client = database.createClient({ statementLimitMs: 2_000 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => client`select pg_sleep(0.4)`));
    expect(answers).toHaveLength(12);
  });

  test("takes with it those that heard nothing either, of the other driver too; who waits on purpose stays", async () => {
    const closed: string[] = [];
    const session = (name: string, statementLimitMs?: number) =>
      database.createSession({
        ...(statementLimitMs === undefined ? {} : { statementLimitMs }),
        onNotify: () => undefined,
        onClose: () => closed.push(name),
      });
    const listening = session("listening");
    const patient = session("patient", 0);
    await Promise.all([listening`listen a`, patient`listen a`, database.sql`select 1`]);
    const socket = database.createSocket();
    socket.connect(proxy.port, "127.0.0.1");
    const client = database.createClient(SHORT);
    await client`select 1`;
    proxy.forget();
    await failure(client`select 1`);
    await until(() => closed.length > 0 && socket.destroyed);
    expect(closed).toEqual(["listening"]);
    const startedMs = performance.now();
    await database.sql`select 1`;
    expect(performance.now() - startedMs).toBeLessThan(500);
    await patient.end({ timeout: 0 });
  });

  test("is asked for nothing more from then on, nor are those that it takes with it", async () => {
    await database.sql`select 1`;
    const client = database.createClient(SHORT);
    await client`select 1`;
    proxy.forget();
    const next = client`select 1`.catch(() => database.sql`select 1 as one`);
    expect(await next).toEqual([{ one: 1 }] as never);
  });

  test("is given up while it is made", async () => {
    proxy.hold();
    const error = await failure(database.createClient(SHORT)`select 1`);
    proxy.mend();
    expect(isDatabaseAway(error)).toBe(true);
    expect(await database.createClient()`select 1 as one`).toEqual([{ one: 1 }] as never);
  }, 180_000);

  test("is the other driver's, which goes by the same limits", async () => {
    proxy.hold();
    const startedMs = performance.now();
    await failure(tryJobsDriver(database));
    proxy.mend();
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    await tryJobsDriver(database);
  }, 180_000);
});

test("a pooler that takes no limits as a connection is made is told none", async () => {
  const startups: string[] = [];
  const server = createServer((client) => {
    client.on("error", () => client.destroy());
    client.once("data", (first: Buffer) => {
      startups.push(String(first));
      if (startups.at(-1)?.includes("statement_timeout")) refuse(client, "unsupported startup parameter: options");
      else join(client, first);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => server.close());
  const { port } = server.address() as { port: number };
  const address = { ...own.target, host: "127.0.0.1", port, tls: { mode: "disable" } } as const;
  const target = await reachDatabase(address, false, quiet);
  expect(startups.map((text) => text.includes("options"))).toEqual([true, false, false]);
  const database = openDatabase({ target, log: quiet });
  stops.push(() => database.close());
  expect(await database.sql`select 1 as one`).toEqual([{ one: 1 }] as never);
  await tryJobsDriver(database);

  function refuse(client: Socket, message: string): void {
    const text = Buffer.from(`SFATAL\0C08P01\0M${message}\0\0`);
    const head = Buffer.alloc(5, "E");
    head.writeInt32BE(text.length + 4, 1);
    client.end(Buffer.concat([head, text]));
  }

  function join(client: Socket, first: Buffer): void {
    const upstream = connect(`${own.target.host}/.s.PGSQL.${own.target.port}`);
    upstream.on("error", () => client.destroy());
    client.on("close", () => upstream.destroy());
    upstream.write(first);
    client.pipe(upstream).pipe(client);
  }
});
