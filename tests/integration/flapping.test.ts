import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let slack: FakeSlack;
let server: TestServer;
let agent: TestAgent;
let sent = 0;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  slack = await startFakeSlack();
});
afterEach(async () => {
  await server.stop();
  await slack.stop();
  await database.database.sql`truncate announcements, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

async function start(env: Record<string, string>): Promise<void> {
  server = await startTestServer(database.url, { SLACK_API_URL: slack.apiUrl, INCIDENT_GROUP_WINDOW: "4s", ...env });
  agent = await server.connect();
}

/** As any sender may do that does not damp at its source. */
async function send(state: "firing" | "resolved", source = "vpn"): Promise<void> {
  const id = `f${++sent}`;
  agent.send(
    alertFrame(id, "a-sender-of-flaps", {
      type: "link",
      source,
      message: `${source} is down`,
      state,
      severity: "critical",
    }),
  );
  await until(() => agent.frames.some((frame) => frame.type === "ack" && frame.id === id));
}

async function flap(times: number): Promise<void> {
  await send("firing");
  await until(() => slack.messages.length === 1, { ms: 10_000 });
  await send("resolved");
  for (let n = 1; n < times; n++) {
    await send("firing");
    await send("resolved");
  }
}

/** Time that a sender lets go by. */
const pass = (ms: number) => {
  const endMs = performance.now() + ms;
  return until(() => performance.now() > endMs, { ms: ms + 5_000 });
};
const incidents = async () => [
  ...(await database.database.sql`select id, status, reason, occurrences from incidents order by id`),
];
const shown = (at = -1) => JSON.stringify(slack.messages.at(at)?.blocks);

describe("what comes and goes, from a sender that does not damp it,", () => {
  test("is one incident from the third change on, in one message, and is told as over once it has held", async () => {
    await start({ SLACK_TOKEN: BOT_TOKEN, SLACK_CHANNEL: CHANNEL });
    await flap(10);
    expect(await incidents()).toMatchObject([
      { status: "resolved", occurrences: 1 },
      { status: expect.not.stringMatching("resolved"), occurrences: 9 },
    ]);
    await until(() => shown().includes("Flapping:"), { ms: 10_000 });
    expect(shown()).not.toContain("Resolved");
    await until(async () => (await incidents())[1]?.status === "resolved", { ms: 15_000 });
    expect((await incidents())[1]?.reason).toContain("held for 4s");
    await until(() => shown().includes("Resolved"), { ms: 10_000 });
    expect(slack.messages).toHaveLength(1);
    expect(shown()).toContain("opened 10 times");
  }, 180_000);

  test("goes on while it comes again before it has held", async () => {
    await start({ SLACK_TOKEN: BOT_TOKEN, SLACK_CHANNEL: CHANNEL });
    await flap(2);
    const endMs = performance.now() + 6_000;
    while (performance.now() < endMs) {
      await send("firing");
      await pass(1_000);
      await send("resolved");
    }
    expect((await incidents()).map(({ status }) => status === "resolved")).toEqual([true, false]);
    await send("firing");
    await pass(5_000);
    expect((await incidents()).map(({ status }) => status === "resolved")).toEqual([true, false]);
    expect(slack.messages).toHaveLength(1);
  }, 180_000);

  test("is told in a message of its own where the one that there was is gone", async () => {
    await start({ SLACK_TOKEN: BOT_TOKEN, SLACK_CHANNEL: CHANNEL });
    await send("firing");
    await until(() => slack.messages.length === 1, { ms: 10_000 });
    await send("resolved");
    await until(() => shown().includes("Resolved"), { ms: 10_000 });
    slack.behave("chat.update", { error: "message_not_found" });
    await send("firing");
    await until(() => slack.messages.length === 2, { ms: 10_000 });
    expect(shown()).toContain("Flapping:");
  }, 180_000);

  test("is four messages where none can be edited", async () => {
    await start({ SLACK_WEBHOOK_URL: slack.webhookUrl });
    await flap(10);
    await until(async () => (await incidents())[1]?.status === "resolved", { ms: 15_000 });
    await until(() => slack.messages.length === 4, { ms: 15_000 });
    expect(slack.messages.filter((_, at) => shown(at).includes("Flapping:"))).toHaveLength(1);
    expect(shown()).toContain("it has held for 4s");
  }, 180_000);

  test("is over at once where it came once", async () => {
    await start({ SLACK_TOKEN: BOT_TOKEN, SLACK_CHANNEL: CHANNEL });
    await flap(1);
    expect(await incidents()).toMatchObject([{ status: "resolved", reason: "resolved by the agent" }]);
  });
});
