import { afterEach, describe, expect, test } from "bun:test";
import { readNotify } from "../../src/config/notify.ts";
import { DeliveryError, StartupError } from "../../src/lib/errors.ts";
import { OUTLET_KINDS, openOutlets } from "../../src/outlets/list.ts";
import { type ApiRequest, outletDeps, startApi, told } from "../support/outlets.ts";

const TOKEN = "abcdefghijklmnopqrstuvwxyz";
const BOT = `123456789:${TOKEN}${TOKEN}`;
const signal = AbortSignal.timeout(60_000);
const json = (body: unknown, status = 200, headers = {}) => Response.json(body, { status, headers });
let api: ReturnType<typeof startApi>;
afterEach(() => api.stop());

/** The outlet of this URL, in which HOST stands for the stand-in. */
function opened(url: string) {
  const text = url.replace("HOST", `127.0.0.1:${api.port}`);
  const { entries, mistakes } = readNotify(text, []);
  expect(mistakes).toEqual([]);
  const [notifier] = openOutlets(entries, outletDeps());
  if (notifier === undefined) throw new Error("nothing was opened");
  return notifier;
}

interface Case {
  url: string;
  /** Whether the service would take it; what it answers then. */
  takes: (call: ApiRequest) => boolean;
  answer: () => Response;
  externalId: string | null;
  /** How it says that it is to be asked later, and in how many milliseconds. */
  limited: [() => Response, number | null];
  secret?: string;
  /** How it takes a refusal, where that is not for good. */
  refused?: string;
  /** How it takes what a gateway answers; null where it trusts whoever does. */
  inBetween?: DeliveryError["reason"] | null;
}

const isText = (value: unknown, max: number) => typeof value === "string" && value.length > 0 && value.length <= max;
const limited = () => new Response("slow down", { status: 429, headers: { "retry-after": "7" } });

/** By each service's documentation. */
const CASES: Readonly<Record<string, Case>> = {
  ntfy: {
    url: `ntfy://tk_${TOKEN}@HOST/ops?scheme=http`,
    takes: ({ method, path, headers, body }) =>
      `${method} ${path}` === "POST /" &&
      headers.get("authorization") === `Bearer tk_${TOKEN}` &&
      body.topic === "ops" &&
      Buffer.byteLength(body.message) <= 4_096 &&
      body.priority === 5 &&
      body.click === "https://ops.example.com/app/incidents/42",
    answer: () => json({ id: "hwQ2YpKdmg", event: "message" }),
    externalId: "hwQ2YpKdmg",
    secret: `tk_${TOKEN}`,
    limited: [() => json({ code: 42901, http: 429, error: "limit reached" }, 429), null],
  },
  gotify: {
    url: `gotify://HOST/push/${TOKEN}?scheme=http`,
    takes: ({ method, path, headers, body }) =>
      `${method} ${path}` === "POST /push/message" &&
      headers.get("x-gotify-key") === TOKEN &&
      isText(body.title, 250) &&
      isText(body.message, 10_000) &&
      Number.isInteger(body.priority),
    answer: () => json({ id: 25, appid: 5 }),
    externalId: "25",
    limited: [limited, 7_000],
  },
  discord: {
    url: `discord://${TOKEN}@123456789012345678?scheme=http&api=HOST`,
    takes: ({ method, path, body }) =>
      `${method} ${path}` === `POST /api/webhooks/123456789012345678/${TOKEN}?wait=true` &&
      isText(body.embeds[0].title, 256) &&
      isText(body.embeds[0].description, 4_096) &&
      body.allowed_mentions.parse.length === 0,
    answer: () => json({ id: "1100" }),
    externalId: "1100",
    limited: [() => json({ message: "You are being rate limited.", retry_after: 1.5, global: false }, 429), 1_500],
  },
  telegram: {
    url: `telegram://${BOT}@telegram?chats=-100123&scheme=http&api=HOST`,
    takes: ({ method, path, body }) =>
      `${method} ${path}` === `POST /bot${BOT}/sendMessage` &&
      body.chat_id === "-100123" &&
      body.parse_mode === "HTML" &&
      isText(body.text, 8_192) &&
      !/<(?!\/?(b|pre|a)\b)/.test(body.text),
    answer: () => json({ ok: true, result: { message_id: 77 } }),
    externalId: "77",
    secret: `${TOKEN}${TOKEN}`,
    limited: [
      () => json({ ok: false, error_code: 429, description: "Too Many Requests", parameters: { retry_after: 3 } }, 429),
      3_000,
    ],
  },
  mattermost: {
    url: `mattermost://HOST/${TOKEN}/town-square?scheme=http`,
    takes: ({ method, path, body }) =>
      `${method} ${path}` === `POST /hooks/${TOKEN}` &&
      body.channel === "town-square" &&
      isText(body.attachments[0].text, 8_000),
    answer: () => new Response("ok"),
    externalId: null,
    limited: [limited, 7_000],
  },
  rocketchat: {
    url: `rocketchat://HOST/${TOKEN}/${TOKEN}2/ops?scheme=http`,
    takes: ({ method, path, body }) =>
      `${method} ${path}` === `POST /hooks/${TOKEN}/${TOKEN}2` &&
      body.channel === "#ops" &&
      isText(body.attachments[0].text, 5_000),
    answer: () => json({ success: true }),
    externalId: null,
    limited: [limited, 7_000],
  },
  teams: {
    url: `teams://HOST/workflows/1a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sig=${TOKEN}&scheme=http`,
    takes: ({ method, path, body }) =>
      method === "POST" &&
      path ===
        `/workflows/1a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sig=${TOKEN}` &&
      body.type === "message" &&
      body.attachments[0].contentType === "application/vnd.microsoft.card.adaptive" &&
      JSON.stringify(body).length < 28_000,
    answer: () => new Response(null, { status: 202 }),
    externalId: null,
    limited: [limited, 7_000],
  },
  slack: {
    url: `slack://T12345678/B12345678/${TOKEN}?scheme=http&api=HOST`,
    takes: ({ method, path, body }) =>
      `${method} ${path}` === `POST /services/T12345678/B12345678/${TOKEN}` && Array.isArray(body.blocks),
    answer: () => new Response("ok"),
    externalId: null,
    refused: "later",
    limited: [limited, 7_000],
  },
  webhook: {
    url: `webhook://HOST/in/1?secret=${TOKEN}&key=of-theirs&scheme=http`,
    takes: ({ method, path, headers }) =>
      `${method} ${path}` === "POST /in/1?key=of-theirs" &&
      headers.get("x-opspilot-signature")?.startsWith("v1=") === true,
    answer: () => new Response(null, { status: 204 }),
    externalId: null,
    inBetween: null,
    limited: [limited, 7_000],
  },
};

describe.each(Object.entries(CASES))(
  "%s",
  (name, { url, takes, answer, externalId, limited, secret = TOKEN, refused = "never", inBetween = "later" }) => {
    const usual = (call: ApiRequest) => (takes(call) ? answer() : new Response("bad form", { status: 400 }));

    test("is sent an incident in its own form, with nothing secret in it and nobody called by it", async () => {
      api = startApi(usual);
      const outlet = opened(url);
      expect(outlet.outlet).toBe(name);
      expect(await outlet.post(told(), signal)).toEqual({ externalId });
      await outlet.post(told({ status: "resolved", reason: "it works again" }), signal).catch((error) => {
        // Another priority than the one that the case looks for.
        if (name !== "ntfy") throw error;
      });
      const text = JSON.stringify(api.calls.map(({ body }) => body));
      expect(text).toContain("web-1");
      expect(text).not.toContain("hunter2");
    });

    test("says how it failed, and nothing of its secrets", async () => {
      api = startApi(() => json({ error: `no: ${secret}` }, 403));
      const outlet = opened(url);
      const post = () =>
        outlet.post(told(), signal).then(
          () => undefined,
          (error: unknown) => error as DeliveryError,
        );
      const never = await post();
      expect(never).toBeInstanceOf(DeliveryError);
      expect([never?.reason, never?.message]).toEqual([refused, expect.stringContaining("403")]);
      expect(never?.message).not.toContain(secret);
      api.answers.push(limited[0]);
      expect(await post()).toMatchObject({ reason: "later", retryAfterMs: limited[1] });
      api.answers.push(() => new Response("", { status: 500 }));
      expect((await post())?.reason).toBe("later");
      // A gateway's own word, or a page to sign in at, is not the outlet's.
      if (inBetween !== null) {
        for (const answer of [
          new Response("404 page not found", { status: 404 }),
          new Response("<html>Sign in</html>"),
        ]) {
          api.answers.push(() => answer);
          expect((await post())?.reason).toBe(inBetween);
        }
      }
      // Nobody is there: nothing was sent, so it waits for as long as that takes.
      await api.stop();
      expect((await post())?.reason).toBe("later");
    });
  },
);

test.each(["discord", "mattermost", "rocketchat", "teams"])("%s takes nothing of a name for markup", async (name) => {
  api = startApi(() => json({ id: "1100" }));
  await opened(CASES[name]?.url ?? "").post(told({ source: "[click](https://evil.example) **x** @everyone" }), signal);
  const text = JSON.stringify(api.calls[0]?.body);
  expect(text).toContain("evil.example");
  expect(text).not.toMatch(/(?<!\\)\[click|(?<!\\)\*\*x|@everyone/);
});

describe("what edits", () => {
  test.each(["discord", "telegram"])(
    "%s shows an incident as it is now, in the message that is there",
    async (name) => {
      api = startApi(() => json({ id: "1100", ok: true, result: { message_id: 77 } }));
      const outlet = opened(CASES[name]?.url ?? "");
      const { externalId } = await outlet.post(told(), signal);
      await outlet.edit(externalId, told({ status: "resolved" }), signal);
      const { method, path, body } = api.calls[1] as ApiRequest;
      if (name === "discord") expect([method, path.endsWith("/messages/1100")]).toEqual(["PATCH", true]);
      else expect([path.split("/").at(-1), body.message_id]).toEqual(["editMessageText", 77]);
      expect(JSON.stringify(body)).toContain("Resolved");
    },
  );

  test("telegram takes a message that shows this already for edited, and answers beneath one", async () => {
    const description = "Bad Request: message is not modified: specified new message content is the same";
    api = startApi(() => json({ ok: false, error_code: 400, description }, 400));
    const outlet = opened(CASES.telegram?.url ?? "");
    await outlet.edit("77", told(), signal);
    api.answers.push(() => json({ ok: true, result: { message_id: 78 } }));
    const reply = { text: "the log", file: { name: "nginx.log", content: "password=hunter2hunter2" } };
    expect(await outlet.reply?.("77", "logs", reply, signal)).toBe("78");
    expect(api.calls[1]?.body.reply_parameters.message_id).toBe(77);
    expect(JSON.stringify(api.calls[1]?.body)).not.toContain("hunter2");
  });
});

test.each(["ntfy", "discord", "telegram"])(
  "%s is asked for a sign of life before it is tried again: nothing that says who we are",
  async (name) => {
    api = startApi(() => new Response(null, { status: 404 }));
    const outlet = opened(CASES[name]?.url ?? "");
    await outlet.reach?.(signal);
    expect(api.calls.map(({ method, path, headers }) => [method, path, headers.get("authorization")])).toEqual([
      ["HEAD", "/", null],
    ]);
    await api.stop();
    expect(await outlet.reach?.(signal).catch((error: DeliveryError) => error.reason)).toBe("later");
  },
);

test("a proxy's address may not be that of a cloud's own service", () => {
  api = startApi(() => new Response());
  const { entries } = readNotify("ntfy://topic?scheme=http&api=169.254.169.254", []);
  expect(() => openOutlets(entries, outletDeps())).toThrow("api is a link-local address");
});

test("whoever sets up outlets wrongly is told all of it, each with its form, and nothing of a secret", () => {
  api = startApi(() => new Response());
  const text = `ntfy://${TOKEN}@host/a~b gotify://host discord://${TOKEN}@x pigeon://${TOKEN} slack://T/B/${TOKEN} ntfy://host/ops?hots=web&name=n2`;
  const { entries } = readNotify(text, []);
  const open = () => openOutlets(entries, outletDeps());
  expect(open).toThrow(StartupError);
  try {
    open();
  } catch (error) {
    const { message, exitCode } = error as StartupError;
    expect(exitCode).toBe(78);
    for (const place of [1, 2, 3, 4, 5, 6]) expect(message).toContain(`outlet ${place} (`);
    expect(message).toContain("the form is ntfy://");
    expect(message).toContain(OUTLET_KINDS.map(({ scheme }) => scheme).join(", "));
    expect(message).toContain("a parameter is not known");
    expect(message).not.toContain(TOKEN);
  }
});
