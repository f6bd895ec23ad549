import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const HOURS = 2;

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  server = await startTestServer(database.url, { HEARTBEAT_TIMEOUT: "1s" });
});
afterEach(() => server.stop());
afterAll(() => database.close());

/** To the server it is the same whether its database's clock goes back or all that the clock has said goes ahead. */
async function putClockBack(): Promise<void> {
  const { sql } = database.database;
  await sql.begin(async (tx) => {
    const columns = await tx<{ name: string; names: string[] }[]>`
      select c.oid::regclass::text as name, array_agg(a.attname::text) as names
      from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
      where n.nspname in ('public', 'pgboss') and c.relkind = 'r' and a.atttypid = 'timestamptz'::regtype and a.attnum > 0
      group by 1`;
    for (const { name, names } of columns)
      await tx.unsafe(
        `update ${name} set ${names.map((one) => `${one} = ${one} + interval '${HOURS} hours'`).join(", ")}`,
      );
  });
}

const incidents = async (source: string) => {
  const { body } = await server.api("/v1/incidents");
  return (body as { source: string; status: string; raw_error: string }[]).filter((one) => one.source === source);
};

const heartbeat = (id: string, token: string, hostname: string) => ({
  ...alertFrame(id, token),
  type: "heartbeat",
  data: JSON.stringify({ hostname }),
});

test("after the database's clock was put back a dead agent is noticed, failures open incidents, and what is due is done", async () => {
  const [dies, lives] = [await server.connect(), await server.connect()];
  for (const id of ["1", "2"]) dies.send(heartbeat(id, "token-dies", "web-01"));
  lives.send(alertFrame("1", "token-lives", { source: "nginx" }));
  lives.send(alertFrame("2", "token-lives", { source: "nginx", state: "resolved" }));
  lives.send(alertFrame("3", "token-lives", { source: "redis" }));
  await until(async () => (await incidents("nginx"))[0]?.status === "resolved", { ms: 10_000 });
  await until(async () => (await incidents("redis"))[0]?.status === "analyzed", { ms: 10_000 });

  await putClockBack();
  await dies.close(4000);
  lives.send(alertFrame("4", "token-lives", { source: "nginx" }));
  lives.send(alertFrame("5", "token-lives", { source: "redis", state: "resolved" }));
  await until(async () => (await incidents("redis"))[0]?.status === "resolved", { ms: 5_000 });
  await until(async () => (await incidents("nginx"))[0]?.status === "analyzed", { ms: 10_000 });
  await until(async () => (await incidents("agent")).length === 1, { ms: 30_000, what: "the agent is lost" });
  await until(async () => (await ahead()).length === 0, { ms: 10_000, what: "nothing is ahead" });
}, 180_000);

test("a server that starts after the clock was put back begins by bringing all back", async () => {
  const dies = await server.connect();
  for (const id of ["1", "2"]) dies.send(heartbeat(id, "token-other", "web-02"));
  await until(
    async () => (await server.api("/v1/agents")).body.some((one: { hostname: string }) => one.hostname === "web-02"),
    { ms: 10_000 },
  );
  await server.stop();
  await database.database.sql`
    insert into sessions (secret_hash, expires_at) values ('of a browser', now() + interval '12 hours')`;
  await putClockBack();
  server = await startTestServer(database.url, { HEARTBEAT_TIMEOUT: "1s" });
  expect(await ahead()).toEqual([]);
  const isLost = async () => (await incidents("agent")).some(({ raw_error }) => raw_error.includes("web-02"));
  await until(isLost, { ms: 30_000, what: "the agent is lost" });
}, 180_000);

/** Tables that say of something that it will have been. */
async function ahead(): Promise<string[]> {
  const found: string[] = [];
  for (const [table, column] of [
    ["agents", "last_seen_at"],
    ["outages", "ended_at"],
    ["incidents", "last_seen_at"],
    ["alerts", "occurred_at"],
    ["events", "at"],
    ["sessions", "created_at"],
    ["pgboss.job", "created_on"],
    ["pgboss.queue", "monitor_on"],
  ] as const) {
    const rows = await database.database.sql.unsafe(
      `select from ${table} where ${column} > now() + interval '1 s' ${table === "pgboss.job" ? "and state < 'completed'" : ""} limit 1`,
    );
    if (rows.length > 0) found.push(table);
  }
  return found;
}
