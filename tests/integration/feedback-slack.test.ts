import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { DecidedHost } from "../support/decisions.ts";
import type { FakeMessage } from "../support/fake-slack-api.ts";
import { failing, say } from "../support/feedback.ts";
import { type SlackServer, startSlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);
/** Slack takes a call a second, and what was said before goes first. */
const SHOWN_LIMIT_MS = 20_000;

let all: SlackServer;
let host: DecidedHost;

beforeAll(async () => {
  all = await startSlackServer();
  host = await DecidedHost.start(all.server);
});
afterAll(() => all.stop());

const story = async (id: number) => (await all.server.api(`/v1/incidents/${id}`)).body;
const textOf = ({ blocks }: FakeMessage) => JSON.stringify(blocks);

/** The incident's message, once it says so. */
function message(id: number, words = ""): Promise<FakeMessage> {
  const isIt = (one: FakeMessage) => one.metadata?.event_payload?.incident_id === id && textOf(one).includes(words);
  return until(() => all.slack.messages.find(isIt), { ms: SHOWN_LIMIT_MS, what: `a message of ${id} with “${words}”` });
}

test("what is said by a message's menu stands in it, and in that of the next incident", async () => {
  const first = await failing(all.server, host, "nginx");
  await all.slack.press(await message(first, "port 80 is already taken"), "opspilot_feedback", { option: "right" });
  await message(first, "*That was it:*");
  expect((await story(first)).feedback).toMatchObject({ verdict: "right", actor_name: "@ana", outlet: "slack" });

  const second = await failing(all.server, host, "nginx");
  const next = await message(second, "*Confirmed*");
  expect(textOf(next)).toContain(`by @ana (incident ${first})`);

  await all.slack.press(next, "opspilot_feedback", { option: "wrong" });
  await until(() => all.slack.views.length === 1, { what: "a dialog" });
  await all.slack.submit({ cause: "The certificate ran out.", category: "tls_certificate" }, { user: "U0BEN00001" });
  const doubted = await message(second, "said to be wrong");
  expect(textOf(doubted)).toContain("It was: The certificate ran out.");
  expect(await story(second)).toMatchObject({
    feedback: { verdict: "wrong", category: "tls_certificate", actor_name: "@ben" },
    timeline: expect.arrayContaining([expect.objectContaining({ kind: "feedback", actor: "slack:U0BEN00001" })]),
  });
});

test("a word on an incident that is long over is shown in its message, which is looked at no more", async () => {
  const id = await failing(all.server, host, "haproxy");
  await message(id);
  await all.server.api(`/v1/incidents/${id}`, { method: "PATCH", body: { status: "resolved" } });
  await message(id, "✅ Resolved");
  const { sql } = all.database.database;
  await sql`update announcements set closed_at = now() where incident_id = ${id}`;
  await say(all.server, id, { verdict: "wrong", cause: "A typo in the new image." });
  await message(id, "A typo in the new image.");
  const over = all.slack.messages.filter((one) => one.metadata?.event_payload?.incident_id === id);
  expect(over).toHaveLength(1);
});
