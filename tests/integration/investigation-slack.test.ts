import { afterAll, beforeAll, expect, test } from "bun:test";
import { type FakeOpenRouter, GOOD_ANSWER, says, startFakeOpenRouter, wants } from "../support/fake-openrouter.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { LookingHost } from "../support/looking-host.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Slack takes one message a second. */
const TOLD_MS = 30_000;

let database: TestDatabase;
let model: FakeOpenRouter;
let slack: FakeSlack;
let server: TestServer;
let host: LookingHost;

beforeAll(async () => {
  database = await createTestDatabase();
  model = startFakeOpenRouter();
  slack = await startFakeSlack();
  server = await startTestServer(database.url, {
    OPENROUTER_BASE_URL: model.baseUrl,
    AI_AUTO: "off",
    SLACK_API_URL: slack.apiUrl,
    SLACK_TOKEN: BOT_TOKEN,
    SLACK_CHANNEL: CHANNEL,
    SLACK_APP_TOKEN: APP_TOKEN,
  });
  host = await LookingHost.start(server);
}, 180_000);

afterAll(async () => {
  await host.stop();
  await server.stop();
  await slack.stop();
  await model.stop();
  await database.close();
});

test("Investigate in Slack's menu: the thread shows what was asked and found, in one reply that is edited", async () => {
  host.systemd.writeAs("app.service", "password=hunter2hunter2 FATAL: No space left on device");
  const answering = Promise.withResolvers<void>();
  const cause = "The disk is full, so app cannot write.";
  model.behave(wants({ name: "get_logs", arguments: { unit: "app" } }), async (request, signal) => {
    await answering.promise;
    return says(JSON.stringify({ ...GOOD_ANSWER, cause }))(request, signal);
  });
  const id = await host.fail({ source: "app", message: "app failed" });
  const message = await until(() => slack.messages.find(({ thread }) => thread === null), { ms: TOLD_MS });
  const isKnown = async () => (await server.api(`/v1/incidents/${id}`)).body.announcements[0]?.state === "sent";
  await until(isKnown, { ms: TOLD_MS, what: "the message is known" });
  await slack.press(message, "opspilot_more", { option: "investigate" });

  const replies = () => slack.messages.filter(({ thread }) => thread === message.ts);
  const shows = (text: string) =>
    until(() => replies()[0]?.text.includes(text), { ms: TOLD_MS, what: `the reply shows ${text}` });
  await shows('1. get logs: unit "app" – answered');
  expect(replies()[0]?.text).toStartWith("A model looks into this, on request.");
  answering.resolve();
  await shows(`It names: ${cause}`);
  expect(replies()).toHaveLength(1);
  expect(replies()[0]?.edits).toBeGreaterThan(0);
  await until(() => JSON.stringify(message.blocks).includes(cause), {
    ms: TOLD_MS,
    what: "the message shows the cause",
  });
  expect(JSON.stringify(slack.messages)).not.toContain("hunter2");
}, 180_000);
