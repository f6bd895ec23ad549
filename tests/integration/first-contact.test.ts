import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer } from "../support/server.ts";
import { type SlackServer, startSlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";

let running: SlackServer;
let slack: SlackServer["slack"];
let server: SlackServer["server"];

beforeAll(async () => {
  running = await startSlackServer();
  ({ slack, server } = running);
});
afterAll(() => running.stop());

test("an alert that comes at once after an agent's first heartbeat is announced with the host's name and its buttons", async () => {
  const token = "never-seen-before";
  const agent = await server.connect();
  const data = JSON.stringify({ hostname: "web-42", allow: ["restart_service:nginx"] });
  agent.send({ ver: "1.1", token, ts: Date.now() / 1000, data });
  agent.send(
    alertFrame("a1", token, { type: "systemd", source: "nginx", message: "nginx failed", severity: "critical" }),
  );
  const { blocks } = await until(() => slack.messages[0], { ms: 10_000, what: "a message" });
  expect(JSON.stringify(blocks)).toContain("web-42");
  expect(JSON.stringify(blocks)).toContain("opspilot_restart");
}, 180_000);

test("a hundred hosts that enrol themselves at once are all taken in turn, and no more than so many wait", async () => {
  const own = await createTestDatabase();
  const fleet = await startTestServer(own.url, { LOG_LEVEL: "warn" });
  const startMs = performance.now();
  const enrol = async (token: string) => {
    const agent = await fleet.connect();
    agent.send({ ...alertFrame("h1", token), type: "heartbeat", data: JSON.stringify({ hostname: token }) });
    const first = await until(() => agent.frames.find(({ type }) => type !== "welcome"), { ms: 20_000 });
    return { first, atMs: performance.now() - startMs };
  };
  try {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => enrol(`of-one-image-${n}`)));
    expect(answers.filter(({ first }) => first.type !== "ack")).toEqual([]);
    expect(Math.max(...answers.map(({ atMs }) => atMs))).toBeLessThan(15_000);
    expect((await fleet.api("/v1/agents?limit=200")).body).toHaveLength(100);

    const strangers = await Promise.all(Array.from({ length: 250 }, (_, n) => enrol(`a-stranger-${n}`)));
    const refused = strangers.filter(({ first }) => first.type === "error");
    expect(new Set(refused.map(({ first }) => "code" in first && first.code))).toEqual(new Set(["rate_limited"]));
    expect(refused.length).toBeGreaterThanOrEqual(90);
    const allowed = 20 + (performance.now() - startMs) / 100;
    expect((await fleet.api("/v1/agents?limit=500")).body.length).toBeLessThan(allowed);
  } finally {
    await fleet.stop();
    await own.close();
  }
}, 180_000);
