import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { InvestigationOutcome, InvestigationRequest } from "../../src/analysis/model.ts";
import { redact } from "../../src/analysis/redact.ts";
import type { IncidentView, Reply } from "../../src/announcements/model.ts";
import type { SlackSettings } from "../../src/config.ts";
import type { Decision, Press, PressOutcome } from "../../src/decisions/model.ts";
import type { FeedbackOutcome, GivenFeedback } from "../../src/feedback/model.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createSlack, type SlackReceiver } from "../../src/slack/slack.ts";
import { actionOf, type FakeSlack, signedRequest, startFakeSlack } from "../support/fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL, type FakeMessage, SIGNING_SECRET } from "../support/fake-slack-api.ts";
import { TOKEN_ACCESS, testApp } from "../support/http-app.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { NO_SLACK } from "../support/slack-settings.ts";
import { incidentView } from "../support/slack-views.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const NEVER = new AbortController().signal;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

let slack: FakeSlack;
let stops: (() => Promise<void>)[] = [];
/** Of those that wait for Slack for longer than a test lasts. */
let lateStops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  slack = await startFakeSlack();
});
afterEach(async () => {
  for (const stop of stops) await stop();
  stops = [];
  await slack.stop();
  for (const stop of lateStops) await stop();
  lateStops = [];
  await database.database.sql`truncate slack_callbacks`;
});

/** A server's way to Slack, with decisions that are only noted. */
function connect(changes: Partial<SlackSettings> = {}, sql = database.database.sql) {
  const settings: SlackSettings = {
    webhookUrl: null,
    token: BOT_TOKEN,
    channel: CHANNEL,
    appToken: APP_TOKEN,
    signingSecret: SIGNING_SECRET,
    allowedUsers: [],
    apiUrl: slack.apiUrl,
    ...changes,
  };
  const pressed: Press[] = [];
  const decisions = {
    outcome: { ok: true, decisionId: "d-1", text: "Restarting nginx on web-1." } as PressOutcome,
    async press(press: Press) {
      pressed.push(press);
      return decisions.outcome;
    },
    get: async (id: string) => (pressed.some((press) => press.id === id) ? ({ id } as Decision) : undefined),
  };
  const clock = createSystemClock();
  const made = createSlack({ settings, redact, clock, log: quiet });
  /** The next looks at a message whose answer has not come yet. */
  const unheard = { looks: 0 };
  const replies: { incidentId: number; text: string }[] = [];
  const announcements = {
    reply: async (_: unknown, incidentId: number, __: string, { text }: Reply) =>
      void replies.push({ incidentId, text }),
    async incidentOf(_: string, externalId: string) {
      if (unheard.looks-- > 0) return undefined;
      return slack.messages.some(({ ts }) => externalId === `${CHANNEL}/${ts}`) ? 42 : undefined;
    },
    isInFlight: async () => unheard.looks > 0,
  };
  const lookedInto: { id?: string; incidentId: number; actor: string }[] = [];
  const analysis = {
    outcome: { ok: true, id: "i-1" } as InvestigationOutcome,
    async investigate(request: InvestigationRequest) {
      lookedInto.push(request);
      return analysis.outcome;
    },
    hasInvestigation: async (id: string) => lookedInto.some((one) => one.id === id),
  };
  const loops = createLoops(clock, quiet);
  const heard: GivenFeedback[] = [];
  const feedback = {
    outcome: { ok: true, feedback: { verdict: "right" } } as FeedbackOutcome,
    async give(given: GivenFeedback) {
      heard.push(given);
      return feedback.outcome;
    },
  };
  const categories = ["disk_full", "crash"];
  const receiver = made.receiver({ announcements, decisions, feedback, categories, analysis, sql, loops });
  if (receiver === null || made.notifier === null) throw new Error("nothing can come");
  stops.push(receiver.stop);
  const seen = { pressed, heard, lookedInto, replies, unheard };
  return { ...seen, receiver, feedback, decisions, analysis, notifier: made.notifier };
}

async function posted(
  notifier: ReturnType<typeof connect>["notifier"],
  id = 42,
  changes: Partial<IncidentView> = {},
): Promise<FakeMessage> {
  await notifier.post({ kind: "incident", incident: incidentView({ id, ...changes }) }, NEVER);
  const message = slack.messages.at(-1);
  if (!message) throw new Error("nothing was posted");
  return message;
}

const whispered = () => until(() => slack.ephemerals.at(-1), { what: "an answer to the person" });

describe("Socket Mode", () => {
  test("a pressed button is acknowledged, decided and answered", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    await slack.press(message, "opspilot_restart");
    expect(await whispered()).toMatchObject({
      response_type: "ephemeral",
      replace_original: false,
      text: "Restarting nginx on web-1.",
    });
    expect(pressed).toEqual([
      {
        id: expect.any(String),
        incidentId: 42,
        action: "restart",
        variant: null,
        actor: "slack:U0ANA00001",
        actorName: "@ana",
        outlet: "slack",
      },
    ]);
  });

  test("a button can be pressed before Slack's answer about its message has come", async () => {
    const { receiver, pressed, unheard, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    unheard.looks = 2;
    await slack.press(message, "opspilot_restart");
    expect(await whispered()).toMatchObject({ text: "Restarting nginx on web-1." });
    expect(pressed).toHaveLength(1);
  });

  test("a press is acknowledged once it is decided", async () => {
    const { receiver, pressed, decisions, notifier } = connect();
    const { promise, resolve } = Promise.withResolvers<PressOutcome>();
    decisions.press = (press) => {
      pressed.push(press);
      return promise;
    };
    receiver.start();
    const message = await posted(notifier);
    const acknowledged = slack.press(message, "opspilot_logs");
    await until(() => pressed.length === 1);
    expect(slack.sockets.acked.size).toBe(0);
    resolve({ ok: true, decisionId: "d-1", text: "Fetching." });
    await acknowledged;
  });

  test.each([
    ["opspilot_logs", undefined, "logs", null],
    ["opspilot_ignore", undefined, "ignore", "until_resolved"],
    ["opspilot_more", "acknowledge", "acknowledge", null],
    ["opspilot_more", "resolve", "resolve", null],
    ["opspilot_more", "ignore_1h", "ignore", "1h"],
    ["opspilot_more", "ignore_until_worse", "ignore", "until_worse"],
    ["opspilot_more", "ignore_for_good", "ignore", "for_good"],
  ])("%s %s means %s %s", async (actionId, option, action, variant) => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    await slack.press(await posted(notifier), actionId, option === undefined ? {} : { option });
    await whispered();
    expect(pressed).toMatchObject([{ action, variant }] as never);
  });

  test("Investigate has a model look, by somebody who may press, and decides nothing", async () => {
    const { receiver, pressed, lookedInto, notifier } = connect();
    receiver.start();
    const message = await posted(notifier, 42, { canInvestigate: true });
    await slack.press(message, "opspilot_more", { option: "investigate" });
    expect(await whispered()).toMatchObject({ text: expect.stringContaining("A model looks into it") });
    expect(lookedInto).toEqual([{ id: expect.any(String), incidentId: 42, actor: "slack:U0ANA00001" }]);
    expect(pressed).toEqual([]);
  });

  test("Investigate that cannot be is told with the reason, and a guest may not", async () => {
    const { receiver, lookedInto, analysis, notifier } = connect();
    receiver.start();
    const message = await posted(notifier, 42, { canInvestigate: true });
    analysis.outcome = { ok: false, reason: "investigation_open", message: "a model is looking already" };
    await slack.press(message, "opspilot_more", { option: "investigate" });
    expect(await whispered()).toMatchObject({ text: "Nothing was done: a model is looking already." });
    await slack.press(message, "opspilot_more", { option: "investigate", user: "U0GUEST001" });
    await until(() => slack.ephemerals.length === 2);
    expect(lookedInto).toHaveLength(1);
  });

  test("an envelope that comes twice is decided once", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    const payload = slack.payloadOf({ ts: message.ts, action: actionOf(message, "opspilot_logs") });
    await slack.sockets.deliver("interactive", payload, "e-same");
    await whispered();
    slack.sockets.acked.clear();
    await slack.sockets.deliver("interactive", payload, "e-same");
    await slack.press(message, "opspilot_ignore");
    await until(() => pressed.length === 2);
    expect(pressed.map(({ action }) => action)).toEqual(["logs", "ignore"]);
  });

  test("a connection that Slack renews, or that is cut, is made again", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    await until(() => slack.sockets.open() === 1);
    slack.sockets.refresh();
    await until(() => slack.sockets.connections() === 2 && slack.sockets.open() === 1);
    slack.sockets.cut();
    await until(() => slack.sockets.connections() === 3 && slack.sockets.open() === 1);
    await slack.press(message, "opspilot_logs");
    await until(() => pressed.length === 1);
  });

  test("it connects as soon as Slack answers again", async () => {
    slack.behave("apps.connections.open", { status: 503 }, "cut", { limitedS: 1 }, "works");
    const { receiver } = connect();
    receiver.start();
    await until(() => slack.sockets.open() === 1, { ms: 10_000 });
  });

  test("a connection that a firewall forgot is made again", async () => {
    const url = new URL(slack.sockets.url);
    const network = await startTcpProxy(Number(url.port));
    try {
      url.port = String(network.port);
      const headers = { "content-type": "application/json" };
      const offer = { status: 200, body: JSON.stringify({ ok: true, url: url.href }), headers };
      slack.behave("apps.connections.open", offer);
      const { receiver } = connect();
      receiver.start();
      await until(() => slack.sockets.connections() === 1);
      network.forget();
      await until(() => slack.sockets.connections() === 2, { ms: 20_000, what: "the next connection" });
    } finally {
      network.stop();
    }
  }, 180_000);

  test("it stops, connected or not", async () => {
    const { receiver } = connect();
    receiver.start();
    await until(() => slack.sockets.open() === 1);
    await receiver.stop();
    await until(() => slack.sockets.open() === 0);
    slack.behave("apps.connections.open", "hangs");
    const other = connect();
    other.receiver.start();
    await until(() => slack.calls("apps.connections.open").length === 2);
    await other.receiver.stop();
  });
});

describe("a word on an explanation", () => {
  const ANA = { actor: "slack:U0ANA00001", actorName: "@ana", outlet: "slack" };
  const menu = "opspilot_feedback";

  test("that was it is kept, and the person is told", async () => {
    const { receiver, heard, pressed, notifier } = connect();
    receiver.start();
    await slack.press(await posted(notifier), menu, { option: "right" });
    expect(await whispered()).toMatchObject({ text: "Kept: that was it. The next incident of this problem shows it." });
    expect(heard).toEqual([{ incidentId: 42, verdict: "right", ...ANA }]);
    expect(pressed).toEqual([]);
  });

  test("that was wrong asks what it was, and keeps what is said there", async () => {
    const { receiver, heard, feedback, notifier } = connect();
    receiver.start();
    await slack.press(await posted(notifier), menu, { option: "wrong" });
    await until(() => slack.views.length === 1, { what: "a dialog" });
    expect([heard, slack.ephemerals]).toEqual([[], []]);
    feedback.outcome = { ok: true, feedback: { verdict: "wrong" } } as FeedbackOutcome;
    await slack.submit({ cause: " The disk was full. ", category: "disk_full" }, { user: "U0BEN00001" });
    expect(await whispered()).toMatchObject({ text: expect.stringContaining("Kept: that was wrong.") });
    const ben = { actor: "slack:U0BEN00001", actorName: "@ben", outlet: "slack" };
    expect(heard).toEqual([
      { incidentId: 42, verdict: "wrong", cause: "The disk was full.", category: "disk_full", fix: undefined, ...ben },
    ]);
  });

  test("where nothing explains it, asks for the cause and takes it as what it was", async () => {
    const { receiver, heard, notifier } = connect();
    receiver.start();
    await notifier.post({ kind: "incident", incident: incidentView({ explanation: null }) }, NEVER);
    const message = slack.messages.at(-1);
    if (message) await slack.press(message, menu, { option: "cause" });
    await until(() => slack.views.length === 1, { what: "a dialog" });
    expect(slack.views[0].blocks.map((block: { optional: boolean }) => block.optional)).toEqual([false, true, true]);
    await slack.submit({ cause: "A typo.", fix: "Corrected it." });
    await until(() => heard.length === 1);
    expect(heard).toMatchObject([{ verdict: "right", cause: "A typo.", fix: "Corrected it." }]);
  });

  test("that does not fit the incident is refused, and the person is told why", async () => {
    const { receiver, feedback, notifier } = connect();
    receiver.start();
    feedback.outcome = { ok: false, reason: "invalid", field: "cause", message: "nothing explains this incident" };
    await slack.press(await posted(notifier), menu, { option: "right" });
    expect((await whispered()).text).toBe("Nothing was kept: nothing explains this incident.");
  });

  test("whose dialog cannot be opened is to be said again", async () => {
    const { receiver, heard, notifier } = connect();
    receiver.start();
    slack.behave("views.open", { error: "expired_trigger_id" });
    await slack.press(await posted(notifier), menu, { option: "wrong" });
    expect((await whispered()).text).toContain("could not be opened; press again (views.open: expired_trigger_id)");
    expect(heard).toEqual([]);
  });

  test.each([
    ["a guest", { user: "U0GUEST001" }, /guests/],
    ["somebody of another team", { team: "T0OTHER001" }, /another workspace/],
    ["somebody whose team is said to be another", { userTeam: "T0OTHER001" }, /another workspace/],
    ["an account that was closed", { user: "U0GONE0001" }, /closed/],
  ])("in a dialog that is sent by %s is refused", async (_, change, words) => {
    const { receiver, heard, notifier } = connect();
    receiver.start();
    await slack.press(await posted(notifier), menu, { option: "wrong" });
    await until(() => slack.views.length === 1, { what: "a dialog" });
    const sent = slack.submissionOf(slack.views[0], { cause: "x" }, { ...change, action: null });
    await slack.sockets.deliver("interactive", sent);
    expect((await whispered()).text).toMatch(words);
    expect(heard).toEqual([]);
  });

  test("in a dialog that comes twice is kept once; over HTTP, too", async () => {
    const { receiver, heard, notifier } = connect({ appToken: null });
    const message = await posted(notifier);
    const { app } = testApp({ slackCallback: receiver.callback });
    const send = (payload: object) =>
      app.handle(new Request("http://x.test/v1/slack/interactions", signedRequest(payload, { atS })));
    const atS = Math.floor(Date.now() / 1000);
    await send(slack.payloadOf({ ts: message.ts, action: actionOf(message, menu, "wrong") }));
    await until(() => slack.views.length === 1, { what: "a dialog" });
    const sent = slack.submissionOf(slack.views[0], { cause: "x" }, { action: null });
    const first = await send(sent);
    expect([first.status, await first.text()]).toEqual([200, ""]);
    expect((await send(sent)).status).toBe(401);
    await until(() => heard.length === 1);
  });

  test("that was wrong is kept without a dialog where a webhook cannot open one", async () => {
    const allowed = { allowedUsers: ["U0ANA00001"], webhookUrl: slack.webhookUrl };
    const { receiver, heard, feedback, notifier } = connect({ token: null, channel: null, appToken: null, ...allowed });
    feedback.outcome = { ok: true, feedback: { verdict: "wrong" } } as FeedbackOutcome;
    const message = await posted(notifier);
    const { app } = testApp({ slackCallback: receiver.callback });
    const press = slack.payloadOf({ ts: message.ts, action: actionOf(message, menu, "wrong") });
    await app.handle(new Request("http://x.test/v1/slack/interactions", signedRequest(press)));
    expect((await whispered()).text).toContain("what it was can be said on the incident's page");
    expect(heard).toMatchObject([{ incidentId: 42, verdict: "wrong" }]);
  });
});

describe("a press does not count", () => {
  const refused: [string, Parameters<FakeSlack["payloadOf"]>[0] | object, RegExp][] = [
    ["by a guest", { user: "U0GUEST001" }, /guests/],
    ["by a bot", { user: "U0BOT00001" }, /bots/],
    ["by somebody of another team", { user: "U0OTHER001" }, /another workspace/],
    ["by somebody whose team is said to be another", { userTeam: "T0OTHER001" }, /another workspace/],
    ["from another team", { team: "T0OTHER001" }, /another workspace/],
    ["by an account that was closed", { user: "U0GONE0001" }, /closed/],
    ["by somebody unknown", { user: "U0NOBODY01" }, /cannot be checked/],
    ["in another channel", { channel: "C0OTHER001" }, /not a message of this server/],
    ["under a message that is not ours", { ts: "1.000001" }, /not a message of this server/],
    ["for another incident than the message's", { action: pressOf(43) }, /not a message of this server/],
    [
      "with a value that is not the block's",
      { action: { ...pressOf(42), value: "43" } },
      /not a message of this server/,
    ],
    [
      "with an action nobody knows",
      { action: { ...pressOf(42), action_id: "opspilot_format_disk" } },
      /not a message of this server/,
    ],
    [
      "with an action of every object",
      { action: { ...pressOf(42), action_id: "constructor" } },
      /not a message of this server/,
    ],
  ];
  test.each(refused)("%s", async (_, change, words) => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const { ts } = await posted(notifier);
    await slack.sockets.deliver("interactive", slack.payloadOf({ ts, action: pressOf(42), ...change }));
    expect((await whispered()).text).toMatch(words);
    expect(pressed).toEqual([]);
  });

  test("by whom SLACK_ALLOWED_USERS does not name", async () => {
    const { receiver, pressed, notifier } = connect({ allowedUsers: ["U0BEN00001"] });
    receiver.start();
    const message = await posted(notifier);
    await slack.press(message, "opspilot_restart");
    expect((await whispered()).text).toContain("not among those");
    await slack.press(message, "opspilot_restart", { user: "U0BEN00001" });
    await until(() => pressed.length === 1);
    expect(pressed[0]?.actorName).toBe("@ben");
  });

  test("while it cannot be checked who pressed; but afterwards", async () => {
    slack.behave("users.info", { status: 503 }, "works");
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    await slack.press(message, "opspilot_restart");
    expect((await whispered()).text).toContain("cannot be checked");
    await slack.press(message, "opspilot_restart");
    await until(() => pressed.length === 1);
  });

  test("when it only opens the dashboard, and nobody is answered", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    await slack.press(message, "opspilot_open");
    await slack.press(message, "opspilot_logs");
    await until(() => pressed.length === 1);
    await receiver.stop();
    expect(slack.ephemerals).toHaveLength(1);
  });

  test.each([
    ["nothing", undefined],
    ["a list", []],
    ["another event", { type: "view_submission" }],
    ["a dialog that is none of ours", dialogWith({ callback_id: "another" })],
    ["a dialog that lost what it is about", dialogWith({ private_metadata: "{}" })],
    ["a press without actions", { type: "block_actions", actions: [] }],
    ["a press of a thing deep within", { type: "block_actions", user: null, team: null, actions: [{}] }],
  ])("when it is %s", async (_, payload) => {
    const { receiver, pressed, heard } = connect();
    receiver.start();
    await slack.sockets.deliver("interactive", payload);
    await receiver.stop();
    expect([pressed, heard, slack.ephemerals]).toEqual([[], [], []]);
  });
});

describe("a person who pressed", () => {
  test("is told when it was decided already", async () => {
    const { receiver, decisions, notifier } = connect();
    decisions.outcome = { ok: false, reason: "already_decided", text: "@ben restarts it already." };
    receiver.start();
    await slack.press(await posted(notifier), "opspilot_restart");
    expect((await whispered()).text).toBe("@ben restarts it already.");
  });

  test("is told when the server has a problem", async () => {
    const { receiver, decisions, notifier } = connect();
    decisions.press = () => Promise.reject(new Error("no database"));
    receiver.start();
    await slack.press(await posted(notifier), "opspilot_restart");
    expect((await whispered()).text).toContain("Nothing was decided; try again");
  });

  test("is told at once that it takes longer, and then what came of it", async () => {
    slack.behave("users.info", { delayMs: 2_300 });
    const { receiver, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    await slack.press(message, "opspilot_restart");
    expect(slack.ephemerals).toEqual([]);
    await until(() => slack.ephemerals.length === 2);
    expect(slack.ephemerals.map(({ text }) => text)).toEqual([
      "Still at it; what comes of it is told here.",
      "Restarting nginx on web-1.",
    ]);
  });

  test("is asked about once a minute, however often they press", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const message = await posted(notifier);
    for (const actionId of ["opspilot_logs", "opspilot_ignore", "opspilot_restart"]) {
      await slack.press(message, actionId);
      await until(() => pressed.at(-1) && slack.ephemerals.length === pressed.length);
    }
    await until(() => pressed.length === 3);
    expect(slack.calls("users.info")).toHaveLength(1);
    expect(slack.calls("auth.test")).toHaveLength(1);
  });

  test("is not answered at an address that is not Slack's", async () => {
    const { receiver, pressed, notifier } = connect();
    receiver.start();
    const { ts } = await posted(notifier);
    let called = 0;
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(String(++called)) });
    const more = { response_url: `http://127.0.0.1:${other.port}/actions` };
    await slack.sockets.deliver("interactive", slack.payloadOf({ ts, action: pressOf(42), more }));
    await until(() => pressed.length === 1);
    await receiver.stop();
    await other.stop(true);
    expect(called).toBe(0);
  });
});

describe("a press whose server dies after Slack was told that it is taken", () => {
  /** As if its claim were over, and it was pressed so long ago. */
  const isDue = async (ageS: number) => {
    const { sql } = database.database;
    await sql`
      update slack_callbacks set due_at = now(), seen_at = now() - make_interval(secs => ${ageS}) where due_at is not null`;
  };
  const isHandled = async () =>
    (await database.database.sql`select from slack_callbacks where due_at is not null or payload is not null`).count ===
    0;

  /** Slack does not say who pressed; the press is acknowledged all the same, and its server never heard of again. */
  async function left(way: "socket" | "http") {
    let isDead = false;
    const sql = new Proxy(database.database.sql, {
      apply: (target, self, args) =>
        isDead ? Promise.reject(new Error("the server is dead")) : Reflect.apply(target, self, args),
    });
    slack.behave("users.info", "hangs");
    const { receiver, pressed, decisions, notifier } = connect(way === "socket" ? {} : { appToken: null }, sql);
    lateStops.push(...stops.splice(0));
    receiver.start();
    const message = await posted(notifier);
    const payload = slack.payloadOf({ ts: message.ts, action: actionOf(message, "opspilot_restart") });
    if (way === "socket") await slack.sockets.deliver("interactive", payload, "e-left");
    else expect((await testApp({ slackCallback: receiver.callback }).app.handle(signed(payload))).status).toBe(200);
    expect(pressed).toEqual([]);
    isDead = true;
    decisions.press = () => new Promise(() => undefined);
    slack.sockets.cut();
    slack.behave("users.info", "works");
    return { dead: pressed, payload };
  }

  const signed = (payload: object) => new Request("http://x.test/v1/slack/interactions", signedRequest(payload));

  test.each(["socket", "http"] as const)("is decided by the next one, once, over %s", async (way) => {
    const { dead } = await left(way);
    await isDue(20);
    const nodes = [connect(), connect()];
    for (const { receiver } of nodes) receiver.start();
    const pressed = () => nodes.flatMap((node) => node.pressed);
    await until(isHandled, { what: "it is handled" });
    expect(pressed()).toMatchObject([
      { incidentId: 42, action: "restart", actor: "slack:U0ANA00001", actorName: "@ana" },
    ]);
    expect(await whispered()).toMatchObject({ text: "Restarting nginx on web-1." });
    expect(dead).toEqual([]);
  });

  test("and that Slack sends again is decided once", async () => {
    const { payload } = await left("socket");
    const { receiver, pressed } = connect();
    receiver.start();
    slack.sockets.acked.clear();
    await slack.sockets.deliver("interactive", payload, "e-left");
    await isDue(20);
    await receiver.stop();
    const next = connect();
    next.receiver.start();
    await until(isHandled);
    expect([...pressed, ...next.pressed]).toHaveLength(1);
  });

  test("is the same decision when it was decided, and its server died before it could note so", async () => {
    await left("http");
    const { sql } = database.database;
    const [kept] = await sql`select payload from slack_callbacks`;
    await isDue(20);
    const first = connect();
    first.receiver.start();
    await until(isHandled);
    await sql`update slack_callbacks set payload = ${sql.json(kept?.payload)}, due_at = now()`;
    const second = connect();
    second.receiver.start();
    await until(isHandled);
    expect(second.pressed).toEqual(first.pressed);
    expect(second.pressed[0]?.id).toBeString();
  });

  test("is refused for all to see when it is too old by then", async () => {
    await left("socket");
    await isDue(301);
    const { receiver, pressed, replies } = connect();
    receiver.start();
    expect((await whispered()).text).toStartWith("Nothing was done: the server was away");
    await until(isHandled);
    expect([pressed, replies]).toEqual([[], []]);
  });

  test("is refused beneath the message when the person cannot be answered any more", async () => {
    await left("socket");
    await isDue(301);
    slack.behave("response_url", { status: 404 });
    const { receiver, pressed, replies } = connect();
    receiver.start();
    await until(() => replies.length === 1, { what: "a reply" });
    expect(replies).toMatchObject([{ incidentId: 42, text: expect.stringContaining("Nothing was done") }]);
    await until(isHandled);
    expect(pressed).toEqual([]);
  });
});

describe("POST /v1/slack/interactions", () => {
  const PATH = "http://opspilot.internal/v1/slack/interactions";

  function appOf(receiver: SlackReceiver | null) {
    const { app } = testApp({ slackCallback: receiver?.callback ?? null }, { access: TOKEN_ACCESS });
    return (init: RequestInit) => app.handle(new Request(PATH, init));
  }

  async function pressedOver() {
    const made = connect({ appToken: null });
    const message = await posted(made.notifier);
    const payload = slack.payloadOf({ ts: message.ts, action: actionOf(message, "opspilot_restart") });
    return { ...made, payload, send: appOf(made.receiver) };
  }

  test("takes what Slack signed, behind a proxy and under any name, and answers at once", async () => {
    const { send, payload, pressed } = await pressedOver();
    const request = signedRequest(payload);
    const response = await send({
      ...request,
      headers: { ...request.headers, "x-forwarded-for": "1.2.3.4", via: "1.1 x" },
    });
    // What is answered is decided: a crash after the answer loses nothing.
    expect([response.status, await response.text(), pressed.length]).toEqual([200, "", 1]);
    expect((await whispered()).text).toBe("Restarting nginx on web-1.");
  });

  test("refuses a forged, stale or unsigned callback", async () => {
    const { send, payload, pressed, receiver } = await pressedOver();
    const now = Math.floor(Date.now() / 1000);
    const unsigned = { ...signedRequest(payload), headers: { "content-type": "application/x-www-form-urlencoded" } };
    for (const [request, code] of [
      [signedRequest(payload, { secret: "another secret" }), "forged"],
      [{ ...signedRequest(payload), body: "payload=%7B%7D" }, "forged"],
      [signedRequest(payload, { atS: now - 301 }), "stale"],
      [signedRequest(payload, { atS: now + 302 }), "stale"],
      [unsigned, "unsigned"],
    ] as const) {
      const response = await send(request);
      expect([response.status, await codeOf(response)]).toEqual([401, code]);
    }
    await receiver.stop();
    expect(pressed).toEqual([]);
  });

  test("refuses a replay, on another node and after a restart, too", async () => {
    const { send, payload, pressed } = await pressedOver();
    const request = signedRequest(payload);
    const other = connect({ appToken: null });
    const responses = await Promise.all([send(request), send(request), appOf(other.receiver)(request)]);
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    await whispered();
    const late = await appOf(connect({ appToken: null }).receiver)(request);
    expect([late.status, await codeOf(late)]).toEqual([401, "replayed"]);
    expect(pressed.length + other.pressed.length).toBe(1);
  });

  test("forgets signatures after 10 minutes", async () => {
    const { send, payload } = await pressedOver();
    await database.database.sql`insert into slack_callbacks (hash, seen_at)
      values ('old', now() - interval '11 minutes'), ('young', now() - interval '9 minutes')`;
    await send(signedRequest(payload));
    const rows = await database.database.sql`select hash from slack_callbacks where hash in ('old', 'young')`;
    expect(rows.map(({ hash }) => hash)).toEqual(["young"]);
  });

  test.each([
    ["no payload", "x=1"],
    ["a payload that is no JSON", "payload=%7B"],
    ["an empty body", ""],
  ])("takes %s for nothing, when it is signed", async (_, body) => {
    const { send, receiver, pressed } = await pressedOver();
    const { createHmac } = await import("node:crypto");
    const atS = Math.floor(Date.now() / 1000);
    const signature = `v0=${createHmac("sha256", SIGNING_SECRET).update(`v0:${atS}:${body}`).digest("hex")}`;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "x-slack-request-timestamp": String(atS),
      "x-slack-signature": signature,
    };
    expect((await send({ method: "POST", headers, body })).status).toBe(200);
    await receiver.stop();
    expect(pressed).toEqual([]);
  });

  test.each([
    ["a NUL in who pressed", { user: { id: "U0ANA\0" } }],
    ["a NUL in the message's name", { container: { type: "message", message_ts: "1\0", channel_id: CHANNEL } }],
    ["half a character in the workspace", { team: { id: "T\ud800" } }],
    ["an incident beyond all numbers", { actions: [{ ...pressOf(42), block_id: "opspilot_cause_9999999999" }] }],
  ])("decides nothing by %s, and fails at nothing", async (_, more) => {
    const { send, payload, receiver, pressed } = await pressedOver();
    expect((await send(signedRequest({ ...payload, ...more }))).status).toBe(200);
    await receiver.stop();
    expect(pressed).toEqual([]);
  });

  test("takes a body as long as a full message makes it, and no longer one", async () => {
    const { payload, pressed, receiver } = await pressedOver();
    const { app } = testApp({ slackCallback: receiver.callback }, { access: TOKEN_ACCESS });
    app.listen({ port: 0, hostname: "127.0.0.1" });
    const url = `http://127.0.0.1:${app.server?.port}/v1/slack/interactions`;
    const long = { ...payload, state: { values: "ж".repeat(40_000) } };
    expect((await slack.callback(url, long)).status).toBe(200);
    const tooLong = { ...payload, state: { values: "x".repeat(600_000) } };
    expect((await slack.callback(url, tooLong)).status).toBe(413);
    const other = await fetch(url.replace("slack/interactions", "agents"), {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer a-token-of-the-administrator" },
      body: JSON.stringify({ hostname: "x".repeat(70_000) }),
    });
    expect(other.status).toBe(413);
    // Nor where the length is not said before: the largest of all routes is not theirs.
    const types = {
      slack: "application/x-www-form-urlencoded",
      agents: "application/json",
      session: "application/json",
    };
    for (const [name, type] of Object.entries(types)) {
      const body = new Blob(["x".repeat(600_000)]).stream();
      const headers = { "content-type": type, authorization: "Bearer a-token-of-the-administrator" };
      const path = name === "slack" ? url : url.replace("slack/interactions", name);
      const unsaid = await fetch(path, { method: "POST", headers, body });
      expect([name, unsaid.status]).toEqual([name, 413]);
    }
    await until(() => pressed.length === 1);
    await app.stop(true);
  });

  test("is not there without a signing secret, and for no other method", async () => {
    const made = connect({ signingSecret: null });
    expect(made.receiver.callback).toBeNull();
    expect((await appOf(null)(signedRequest({}))).status).toBe(404);
    const { send } = await pressedOver();
    expect((await send({ method: "GET" })).status).toBe(401);
  });
});

describe("a webhook's buttons", () => {
  const changes = () => ({
    token: null,
    channel: null,
    appToken: null,
    webhookUrl: slack.webhookUrl,
    allowedUsers: ["U0ANA00001"],
  });

  test("are for those who are named, of the webhook's team", async () => {
    const { receiver, pressed, notifier } = connect(changes());
    const message = await posted(notifier);
    const action = actionOf(message, "opspilot_logs");
    const { app } = testApp({ slackCallback: receiver.callback });
    const send = (press: object) =>
      app.handle(
        new Request(
          "http://x.test/v1/slack/interactions",
          signedRequest(slack.payloadOf({ ts: message.ts, action, ...press })),
        ),
      );
    for (const press of [{}, { user: "U0BEN00001" }, { team: "T0OTHER001" }, { message: { text: "not a bot's" } }])
      await send(press);
    await until(() => slack.ephemerals.length === 4);
    expect(pressed).toMatchObject([{ incidentId: 42, action: "logs", actor: "slack:U0ANA00001" }]);
  });

  test("do not come where nobody can be checked", () => {
    const { receiver } = createSlack({
      settings: { ...NO_SLACK, webhookUrl: slack.webhookUrl, appToken: APP_TOKEN },
      redact,
      clock: createSystemClock(),
      log: quiet,
    });
    const nothing = async () => undefined;
    const announcements = { incidentOf: nothing, isInFlight: async () => false, reply: nothing };
    const off = { ok: false, reason: "investigation_off", message: "" } as const;
    const nobodyLooks = { investigate: async () => off, hasInvestigation: async () => false };
    const press = async (): Promise<PressOutcome> => ({ ok: false, reason: "not_found", text: "" });
    const loops = createLoops(createSystemClock(), quiet);
    const { sql } = database.database;
    const feedback = { give: async (): Promise<FeedbackOutcome> => ({ ok: false, reason: "not_found" }) };
    const asked = {
      announcements,
      decisions: { press, get: nothing },
      feedback,
      categories: [],
      analysis: nobodyLooks,
    };
    expect(receiver({ ...asked, sql, loops })).toBeNull();
  });
});

/** A dialog that was sent, with another view. */
function dialogWith(view: object) {
  const values = { cause: { text: { value: "x" } } };
  const team = { id: "T0TEAM0001" };
  const ours = { callback_id: "opspilot_feedback", private_metadata: "", state: { values } };
  return { type: "view_submission", user: { id: "U0ANA00001" }, team, view: { ...ours, ...view } };
}

/** A pressed Restart of an incident's message. */
function pressOf(id: number) {
  return { type: "button", action_id: "opspilot_restart", block_id: `opspilot_incident_${id}`, value: String(id) };
}

async function codeOf(response: Response): Promise<unknown> {
  const problem: unknown = await response.json();
  return problem instanceof Object && "code" in problem ? problem.code : undefined;
}
