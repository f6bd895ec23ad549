import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCollectors } from "../../src/agent/collectors/all.ts";
import type { CollectorName } from "../../src/config/agent-collectors.ts";
import { parseLogRules } from "../../src/config/log-rules.ts";
import type { CollectorView } from "../../src/fleet/model.ts";
import { CollectorBench } from "../support/collectors.ts";
import { EventDocker } from "../support/event-docker.ts";
import { freePort } from "../support/executable.ts";
import { createFastClock, HostAgent } from "../support/host-agent.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;
let port = "";
let bench: CollectorBench;
let docker: EventDocker;
let dir = "";
const agents: HostAgent[] = [];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-blind-"));
  bench = new CollectorBench();
  docker = new EventDocker(bench.folder);
  database = await createTestDatabase();
  port = String(await freePort());
  server = await startTestServer(database.url, { PORT: port });
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  await server.stop();
  await database.close();
  await docker.stop();
  await bench.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A real agent with real collectors, for which time passes quickly. */
async function startAgent(enabled: CollectorName[], rules = ""): Promise<void> {
  const parsed = parseLogRules(rules);
  if ("fault" in parsed) throw new Error(parsed.fault);
  const clock = createFastClock();
  const { settings, ...deps } = bench.deps({ clock, settings: { enabled, logRules: parsed.rules } });
  agents.push(await HostAgent.start(server.url, { dir, clock, collectors: createCollectors(settings, deps) }));
}

/** As the API shows the host's collector, once it is as the test wants it. */
function shown(name: string, wanted: Partial<CollectorView>): Promise<CollectorView> {
  return until(
    async () => {
      const { body } = await server.api("/v1/agents");
      const agent = body.find(({ hostname }: { hostname: string | null }) => hostname !== null);
      const found = agent?.collectors.find((one: CollectorView) => one.name === name);
      const isSo = Object.entries(wanted).every(([key, value]) => Bun.deepEquals(found?.[key], value));
      return agent?.status === "online" && isSo ? found : undefined;
    },
    { ms: 20_000 },
  );
}

/** Six minutes pass for all that is known of collectors, and a node looks, since another agent says something new. */
async function passMinutes(): Promise<void> {
  const { sql } = database.database;
  await sql`update agents set connected_at = connected_at - interval '6 min'`;
  await sql`update collectors set since = since - interval '6 min'`;
  const other = await server.connect();
  const data = JSON.stringify({ collectors: { host: { state: "sees", for_s: 0, why: crypto.randomUUID() } } });
  other.send({ ver: "1.1", token: "another-agents-token", type: "heartbeat", data });
  await until(() => other.frames.length > 0);
  await other.close();
}

const incidents = async () =>
  (await server.api("/v1/incidents")).body.map(
    (one: { source: string; status: string }) => `${one.source} ${one.status}`,
  );

describe("a host whose Docker answers only with errors", () => {
  test("is one incident after five minutes, also over a restart of the server, and resolved when Docker answers", async () => {
    docker.refusing = "/version";
    docker.start();
    await startAgent(["docker"]);
    await shown("docker", { state: "cannot", why: "context deadline exceeded", told: false });
    expect(await incidents()).toEqual([]);
    await passMinutes();
    await until(async () => (await incidents()).length > 0);
    const restarted = server;
    await server.stop();
    server = await startTestServer(database.url, { PORT: port });
    expect(server.url).toBe(restarted.url);
    await shown("docker", { state: "cannot" });
    await passMinutes();
    const [incident] = (await server.api("/v1/incidents")).body;
    expect(incident).toMatchObject({ origin: "server", type: "host", severity: "warning", occurrences: 1 });
    expect(incident.raw_error).toMatch(
      /^The collector docker of \S+ cannot see since .* UTC: context deadline exceeded$/,
    );
    docker.refusing = "";
    await shown("docker", { state: "sees", why: null });
    await until(async () => (await incidents())[0] === "collector docker resolved", { ms: 20_000 });
    await passMinutes();
    expect(await incidents()).toEqual(["collector docker resolved"]);
    expect(await database.database.sql`select from alerts`).toHaveLength(2);
  }, 180_000);
});

test("a host without Docker makes no incident", async () => {
  await startAgent(["docker"]);
  await shown("docker", { state: "absent" });
  for (let turn = 0; turn < 3; turn++) await passMinutes();
  expect(await incidents()).toEqual([]);
}, 180_000);

test("what a collector leaves out is shown, and is no incident", async () => {
  const logs = join(dir, "logs");
  mkdirSync(logs);
  for (let n = 0; n < 103; n++) writeFileSync(join(logs, `${n}.log`), "");
  await startAgent(["logs"], `file:${logs}/*.log /x/`);
  const text = "3 files that match are not followed, since too many do: those that changed last are";
  const { since } = await shown("logs", { state: "sees", gave_up: [text] });
  expect(Math.abs(Date.now() - Date.parse(since))).toBeLessThan(600_000);
  await passMinutes();
  expect(await incidents()).toEqual([]);
}, 180_000);
