import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { redact } from "../../src/analysis/redact.ts";
import type { Notifier, View } from "../../src/announcements/model.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { DeliveryError } from "../../src/lib/errors.ts";
import { checkSlack } from "../../src/slack/doctor.ts";
import { createSlack } from "../../src/slack/slack.ts";
import { type Behaviour, type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { quiet } from "../support/log.ts";
import { NO_SLACK } from "../support/slack-settings.ts";
import { incidentView, stormView } from "../support/slack-views.ts";

const VIEW: View = { kind: "incident", incident: incidentView() };
const STORM: View = { kind: "storm", storm: stormView() };
const NEVER = new AbortController().signal;

let slack: FakeSlack;
beforeEach(async () => {
  slack = await startFakeSlack();
});
afterEach(() => slack.stop());

function settingsOf(changes: object = {}) {
  return { ...NO_SLACK, apiUrl: slack.apiUrl, token: BOT_TOKEN, channel: CHANNEL, appToken: APP_TOKEN, ...changes };
}

function notifierOf(changes: object = {}): Notifier {
  const { notifier } = createSlack({ settings: settingsOf(changes), redact, clock: createSystemClock(), log: quiet });
  if (notifier === null) throw new Error("nothing is posted");
  return notifier;
}

async function failureOf(work: Promise<unknown>): Promise<DeliveryError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DeliveryError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const since = () => new Date(Date.now() - 1_000);

describe("the Web API", () => {
  test("posts, edits in place, and answers in the thread", async () => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    const [message] = slack.messages;
    expect(externalId).toBe(`${CHANNEL}/${message?.ts}`);
    expect(message?.metadata).toEqual({ event_type: "opspilot_incident", event_payload: { incident_id: 42 } });

    await notifier.edit(externalId, { kind: "incident", incident: incidentView({ occurrences: 99 }) }, NEVER);
    expect(slack.messages).toHaveLength(1);
    expect(JSON.stringify(message?.blocks)).toContain("99 times");

    await notifier.reply?.(
      externalId,
      "logs:1",
      { text: "the logs", file: { name: "a.log", content: "line <!here>" } },
      NEVER,
    );
    expect(slack.messages[1]?.thread).toBe(message?.ts ?? "");
    expect(slack.messages[1]?.text).toBe("the logs\n```line &lt;!here&gt;```");
  });

  test("edits what it said in a thread, without its secrets", async () => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    const reply = await notifier.reply?.(externalId, "investigation 1", { text: "it begins", file: null }, NEVER);
    expect(reply).toBe(`${CHANNEL}/${slack.messages[1]?.ts}`);
    await notifier.editReply?.(reply ?? "", { text: "it ends: password=hunter2hunter2 <!here>", file: null }, NEVER);
    expect(slack.messages).toHaveLength(2);
    expect(slack.messages[1]).toMatchObject({ edits: 1, thread: slack.messages[0]?.ts });
    expect(slack.messages[1]?.text).toContain("it ends");
    expect(slack.messages[1]?.text).not.toMatch(/hunter2|<!here>/);
  });

  test("puts a long text into the thread as a file, without its secrets", async () => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    const content = `password=hunter2hunter2\n${"a line of a log\n".repeat(500)}`;
    await notifier.reply?.(externalId, "logs:1", { text: "the logs", file: { name: "nginx.log", content } }, NEVER);
    const [file] = slack.files;
    expect(file).toMatchObject({
      name: "nginx.log",
      channel: CHANNEL,
      thread: slack.messages[0]?.ts,
      comment: "the logs",
    });
    expect(file?.content).toContain("a line of a log");
    expect(file?.content).not.toContain("hunter2");
  });

  test.each([
    [2_994, 0],
    [2_995, 1],
    [3_001, 1],
  ])("shows %p characters as text where they fit, else as a file", async (length, files) => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    const file = { name: "a.log", content: "x".repeat(length) };
    await notifier.reply?.(externalId, "logs:1", { text: "the logs", file }, NEVER);
    expect(slack.files).toHaveLength(files);
    expect(slack.messages).toHaveLength(2 - files);
  });

  test("shows the end of a long text where it may put no files", async () => {
    slack.behave("files.getUploadURLExternal", { error: "missing_scope", needed: "files:write" });
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    const content = `${"a line of a log & more\n".repeat(300)}the last line`;
    await notifier.reply?.(externalId, "logs:1", { text: "the logs", file: { name: "nginx.log", content } }, NEVER);
    expect(slack.messages[1]?.text).toContain("since the app may not put files here");
    expect(JSON.stringify(slack.messages[1]?.blocks)).toContain("the last line");
  });

  test("gives up an old message in a channel that is gone, so that new ones are not held up", async () => {
    slack.behave("chat.update", { error: "channel_not_found" });
    expect((await failureOf(notifierOf().edit("C0OLD00001/1.1", VIEW, NEVER))).reason).toBe("never");
    slack.behave("chat.update", { error: "invalid_auth" });
    expect((await failureOf(notifierOf().edit("C0OLD00001/1.1", VIEW, NEVER))).reason).toBe("later");
  });

  test("finds its own message, of this incident, and no other", async () => {
    const notifier = notifierOf();
    expect(await notifier.find(VIEW, since(), NEVER)).toBeUndefined();
    await notifier.post(STORM, NEVER);
    await notifier.post({ kind: "incident", incident: incidentView({ id: 4 }) }, NEVER);
    expect(await notifier.find(VIEW, since(), NEVER)).toBeUndefined();
    const { externalId } = await notifier.post(VIEW, NEVER);
    expect(await notifier.find(VIEW, since(), NEVER)).toBe(externalId ?? "");
    expect(await notifier.find(STORM, since(), NEVER)).toBe(`${CHANNEL}/${slack.messages[0]?.ts}`);
  });

  test("adopts no message of somebody else that bears its name", async () => {
    const notifier = notifierOf();
    await notifier.post(VIEW, NEVER);
    Object.assign(slack.messages[0] ?? {}, { bot: "B0SOMEBODY" });
    expect(await notifier.find(VIEW, since(), NEVER)).toBeUndefined();
  });

  test("finds a message on a later page of the history", async () => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    for (let id = 1_000; id < 1_230; id++) {
      await notifier.post({ kind: "incident", incident: incidentView({ id }) }, NEVER);
    }
    expect(await notifier.find(VIEW, since(), NEVER)).toBe(externalId ?? "");
    expect(slack.calls("conversations.history")).toHaveLength(2);
  });

  test("finds what was posted though the answer was lost", async () => {
    slack.behave("chat.postMessage", "lost");
    const notifier = notifierOf();
    expect((await failureOf(notifier.post(VIEW, NEVER))).reason).toBe("unknown");
    expect(await notifier.find(VIEW, since(), NEVER)).toBe(`${CHANNEL}/${slack.messages[0]?.ts}`);
  });

  test("cannot look without the permission: then it is as if nothing was found", async () => {
    slack.behave("conversations.history", { error: "missing_scope", needed: "channels:history" });
    expect(await notifierOf().find(VIEW, since(), NEVER)).toBeUndefined();
  });

  const failures: [string, Behaviour, DeliveryError["reason"], number | null][] = [
    ["asks to wait", { limitedS: 7 }, "later", 7_000],
    ["asks to wait, in words", { error: "ratelimited" }, "later", null],
    ["does not know the channel", { error: "channel_not_found" }, "later", 60_000],
    ["does not know the token", { error: "invalid_auth" }, "later", 60_000],
    ["does not take the message", { error: "invalid_blocks" }, "never", null],
    ["gives up in the middle", { error: "internal_error" }, "unknown", null],
    ["is broken", { status: 503 }, "unknown", null],
    ["redirects", { status: 302, headers: { location: "https://evil.example/" } }, "later", 60_000],
    ["is no Slack", { status: 200, body: "<html>" }, "unknown", null],
    ["hangs up", "cut", "unknown", null],
  ];
  test.each(failures)("says what a failure means: Slack %s", async (_, behaviour, reason, retryAfterMs) => {
    slack.behave("chat.postMessage", behaviour);
    const failure = await failureOf(notifierOf().post(VIEW, NEVER));
    expect([failure.reason, failure.retryAfterMs]).toEqual([reason, retryAfterMs]);
    expect(failure.message).not.toContain(BOT_TOKEN);
    expect(slack.calls("chat.postMessage")).toHaveLength(1);
  });

  test("says that nothing was sent where nobody listens", async () => {
    const failure = await failureOf(notifierOf({ apiUrl: "http://127.0.0.1:1/api" }).post(VIEW, NEVER));
    expect(failure.reason).toBe("later");
  });

  test("ends with the signal", async () => {
    slack.behave("chat.postMessage", "hangs");
    const stop = new AbortController();
    const work = failureOf(notifierOf().post(VIEW, stop.signal));
    await Promise.resolve();
    stop.abort();
    expect((await work).reason).toBe("unknown");
  });

  test("cannot edit what is gone", async () => {
    expect((await failureOf(notifierOf().edit(`${CHANNEL}/1.1`, VIEW, NEVER))).reason).toBe("never");
    expect((await failureOf(notifierOf().edit(null, VIEW, NEVER))).reason).toBe("never");
  });

  test("takes a channel's name for its id", async () => {
    const notifier = notifierOf({ channel: "#ops" });
    expect((await notifier.post(VIEW, NEVER)).externalId).toStartWith(`${CHANNEL}/`);
    const failure = await failureOf(notifierOf({ channel: "nowhere" }).post(VIEW, NEVER));
    expect([failure.reason, failure.message]).toEqual(["later", expect.stringContaining("channel_not_found")]);
  });

  test("sends a file nowhere but to Slack", async () => {
    const notifier = notifierOf();
    const { externalId } = await notifier.post(VIEW, NEVER);
    slack.behave("files.getUploadURLExternal", {
      status: 200,
      body: JSON.stringify({ ok: true, file_id: "F1", upload_url: "https://evil.example/upload" }),
      headers: { "content-type": "application/json" },
    });
    const file = { name: "a.log", content: "x".repeat(4_000) };
    const failure = await failureOf(
      notifier.reply?.(externalId, "logs", { text: "", file }, NEVER) ?? Promise.resolve(),
    );
    expect(failure.reason).toBe("never");
  });
});

describe("a webhook", () => {
  const WEBHOOK = { token: null, channel: null };

  test("posts; the end is a short message of its own", async () => {
    const notifier = notifierOf({ ...WEBHOOK, webhookUrl: slack.webhookUrl });
    expect([notifier.edits, notifier.reply]).toEqual([false, null]);
    expect(await notifier.post(VIEW, NEVER)).toEqual({ externalId: null });
    await notifier.post(
      { kind: "incident", incident: incidentView({ status: "resolved", reason: "it is over" }) },
      NEVER,
    );
    expect(slack.messages.map(({ via }) => via)).toEqual(["webhook", "webhook"]);
    expect(JSON.stringify(slack.messages[0]?.blocks)).not.toContain("opspilot_restart");
    expect(slack.messages[1]?.blocks).toHaveLength(2);
    expect(await notifier.find(VIEW, since(), NEVER)).toBeUndefined();
  });

  test("has buttons when callbacks can arrive", async () => {
    const notifier = notifierOf({ ...WEBHOOK, webhookUrl: slack.webhookUrl, allowedUsers: ["U0ANA00001"] });
    await notifier.post(VIEW, NEVER);
    expect(JSON.stringify(slack.messages[0]?.blocks)).toContain("opspilot_restart");
  });

  const failures: [string, Behaviour, DeliveryError["reason"], number | null][] = [
    ["asks to wait", { limitedS: 3 }, "later", 3_000],
    ["is gone", { status: 404, body: "no_service" }, "later", 60_000],
    ["does not take the message", { error: "invalid_blocks" }, "never", null],
    ["is broken", { status: 500 }, "later", null],
    ["hangs up", "cut", "unknown", null],
    ["is hidden by a page to sign in at", { status: 200, body: "<html>Sign in</html>" }, "later", null],
    ["is hidden by a page without words", { status: 200, body: "" }, "later", null],
  ];
  test.each(failures)("says what a failure means: it %s", async (_, behaviour, reason, retryAfterMs) => {
    slack.behave("webhook", behaviour);
    const failure = await failureOf(notifierOf({ ...WEBHOOK, webhookUrl: slack.webhookUrl }).post(VIEW, NEVER));
    expect([failure.reason, failure.retryAfterMs]).toEqual([reason, retryAfterMs]);
    expect(failure.message).not.toContain("secretsecret");
    expect(slack.calls("webhook")).toHaveLength(1);
  });
});

describe("looking at Slack", () => {
  const statuses = async (changes: object = {}) => {
    const findings = await checkSlack(settingsOf(changes), { signal: NEVER });
    return Object.fromEntries(findings.map(({ name, status }) => [name, status]));
  };

  test("finds all well, and posts nothing", async () => {
    expect(new Set(Object.values(await statuses()))).toEqual(new Set(["ok"]));
    expect(slack.messages).toEqual([]);
  });

  test("names what is missing, and what to do", async () => {
    slack.scopes.granted = ["chat:write", "users:read"];
    slack.channel.isMember = false;
    const findings = await checkSlack(settingsOf(), { signal: NEVER });
    expect(findings).toContainEqual(expect.objectContaining({ name: "Slack's permissions", status: "warn" }));
    expect(findings).toContainEqual(
      expect.objectContaining({ name: "Slack's channel", status: "fail", todo: expect.stringContaining("/invite") }),
    );
  });

  test("finds wrong tokens", async () => {
    expect(await statuses({ token: "xoxb-wrong" })).toMatchObject({ "Slack's token": "fail" });
    expect(await statuses({ appToken: "xapp-wrong" })).toMatchObject({ "Slack's Socket Mode": "fail" });
    expect(await statuses({ apiUrl: "http://127.0.0.1:1/api" })).toMatchObject({ "Slack's token": "fail" });
  });

  test("is content without Slack", async () => {
    expect(await checkSlack(NO_SLACK, { signal: NEVER })).toEqual([
      expect.objectContaining({ status: "ok", text: expect.stringContaining("off") }),
    ]);
  });
});
