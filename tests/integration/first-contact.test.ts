import { afterAll, beforeAll, expect, test } from "bun:test";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let slack: FakeSlack;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  slack = await startFakeSlack();
  server = await startTestServer(database.url, {
    SLACK_API_URL: slack.apiUrl,
    SLACK_TOKEN: BOT_TOKEN,
    SLACK_CHANNEL: CHANNEL,
    SLACK_APP_TOKEN: APP_TOKEN,
  });
});

afterAll(async () => {
  await server.stop();
  await slack.stop();
  await database.close();
});

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
}, 20_000);
