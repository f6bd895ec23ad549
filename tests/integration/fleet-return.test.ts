import { afterEach, beforeEach, expect, test } from "bun:test";
import { sha256Hex } from "../../src/lib/hash.ts";
import { connectHosts } from "../bench/hosts.ts";
import { freePort } from "../support/executable.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const HOSTS = 400;

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.close());

test("all hosts are back soon after a restart, and not one was turned away", async () => {
  const tokens = Array.from({ length: HOSTS }, (_, at) => `token-of-host-${at}`);
  await database.database.sql`
    insert into agents (id, token_hash)
    select gen_random_uuid(), hash from unnest(${tokens.map(sha256Hex)}::text[]) hash`;
  const env = { PORT: String(await freePort()), AGENT_ENROLLMENT: "closed" };
  let server = await startTestServer(database.url, env);
  const url = `${server.url.replace("http", "ws")}/v1/stream`;
  const hosts = connectHosts({ url, tokens, heartbeatMs: 1_000, connectsPerSecond: 2_000 });
  const areThere = () => until(() => hosts.state().connected === HOSTS, { ms: 20_000, what: "all hosts are there" });
  await areThere();

  await server.stop();
  await until(() => hosts.state().lost === HOSTS, { what: "all hosts are away" });
  server = await startTestServer(database.url, env);
  await areThere();
  expect(hosts.state()).toMatchObject({ lost: HOSTS, missed: 0 });
  const metrics = await (await fetch(`${server.url}/metrics`, { keepalive: false })).text();
  expect(metrics).not.toContain("opspilot_connections_closed_total{");
  hosts.close();
  await server.stop();
}, 180_000);
