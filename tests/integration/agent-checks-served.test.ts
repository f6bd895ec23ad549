import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LEAF } from "../support/certificate-chain.ts";
import { serveTls } from "../support/checks.ts";
import { spawnOpspilot } from "../support/command-line.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const TOKEN = "a-token-of-an-agent";
const PATIENCE = { ms: 30_000 };

let database: TestDatabase;
let server: TestServer;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-checks-"));
  database = await createTestDatabase();
  server = await startTestServer(database.url, { HEARTBEAT_TIMEOUT: "3s" });
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

function serveShop(port = 0) {
  return Bun.serve({ port, hostname: "127.0.0.1", fetch: () => new Response("all is well") });
}

function startAgent(checks: string) {
  const env = { OPSPILOT_SERVER: server.url, OPSPILOT_TOKEN: TOKEN, OPSPILOT_DATA_DIR: dir, OPSPILOT_RECOVERY: "1s" };
  return spawnOpspilot(["agent"], {
    cwd: dir,
    env: { ...env, OPSPILOT_COLLECTORS: "checks", OPSPILOT_CHECKS: checks },
  });
}

/** The value of a series, whatever its agent and host. */
async function figureOf(name: string, check: string): Promise<number | undefined> {
  const text = await (await fetch(`${server.url}/metrics`, { keepalive: false })).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name}{agent="`) && one.includes(`check="${check}"`));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers without describing them first
async function incidentOf(source: string): Promise<any> {
  const { body } = await server.api("/v1/incidents");
  return body.find((one: { source: string }) => one.source === source);
}

test("a service that goes away is an incident with its cause, over when it is back, and a figure all the while", async () => {
  const secure = serveTls(LEAF);
  const first = serveShop();
  const { port } = first;
  const shop = `http://bob:s3cret@localhost:${port}/health?key=hidden 1s for=1 name=shop`;
  const agent = startAgent(`${shop}; tls://localhost:${secure.port} 1s insecure name=mail`);
  try {
    const isUp = async (): Promise<boolean> => {
      const { body } = await server.api("/v1/agents");
      return body[0]?.meta?.checks?.filter(({ up }: { up: boolean }) => up).length === 2;
    };
    await until(isUp, PATIENCE);
    await first.stop(true);
    const incident = await until(async () => {
      const found = await incidentOf("shop");
      return found?.status === "analyzed" && found;
    }, PATIENCE);
    expect(incident).toMatchObject({
      type: "check",
      severity: "critical",
      analysis: { category: "connection_refused" },
    });
    expect(incident.ai_analysis).toContain(`http://localhost:${port}/health refuses connections`);
    await until(async () => !(await isUp()), PATIENCE);
    const { body: host } = await server.api(`/v1/agents/${incident.agent_id}`);
    expect(host.meta.checks[0]).toMatchObject({ name: "shop", up: false, said: "connection refused (ECONNREFUSED)" });
    expect(await figureOf("opspilot_probe_success", "shop")).toBe(0);
    expect(await figureOf("opspilot_probe_success", "mail")).toBe(1);
    expect(await figureOf("opspilot_probe_duration_seconds", "shop")).toBeLessThan(5);
    const end = await figureOf("opspilot_probe_certificate_expiry_timestamp_seconds", "mail");
    expect(end).toBe(Date.parse("2060-01-01") / 1000);
    const again = serveShop(port);
    await until(async () => (await incidentOf("shop")).status === "resolved", PATIENCE);
    expect(JSON.stringify([incident, host])).not.toMatch(/s3cret|hidden|bob/);
    await again.stop(true);
  } finally {
    agent.kill();
    await agent.exited;
    await secure.stop(true);
  }
  expect(await agent.stdout.text()).not.toMatch(/s3cret|hidden|bob/);
}, 120_000);
