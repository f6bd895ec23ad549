import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { type StockPostgres, startStockPostgres } from "../support/stock-postgres.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const LOGIN = { user: "opspilot", password: "opspilot", database: "opspilot" };
const TOKEN = "half-open-agent";
const ALERTS = 50;

/** After so long all work goes on. */
const BACK_MS = 15_000;

describe.each([
  ["in the clear", false],
  ["over TLS", true],
])("a server whose connections to the database, %s, swallow everything from one moment on", (_, hasTls) => {
  let postgres: StockPostgres;
  let proxy: TcpProxy;
  let server: TestServer;
  let agent: TestAgent;
  beforeAll(async () => {
    postgres = await startStockPostgres(LOGIN, { hasTls });
    proxy = await startTcpProxy(postgres.port);
    const { user, password, database } = LOGIN;
    server = await startTestServer(`postgres://${user}:${password}@127.0.0.1:${proxy.port}/${database}`, {
      OPENROUTER_API_KEY: "",
    });
    agent = await server.connect();
  }, 180_000);
  afterAll(async () => {
    await agent.close();
    await server.stop();
    proxy.stop();
    await postgres.stop();
  }, 180_000);

  /** Sends alerts that open an incident each. */
  function send(prefix: string): void {
    for (let n = 0; n < ALERTS; n++) agent.send(alertFrame(`${prefix}-${n}`, TOKEN, { source: `${prefix}-${n}` }));
  }

  const acknowledged = (prefix: string) =>
    agent.frames.filter((frame) => frame.type === "ack" && frame.id.startsWith(`${prefix}-`)).length;

  async function explained(prefix: string): Promise<number> {
    const { status, body } = await server.api("/v1/incidents?limit=1000");
    if (status !== 200) return 0;
    const incidents = body as { source: string; status: string }[];
    return incidents.filter((one) => one.source.startsWith(`${prefix}-`) && one.status === "analyzed").length;
  }

  async function waitForAll(prefix: string, ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    const left = () => Math.max(0, endMs - performance.now());
    await Promise.all([
      until(() => acknowledged(prefix) === ALERTS, { ms, what: `all of ${prefix} are acknowledged` }),
      until(async () => (await explained(prefix)) === ALERTS, { ms, what: `all of ${prefix} are explained` }),
    ]);
    await until(async () => (await server.api("/readyz")).status === 200, { ms: left() + 1, what: "readiness" });
  }

  test("does all its work again within 15 s, and loses nothing that comes meanwhile", async () => {
    send("before");
    await waitForAll("before", BACK_MS);
    send("during");
    proxy.forget();
    send("after");
    await Promise.all([waitForAll("during", BACK_MS), waitForAll("after", BACK_MS)]);
    expect(agent.closed).toBeUndefined();
  }, 180_000);

  test("does so when it was idle before", async () => {
    proxy.forget();
    await until(async () => (await server.api("/readyz")).status !== 200, { what: "readiness goes" });
    send("idle");
    await waitForAll("idle", BACK_MS);
  }, 180_000);
});
