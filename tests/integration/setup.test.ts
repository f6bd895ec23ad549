import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { openDatabase } from "../../src/db/client.ts";
import { createSetup, type SetupPart } from "../../src/doctor/setup.ts";
import { startFakeOpenRouter } from "../support/fake-openrouter.ts";
import { startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { ADMIN_TOKEN, call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const SECRETS = {
  ADMIN_TOKEN,
  OPENROUTER_KEY: "or-key-of-the-administrator",
  SLACK_TOKEN: BOT_TOKEN,
  WEBHOOK_SECRET: "a-secret-that-two-share",
};

let database: TestDatabase;
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => database.close());

async function startServer(env: Record<string, string> = {}): Promise<TestServer> {
  const server = await startTestServer(database.url, env);
  stops.push(server.stop);
  return server;
}

async function look(server: TestServer, query = "", token = ADMIN_TOKEN): Promise<Map<string, SetupPart>> {
  const headers = { authorization: `Bearer ${token}`, connection: "close" };
  const answer = await fetch(`${server.url.replace("0.0.0.0", "127.0.0.1")}/v1/setup${query}`, { headers });
  expect(answer.status).toBe(200);
  return new Map(((await answer.json()) as SetupPart[]).map((one) => [one.part, one]));
}

describe("what is set up", () => {
  test("on a fresh server is little, and all of it is well", async () => {
    const parts = await look(await startServer());
    const states = Object.fromEntries([...parts].map(([name, { state }]) => [name, state]));
    expect(states).toEqual({
      server: "ok",
      access: "ok",
      TLS: "off",
      address: "off",
      enrolment: "ok",
      database: "ok",
      tables: "ok",
      history: "ok",
      "single sign-on": "off",
      Slack: "off",
      webhook: "off",
      outlets: "off",
      heartbeat: "off",
      model: "off",
    });
    for (const { state, todo } of parts.values()) if (state === "off") expect(todo).toBeString();
    expect(parts.get("database")?.text).toMatch(/^PostgreSQL 18/);
    expect(parts.get("history")?.text).toContain("kept for 30 days");
  });

  test("is said without secrets, and nobody is called for it", async () => {
    const slack = await startFakeSlack();
    const model = startFakeOpenRouter();
    stops.push(slack.stop, model.stop);
    const server = await startServer({
      ...SECRETS,
      PUBLIC_URL: "https://ops.example.com",
      SLACK_API_URL: slack.apiUrl,
      SLACK_CHANNEL: CHANNEL,
      OPENROUTER_BASE_URL: model.baseUrl,
      WEBHOOK_URL: "https://hooks.example.com/in?key=of-the-receiver",
      HTTPS_PROXY: "http://me:hunter2@proxy.example.com:3128",
      AUTO_RESOLVE: "12h",
      RETENTION: "12h",
    });
    const before = slack.seen.length;
    const parts = await look(server);
    expect(Object.fromEntries([...parts].map(([name, { state }]) => [name, state]))).toMatchObject({
      access: "ok",
      TLS: "ok",
      address: "ok",
      Slack: "ok",
      webhook: "ok",
      model: "ok",
    });
    expect(parts.get("webhook")?.text).toContain("hooks.example.com");
    expect(parts.get("history")?.text).toMatch(/kept for 12 h .* for 12 h are resolved/);
    const text = JSON.stringify([...parts.values()]);
    for (const secret of [...Object.values(SECRETS), "of-the-receiver", "hunter2", "password"])
      expect(text).not.toContain(secret);
    expect([slack.seen.length, model.seen.length]).toEqual([before, 0]);
  });

  test.each([
    [
      { HOST: "0.0.0.0", ACCESS: "open" },
      { access: "warn", TLS: "warn" },
    ],
    [
      { HOST: "0.0.0.0", ADMIN_TOKEN },
      { access: "ok", TLS: "warn" },
    ],
    [{ SLACK_TOKEN: BOT_TOKEN }, { Slack: "warn" }],
    [
      { ADMIN_TOKEN, PUBLIC_URL: "https://example.com/ops" },
      { address: "warn", TLS: "ok" },
    ],
  ] as [Record<string, string>, Record<string, string>][])("with %p is doubtful where it is", async (env, expected) => {
    const parts = await look(await startServer(env));
    for (const [name, state] of Object.entries(expected)) expect([name, parts.get(name)?.state]).toEqual([name, state]);
    for (const { state, todo } of parts.values()) if (state === "warn") expect(todo).toBeString();
  });

  test("is probed when somebody wants it, once for all who ask at a time", async () => {
    const slack = await startFakeSlack();
    const model = startFakeOpenRouter();
    stops.push(slack.stop, model.stop);
    model.behave(() => Response.json({ data: [{ id: "local" }] }));
    const server = await startServer({
      ...SECRETS,
      SLACK_API_URL: slack.apiUrl,
      SLACK_CHANNEL: CHANNEL,
      OPENROUTER_BASE_URL: model.baseUrl,
      AI_MODEL: "local",
      WEBHOOK_URL: "http://127.0.0.1:9/hook",
    });
    const probes = await Promise.all(Array.from({ length: 5 }, () => look(server, "?probe=true")));
    for (const parts of probes) {
      expect(parts.get("model")).toMatchObject({ state: "ok", text: expect.stringContaining("has local") });
      expect(parts.get("Slack's token")).toMatchObject({ state: "ok" });
      expect(parts.get("Slack's channel")).toMatchObject({ state: "ok" });
      expect(parts.get("webhook")).toMatchObject({ state: "fail", todo: expect.any(String) });
      expect(parts.get("clock")).toMatchObject({ state: "ok" });
    }
    expect(model.seen.map(({ path }) => path)).toEqual(["/api/v1/models"]);
    await look(server, "?probe=false");
    expect(model.seen).toHaveLength(1);
    await look(server, "?probe=true");
    expect(model.seen).toHaveLength(2);
  });

  test("by a probe is off where it is not set", async () => {
    const parts = await look(await startServer(), "?probe=true");
    for (const name of ["Slack", "model", "webhook"]) expect([name, parts.get(name)?.state]).toEqual([name, "off"]);
  });

  test("is told while the database is away, too", async () => {
    const { target } = database;
    const away = openDatabase({ target: { ...target, host: "127.0.0.1", port: 9 }, log: quiet });
    stops.push(away.close);
    const config = loadConfig(
      {},
      { env: { DATABASE_URL: database.url }, cwd: "/nonexistent", uid: 0, home: undefined },
    );
    const readiness = async () => ({ checks: { database: "away", loops: "ok" } });
    const setup = createSetup({ config, database: away, where: "127.0.0.1:9", readiness, log: quiet });
    const parts = await setup.look({ probe: false });
    expect(parts.filter(({ state }) => state === "fail")).toEqual([
      { part: "server", state: "fail", text: "database: away", todo: expect.any(String) },
      {
        part: "database",
        state: "fail",
        text: expect.stringContaining("127.0.0.1:9 does not answer"),
        todo: expect.any(String),
      },
    ]);
  });

  test("is not for guests, and its question is checked", async () => {
    const app = testApp({}, { access: TOKEN_ACCESS });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const status = async (path: string, given = headers as Record<string, string>) =>
      (await call(app, "GET", path, { headers: given })).status;
    expect(await status("/v1/setup", {})).toBe(401);
    expect(await status("/v1/setup?probe=true", {})).toBe(401);
    expect(await status("/v1/setup?probe=maybe")).toBe(422);
    expect((await call(app, "GET", "/v1/setup?probe=true", { headers })).json[0].text).toBe("called");
    expect((await call(app, "GET", "/v1/setup", { headers })).json[0].text).toBe("known");
  });
});
