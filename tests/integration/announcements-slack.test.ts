import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { redact } from "../../src/analysis/redact.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createSlack } from "../../src/slack/slack.ts";
import { createNode, type TestNode } from "../support/announcements.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { addAgent, addIncident, type TestIncident } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
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

function start(byWebhook = false, webhookUrl = slack.webhookUrl): TestNode {
  const ways = byWebhook ? { webhookUrl } : { token: BOT_TOKEN, channel: CHANNEL };
  const none = { webhookUrl: null, token: null, channel: null, appToken: null, signingSecret: null };
  const settings = { ...none, allowedUsers: [], apiUrl: slack.apiUrl, ...ways };
  const { notifier } = createSlack({ settings, redact, clock: createSystemClock(), log: quiet });
  const node = createNode(database, notifier ? [notifier] : []);
  nodes.push(node);
  node.start();
  return node;
}

async function announce(node: TestNode, given: TestIncident = {}): Promise<number> {
  const id = await addIncident(database, agent, given);
  await node.decide([id]);
  node.wake();
  return id;
}
const stateOf = async (id: number) => {
  const [row] = await database.database.sql`select state from announcements where incident_id = ${id} and subject = ''`;
  return row?.state;
};
const attempts = async () => {
  const [row] = await database.database.sql`select coalesce(sum(attempts), 0)::int as all from announcements`;
  return row?.all;
};
const isIn = (id: number, state: string) => until(async () => (await stateOf(id)) === state);
/** Something changed rows, and whoever follows them is woken. */
const change = async (changing: PromiseLike<unknown>) => {
  await changing;
  for (const node of nodes) node.wake();
};
const end = () =>
  change(database.database.sql`
    update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1,
      reason = 'resolved by ana'`);
/** Messages that do not show the newest revision, or are not sent yet. */
const open = async () => {
  const [row] = await database.database.sql`
    select count(*)::int as all from announcements a join incidents i on i.id = a.incident_id
    where a.state <> 'sent' or (a.subject = '' and a.shown_revision is distinct from i.revision)`;
  return row?.all;
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
    ["the message is gone", "message_not_found"],
    ["it may not be edited any more", "edit_window_closed"],
  ])("tells the end of what is critical in a new message with a link to the old where %s", async (_, error) => {
    const id = await announce(start(), { severity: "critical" });
    await isIn(id, "sent");
    slack.behave("chat.update", { error });
    await end();
    await until(() => slack.messages.length === 2);
    const said = JSON.stringify(slack.messages[1]?.blocks);
    expect(said).toContain("Resolved:");
    expect(said).toContain("resolved by ana");
    expect(said).toContain(`/archives/${CHANNEL}/p${slack.messages[0]?.ts?.replace(".", "")}`);
    await until(async () => (await open()) === 0);
    expect(slack.messages).toHaveLength(2);
  });

  test("tells the end of what is not critical nowhere else", async () => {
    const id = await announce(start(), { severity: "warning" });
    await isIn(id, "sent");
    slack.behave("chat.update", { error: "message_not_found" });
    await end();
    await until(() => slack.calls("chat.update").length === 1);
    await until(async () => (await open()) === 0);
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
  test("loses nothing when packets are dropped for half a minute, and posts once what was never sent", async () => {
    const network = await startTcpProxy(Number(new URL(slack.webhookUrl).port));
    try {
      network.hold();
      const url = new URL(slack.webhookUrl);
      url.port = String(network.port);
      const node = start(true, url.href);
      const [first, second] = [await announce(node), await announce(node)];
      await until(async () => (await attempts()) >= 1);
      // Longer than two calls may take.
      const endMs = performance.now() + 26_000;
      await until(
        async () => {
          await hurry();
          return performance.now() > endMs;
        },
        { ms: 30_000 },
      );
      expect([await stateOf(first), await stateOf(second)]).toEqual(["unknown", "waiting"]);
      network.mend();
      await until(
        async () => {
          await hurry();
          return (await stateOf(first)) === "sent" && (await stateOf(second)) === "sent";
        },
        { ms: 30_000 },
      );
      expect(slack.messages).toHaveLength(2);
    } finally {
      network.stop();
    }
  }, 180_000);

  test("sends again what a page to sign in at has swallowed", async () => {
    slack.behave("webhook", { status: 200, body: "<!doctype html><title>Guest access</title>" }, "works");
    const id = await announce(start(true));
    await until(async () => (await attempts()) === 1);
    expect(await stateOf(id)).not.toBe("sent");
    await until(async () => {
      await hurry();
      return (await stateOf(id)) === "sent";
    });
    expect(slack.messages).toHaveLength(1);
  });

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
