import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { redact } from "../../src/analysis/redact.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createSlack } from "../../src/slack/slack.ts";
import { createNode, type TestNode } from "../support/announcements.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let slack: FakeSlack;
let agent: string;
const nodes: TestNode[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  slack = await startFakeSlack();
  agent = await addAgent(database);
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  await slack.stop();
  await database.database.sql`truncate announcements, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

function start(byWebhook = false): TestNode {
  const ways = byWebhook ? { webhookUrl: slack.webhookUrl } : { token: BOT_TOKEN, channel: CHANNEL };
  const none = { webhookUrl: null, token: null, channel: null, appToken: null, signingSecret: null };
  const settings = { ...none, allowedUsers: [], apiUrl: slack.apiUrl, ...ways };
  const { notifier } = createSlack({ settings, redact, clock: createSystemClock(), log: quiet });
  const node = createNode(database, notifier ? [notifier] : []);
  nodes.push(node);
  node.start();
  return node;
}

async function announce(node: TestNode): Promise<number> {
  const id = await addIncident(database, agent);
  await node.decide([id]);
  node.wake();
  return id;
}
const stateOf = async (id: number) => {
  const [row] = await database.database.sql`select state from announcements where incident_id = ${id} and subject = ''`;
  return row?.state;
};
const isIn = (id: number, state: string) => until(async () => (await stateOf(id)) === state);
/** Something changed rows, and whoever follows them is woken. */
const change = async (changing: PromiseLike<unknown>) => {
  await changing;
  for (const node of nodes) node.wake();
};
const hurry = () =>
  change(database.database.sql`
  update announcements set next_attempt_at = now() where closed_at is null`);

describe("Slack's Web API", () => {
  test("has one message of an incident, edited to its end", async () => {
    const id = await announce(start());
    await isIn(id, "sent");
    await change(database.database.sql`
      update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1,
        reason = 'resolved by ana'`);
    await until(() => JSON.stringify(slack.messages[0]?.blocks ?? null).includes("Resolved: "));
    expect(slack.messages).toHaveLength(1);
  });

  test.each([
    ["lost: the message is adopted", "lost", 1],
    ["cut: it is posted again", "cut", 1],
  ] as const)("has one message when the answer is %s", async (_, behaviour, count) => {
    slack.behave("chat.postMessage", behaviour, "works");
    const id = await announce(start());
    await isIn(id, "unknown");
    await hurry();
    await isIn(id, "sent");
    expect(slack.messages).toHaveLength(count);
  });

  test("has one message when the node's lead ends between the post and its answer", async () => {
    slack.behave("chat.postMessage", "lost", "works");
    const id = await announce(start());
    await until(() => slack.messages.length === 1);
    await database.database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'opspilot slack'`;
    start();
    await until(async () => {
      await hurry();
      return (await stateOf(id)) === "sent";
    });
    expect(slack.messages).toHaveLength(1);
  });
});

describe("an incoming webhook", () => {
  test.each([
    ["lost", 2],
    ["cut", 1],
  ] as const)("has one message or two when the answer is %s, never none", async (behaviour, count) => {
    slack.behave("webhook", behaviour, "works");
    const id = await announce(start(true));
    await isIn(id, "unknown");
    await hurry();
    await isIn(id, "sent");
    expect(slack.messages).toHaveLength(count);
  });
});
