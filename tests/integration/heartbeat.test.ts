import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const calls: string[] = [];
const service = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    calls.push(`${request.method} ${new URL(request.url).pathname}`);
    return calls.length === 1
      ? new Response("OK")
      : new Response(null, { status: 302, headers: { location: "/else" } });
  },
});
const servers: TestServer[] = [];
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await service.stop(true);
  await database.close();
});

async function start(): Promise<TestServer> {
  const server = await startTestServer(database.url, {
    HEARTBEAT_URL: `http://127.0.0.1:${service.port}/ping/secret`,
    WEBHOOK_URL: `http://127.0.0.1:${service.port}/hook`,
    WEBHOOK_SECRET: "0123456789abcdef",
  });
  servers.push(server);
  return server;
}

async function outcomes({ url }: TestServer): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const found = text.matchAll(/^opspilot_heartbeats_total\{outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, outcome = "", count]) => [outcome, Number(count)]));
}

test("is sent by one node of several, follows no redirect, and is withheld while people would not be told", async () => {
  const first = await start();
  await until(async () => (await outcomes(first)).sent === 1);
  const second = await start();
  const third = await start();
  expect(calls).toEqual(["GET /ping/secret"]);

  await first.stop();
  const took = async () => {
    const all = await Promise.all([second, third].map(async (one) => ({ one, now: await outcomes(one) })));
    return all.find(({ now }) => now.failed === 1)?.one;
  };
  await until(async () => (await took()) !== undefined);
  const leader = (await took()) as TestServer;
  expect(calls).toEqual(["GET /ping/secret", "GET /ping/secret"]);
  expect(leader.log.join("")).toContain("it was answered with 302: redirects are not followed");

  await database.database.sql`
    insert into announcements (kind, outlet, subject, state, why, decided_at) values ('notice', 'webhook', 'x', 'failed', 'x', now())`;
  const last = leader === second ? third : second;
  await leader.stop();
  await until(async () => (await outcomes(last)).withheld === 1);
  expect(last.log.join("")).toContain("webhook refuses messages");
  expect(calls).toHaveLength(2);
  for (const { log } of servers) expect(log.join("")).not.toContain("/ping/secret");
}, 120_000);
