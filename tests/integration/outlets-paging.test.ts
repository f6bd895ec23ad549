import { afterEach, describe, expect, test } from "bun:test";
import type { View } from "../../src/announcements/model.ts";
import type { OutletUrl } from "../../src/config/notify.ts";
import { matrix } from "../../src/outlets/kinds/matrix.ts";
import { opsgenie } from "../../src/outlets/kinds/opsgenie.ts";
import { pagerduty } from "../../src/outlets/kinds/pagerduty.ts";
import { pushover } from "../../src/outlets/kinds/pushover.ts";
import type { OutletKind } from "../../src/outlets/model.ts";
import { OutletUrlError } from "../../src/outlets/model.ts";
import { createTestClock } from "../support/clock.ts";
import { type ApiRequest, outletDeps, outletUrl, startApi, told } from "../support/outlets.ts";
import { stormView } from "../support/slack-views.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const USER = "u0123456789abcdefghijklmnopqrs";
const signal = AbortSignal.timeout(60_000);
const NOTICE: View = {
  kind: "notice",
  notice: { id: 1, title: "Today", lines: ["all is well"], incidentId: null, url: null },
};
const storm = (changes = {}): View => ({ kind: "storm", storm: stormView(changes) });
let api: ReturnType<typeof startApi>;
afterEach(() => api.stop());

const json = (body: unknown, status = 200, headers = {}) => Response.json(body, { status, headers });
/** Each kind with its stand-in, which refuses what the service would. */
const opened = (kind: OutletKind, parts: Partial<Omit<OutletUrl, "params">>, params = {}, deps = outletDeps()) =>
  kind.open(outletUrl({ host: "127.0.0.1", port: api.port, ...parts, params: { scheme: "http", ...params } }), deps);

/** How each failure of the service is taken, whatever kind it is: nothing secret is in what is said of it. */
async function expectFailures(
  post: () => Promise<unknown>,
  failures: readonly [Response | "cut", string, (number | null)?][],
  secret: string,
) {
  for (const [answer, reason, waitMs = null] of failures) {
    api.answers.push(() => {
      if (answer === "cut") throw new Error("cut");
      return answer;
    });
    const error = await post().catch((one: unknown) => one);
    const {
      reason: is,
      retryAfterMs,
      message,
    } = error as { reason: string; retryAfterMs: number | null; message: string };
    expect({ is, retryAfterMs, message }).toEqual({ is: reason, retryAfterMs: waitMs, message });
    expect(message).not.toContain(secret);
  }
}

describe("pagerduty", () => {
  /** As its documentation says: 202, or 400 with what is wrong. */
  const usual = ({ method, path, body }: ApiRequest) => {
    const isEvent =
      method === "POST" && path === "/v2/enqueue" && body.routing_key === KEY && body.dedup_key.length <= 255;
    const isAlert =
      body.payload?.summary?.length <= 1024 &&
      ["critical", "error", "warning", "info"].includes(body.payload?.severity);
    if (!isEvent || (body.event_action === "trigger" && (!isAlert || !body.payload.source)))
      return json({ status: "invalid event", message: "Event object is invalid", errors: ["no"] }, 400);
    return json({ status: "success", message: "Event processed", dedup_key: body.dedup_key }, 202);
  };
  const actions = () => api.calls.map(({ body }) => `${body.event_action} ${body.dedup_key}`);

  test("is triggered, acknowledged and resolved under one key, and pages nobody for counters of a storm or a digest", async () => {
    api = startApi(usual);
    const outlet = opened(pagerduty, { segments: [KEY] });
    const { externalId } = await outlet.post(told(), signal);
    for (const changes of [{ status: "acknowledged" }, { status: "ignored" }, { status: "resolved" }] as const)
      await outlet.edit(externalId, told(changes), signal);
    await outlet.post(told({ status: "resolved" }), signal);
    await outlet.post(storm(), signal);
    await outlet.edit(null, storm({ total: 999 }), signal);
    await outlet.edit(null, storm({ endedAt: new Date(), open: 3 }), signal);
    await outlet.edit(null, storm({ endedAt: new Date(), open: 0 }), signal);
    await outlet.post(NOTICE, signal);
    expect(externalId).toBe("opspilot-incident-42-1767323045000");
    expect(actions()).toEqual([
      "trigger opspilot-incident-42-1767323045000",
      "acknowledge opspilot-incident-42-1767323045000",
      "acknowledge opspilot-incident-42-1767323045000",
      "resolve opspilot-incident-42-1767323045000",
      "trigger opspilot-incident-42-1767323045000",
      "resolve opspilot-incident-42-1767323045000",
      "trigger opspilot-storm-7-1767323045000",
      "resolve opspilot-storm-7-1767323045000",
    ]);
    expect(api.calls[0]?.body).toMatchObject({
      client: "OpsPilot",
      client_url: "https://ops.example.com/app/incidents/42",
      links: [{ href: "https://ops.example.com/app/incidents/42" }],
      payload: {
        summary: "Critical: nginx on web-1",
        source: "web-1",
        severity: "critical",
        component: "nginx",
        class: "port_conflict",
      },
    });
    expect(JSON.stringify(api.calls)).not.toContain("hunter2");
  });

  test("fails as it says", async () => {
    api = startApi(usual);
    const outlet = opened(pagerduty, { segments: [KEY] });
    const failures: [Response | "cut", string, number?][] = [
      [new Response("rate limit", { status: 429 }), "later"],
      [new Response("", { status: 429, headers: { "retry-after": "7" } }), "later", 7_000],
      [json({ status: "invalid event", errors: [`'routing_key' ${KEY} is invalid`] }, 400), "never"],
      [new Response("<html>", { status: 502 }), "later"],
      [new Response("", { status: 302, headers: { location: "http://127.0.0.1:1/" } }), "later", 60_000],
      [new Response("404 page not found", { status: 404 }), "later", 60_000],
      [new Response("<html>Sign in</html>"), "later"],
    ];
    await expectFailures(() => outlet.post(told(), signal), failures, KEY);
    await api.stop();
    expect(await outlet.post(told(), signal).catch((one) => one.reason)).toBe("later");
  });
});

test("what began at another time is another alert, whatever its number: numbers begin anew in another database", async () => {
  api = startApi(({ body }) => json({ status: "success", dedup_key: body.dedup_key }, 202));
  const outlet = opened(pagerduty, { segments: [KEY] });
  await outlet.post(told(), signal);
  await outlet.post(told({ createdAt: new Date("2026-03-04T05:06:07Z") }), signal);
  expect(new Set(api.calls.map(({ body }) => body.dedup_key)).size).toBe(2);
});

describe("opsgenie", () => {
  const usual = ({ headers, path, body }: ApiRequest) => {
    if (headers.get("authorization") !== `GenieKey ${KEY}`)
      return json({ message: "Key format is not valid!", took: 0 }, 422);
    if (path === "/v2/alerts" && !(body.message?.length <= 130))
      return json({ message: "Request body is not processable." }, 422);
    return json({ result: "Request will be processed", took: 0.3, requestId: "1" }, 202);
  };

  test("creates one alert, whose state follows the incident's", async () => {
    api = startApi(usual);
    const outlet = opened(opsgenie, { segments: [KEY, "#ops", "ana@example.com"] });
    const { externalId } = await outlet.post(told({ severity: "warning" }), signal);
    await outlet.edit(externalId, told({ severity: "critical" }), signal);
    await outlet.edit(externalId, told({ status: "acknowledged" }), signal);
    await outlet.edit(externalId, told({ status: "resolved" }), signal);
    await outlet.post(storm(), signal);
    await outlet.edit(null, storm({ total: 999 }), signal);
    await outlet.edit(null, storm({ endedAt: new Date(), open: 0 }), signal);
    await outlet.post(NOTICE, signal);
    expect(api.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /v2/alerts",
      "PUT /v2/alerts/opspilot-incident-42-1767323045000/description?identifierType=alias",
      "PUT /v2/alerts/opspilot-incident-42-1767323045000/priority?identifierType=alias",
      "POST /v2/alerts/opspilot-incident-42-1767323045000/acknowledge?identifierType=alias",
      "POST /v2/alerts/opspilot-incident-42-1767323045000/close?identifierType=alias",
      "POST /v2/alerts",
      "POST /v2/alerts/opspilot-storm-7-1767323045000/close?identifierType=alias",
    ]);
    expect(api.calls[0]?.body).toMatchObject({
      alias: "opspilot-incident-42-1767323045000",
      priority: "P3",
      entity: "web-1",
      responders: [
        { type: "team", name: "ops" },
        { type: "user", username: "ana@example.com" },
      ],
    });
    expect(api.calls[2]?.body).toEqual({ priority: "P1" });
    const failures: [Response, string][] = [
      [json({ message: "You are making too many requests!", took: 0.001 }, 429), "later"],
      [json({ message: `no such key: ${KEY}` }, 403), "never"],
      [new Response("", { status: 503 }), "later"],
    ];
    await expectFailures(() => outlet.post(told(), signal), failures, KEY);
  });
});

describe("pushover", () => {
  const usual = ({ path, body }: ApiRequest) => {
    const isMessage =
      path === "/1/messages.json" && body.token === KEY && body.user === USER && body.message?.length <= 1024;
    const isCancel = path === "/1/receipts/cancel_by_tag/opspilot-incident-42-1767323045000.json" && body.token === KEY;
    if (body.priority === 2 && !(body.retry >= 30 && body.expire <= 10_800))
      return json({ status: 0, errors: ["retry"] }, 400);
    if (!isMessage && !isCancel)
      return json({ user: "invalid", errors: ["user identifier is invalid"], status: 0 }, 400);
    return json({ status: 1, request: "647d2300" });
  };
  const parts = () => ({ user: KEY, host: USER, port: null });
  const at = () => ({ api: `127.0.0.1:${api.port}` });

  test("is as loud as the incident is grave, and rings until somebody confirms it only where that is asked for", async () => {
    api = startApi(usual);
    const outlet = opened(pushover, { ...parts(), segments: ["phone"] }, at());
    for (const severity of ["critical", "warning", "info", null] as const)
      await outlet.post(told({ severity }), signal);
    await outlet.post(told({ status: "resolved", reason: "well again" }), signal);
    expect(api.calls.map(({ body }) => body.priority)).toEqual([1, 0, -1, 0, 0]);
    expect(api.calls[0]?.body).toMatchObject({
      title: "Critical: nginx on web-1",
      device: "phone",
      url: "https://ops.example.com/app/incidents/42",
    });
    await outlet.post(told({ message: "x".repeat(9_000) }), signal);
    const ringing = opened(pushover, { ...parts(), user: "shoutrrr", password: KEY }, { ...at(), emergency: "yes" });
    await ringing.post(told(), signal);
    await ringing.post(told({ status: "resolved" }), signal);
    expect(api.calls.slice(-3).map(({ path, body }) => [path, body.priority, body.tags])).toEqual([
      ["/1/messages.json", 2, "opspilot-incident-42-1767323045000"],
      ["/1/receipts/cancel_by_tag/opspilot-incident-42-1767323045000.json", undefined, undefined],
      ["/1/messages.json", 0, undefined],
    ]);
  });

  test("fails as it says; a month's messages that are used up are waited for", async () => {
    api = startApi(usual);
    const clock = createTestClock();
    const outlet = opened(pushover, parts(), at(), outletDeps({ clock }));
    const reset = String(Math.floor(clock.now() / 1000) + 90);
    const error = json({ user: "invalid", errors: [`user ${USER} is invalid`], status: 0 }, 400);
    api.answers.push(() => json({ status: 0, errors: ["over quota"] }, 429, { "x-limit-app-reset": reset }));
    const over = await outlet.post(told(), signal).catch((one) => one);
    expect(over.reason).toBe("later");
    expect(over.retryAfterMs).toBeGreaterThan(80_000);
    await expectFailures(
      () => outlet.post(told(), signal),
      [
        [error, "never"],
        [new Response("", { status: 500 }), "later"],
        [new Response("", { status: 504 }), "unknown"],
        [json({}), "unknown"],
      ],
      USER,
    );
  });
});

describe("matrix", () => {
  const TOKEN = "syt_b3Bz_abcdefghijklmnop_12345";
  const ROOM = "!abc:example.org";
  /** A homeserver's part of the protocol: a transaction that it knows has the event that is there. */
  function startHomeserver() {
    const events = new Map<string, { id: string; content: ApiRequest["body"] }>();
    const server = startApi(({ method, path, headers, body }) => {
      if (headers.get("authorization") !== `Bearer ${TOKEN}`)
        return json({ errcode: "M_UNKNOWN_TOKEN", error: "Invalid access token" }, 401);
      if (path === "/_matrix/client/v3/account/whoami") return json({ user_id: "@ops:example.org" });
      if (path === "/_matrix/client/v3/directory/room/%23ops%3Aexample.org") return json({ room_id: ROOM });
      const transaction = /^\/_matrix\/client\/v3\/rooms\/!abc%3Aexample\.org\/send\/m\.room\.message\/([\w-]+)$/.exec(
        path,
      )?.[1];
      if (method !== "PUT" || transaction === undefined)
        return json({ errcode: "M_UNRECOGNIZED", error: "Unrecognized" }, 404);
      if (JSON.stringify(body).length > 65_536) return json({ errcode: "M_TOO_LARGE", error: "event too large" }, 413);
      const known = events.get(transaction) ?? { id: `$event${events.size}`, content: body };
      events.set(transaction, known);
      return json({ event_id: known.id });
    });
    return { ...server, events };
  }

  test("posts once however often it is sent, edits, and answers in the thread; nothing is markup or calls anybody", async () => {
    const home = startHomeserver();
    api = home;
    const outlet = opened(matrix, { password: TOKEN, segments: ["#ops:example.org"] });
    const { externalId } = await outlet.post(told(), signal);
    expect(await outlet.post(told({ occurrences: 9 }), signal)).toEqual({ externalId });
    expect(externalId).toBe(`${ROOM}/$event0`);
    await outlet.edit(externalId, told({ status: "resolved" }), signal);
    const file = { name: "nginx.log", content: "<&>".repeat(30_000) };
    const reply = (await outlet.reply?.(externalId, "logs", { text: "The logs", file }, signal)) ?? "";
    expect(await outlet.reply?.(externalId, "logs", { text: "The logs", file }, signal)).toBe(reply);
    await outlet.editReply?.(reply, { text: "done", file: null }, signal);
    await outlet.reach?.(signal);
    const contents = [...home.events.values()].map((one) => one.content);
    expect(contents).toHaveLength(4);
    expect(contents[0]).toMatchObject({ msgtype: "m.text", "m.mentions": {} });
    expect(contents[0].formatted_body).toContain("&lt;b&gt;&quot;80&quot;&lt;/b&gt;");
    expect(contents[0].body).not.toContain("hunter2");
    expect(contents[1]).toMatchObject({ "m.relates_to": { rel_type: "m.replace", event_id: "$event0" } });
    expect(contents[1]["m.new_content"].body).toStartWith("Resolved: nginx on web-1");
    expect(contents[2]["m.relates_to"]).toMatchObject({ rel_type: "m.thread", event_id: "$event0" });
    expect(contents[3]["m.relates_to"]).toEqual({ rel_type: "m.replace", event_id: "$event2" });
  });

  test("fails as it says", async () => {
    api = startHomeserver();
    const outlet = opened(matrix, { password: TOKEN, segments: [ROOM] });
    const failures: [Response, string, number?][] = [
      [json({ errcode: "M_LIMIT_EXCEEDED", error: "Too Many Requests", retry_after_ms: 2_345 }, 429), "later", 2_345],
      [json({ errcode: "M_FORBIDDEN", error: `${TOKEN} is not in the room` }, 403), "never"],
      [new Response("oops", { status: 500 }), "later"],
      [json({}), "later"],
    ];
    await expectFailures(() => outlet.post(told(), signal), failures, TOKEN);
  });
});

test("what is wrong with a URL is named, and nothing of it", () => {
  api = startApi(() => new Response());
  const wrong: [OutletKind, Parameters<typeof outletUrl>[0], string][] = [
    [pagerduty, { host: "not-a-key" }, "the integration key is malformed"],
    [pagerduty, { host: KEY, params: { region: "mars" } }, "region must be one of us, eu"],
    [opsgenie, { host: KEY, segments: ["#"] }, "a responder has no name"],
    [pushover, { host: USER }, "the application token is missing"],
    [pushover, { host: USER, user: KEY, params: { emergency: "perhaps" } }, "emergency must be yes or no"],
    [matrix, { host: "h.org", password: "syt_12345678", segments: ["ops"] }, "the room's alias names no server"],
    [
      matrix,
      { host: "h.org", user: "ops", password: "secret-word" },
      "an access token is needed: by a user's password nobody signs in here",
    ],
  ];
  for (const [kind, parts, message] of wrong)
    expect(() => kind.open(outletUrl(parts), outletDeps())).toThrow(new OutletUrlError(message));
});
