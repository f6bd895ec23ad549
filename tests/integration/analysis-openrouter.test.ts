import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { ModelFailureReason, ModelReply } from "../../src/analysis/model-reply.ts";
import { createModelClient, type ModelClientOptions } from "../../src/analysis/openrouter.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { startCutServer } from "../support/cut-server.ts";
import {
  answers,
  type Behaviour,
  completion,
  endlessBody,
  fails,
  GOOD_ANSWER,
  refusesFormat,
  says,
  slowBody,
  slowHeaders,
  startFakeOpenRouter,
} from "../support/fake-openrouter.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

const KEY = ["sk-", "or-", "v1-", "0123456789abcdef".repeat(4)].join("");
const QUESTION = { system: "You explain.", user: "Why?" };
const GOOD = says(JSON.stringify(GOOD_ANSWER));
const server = startFakeOpenRouter();
afterAll(() => server.stop());
beforeEach(() => {
  server.seen.length = 0;
  server.behave(GOOD);
});

function clientOf(options: Partial<ModelClientOptions> = {}) {
  return createModelClient({
    apiKey: KEY,
    baseUrl: server.baseUrl,
    model: "qwen/qwen-2.5-coder-32b-instruct",
    timeoutMs: TIMEOUT_MS,
    publicUrl: "https://ops.example",
    clock,
    log: quiet,
    ...options,
  });
}

const clock = createSystemClock();
const TIMEOUT_MS = 2_000;
/** The deadline is real, waits between tries are as good as none. */
const hasty = { ...clock, sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms < TIMEOUT_MS ? 1 : ms, signal) };

const ask = (options: Partial<ModelClientOptions> = {}) => clientOf(options).ask(QUESTION);

function failureOf(reply: ModelReply) {
  if (reply.ok) throw new Error(`an answer: ${reply.text}`);
  return reply;
}

describe("an answer", () => {
  test("comes with its model, tokens, cost and time", async () => {
    const reply = await ask();
    if (!reply.ok) throw new Error(reply.message);
    expect(JSON.parse(reply.text)).toEqual(GOOD_ANSWER);
    expect(reply.model).toBe("qwen/qwen-2.5-coder-32b-instruct");
    expect(reply.usage).toEqual({ promptTokens: 1_200, completionTokens: 180, costUsd: 0.000_123 });
    expect(reply.tookMs).toBeGreaterThan(0);
  });

  test("is asked for with a schema, our name and the key, and nothing of the environment", async () => {
    await ask();
    const { path, headers, body } = server.seen[0] ?? { path: "", headers: new Headers(), body: {} };
    expect(path).toBe("/api/v1/chat/completions");
    expect(headers.get("http-referer")).toBe("https://ops.example");
    expect(headers.get("x-title")).toBe("OpsPilot");
    expect(headers.get("authorization")).toBe(`Bearer ${KEY}`);
    expect([...headers.keys()].filter((name) => /stainless|organization|project/.test(name))).toEqual([]);
    expect(body.messages).toEqual([
      { role: "system", content: "You explain." },
      { role: "user", content: "Why?" },
    ]);
    expect(body.response_format.json_schema.strict).toBe(true);
    expect(body.response_format.json_schema.schema.required).toContain("evidence");
    expect(body.usage).toBeUndefined();
  });

  test("openrouter.ai is asked for the cost", async () => {
    const rerouted: ModelClientOptions["fetch"] = (url, init) =>
      fetch(url.replace("https://openrouter.ai/api/v1", server.baseUrl), init);
    const reply = await ask({ baseUrl: "https://openrouter.ai/api/v1", fetch: rerouted });
    expect(reply.ok).toBe(true);
    expect(server.seen[0]?.body.usage).toEqual({ include: true });
  });

  test("of an endpoint that tells no cost has none", async () => {
    const { usage: _, ...rest } = completion("hello");
    server.behave(() => Response.json(rest));
    expect(await ask()).toMatchObject({ ok: true, text: "hello", usage: { promptTokens: 0, costUsd: null } });
  });

  test("of a local endpoint needs no key", async () => {
    const client = clientOf({ apiKey: null });
    expect(client.isConfigured).toBe(true);
    expect((await client.ask(QUESTION)).ok).toBe(true);
    expect(server.seen[0]?.headers.get("authorization")).toBeNull();
  });

  test("openrouter.ai without a key is not asked", async () => {
    const client = clientOf({
      apiKey: null,
      baseUrl: "https://openrouter.ai/api/v1",
      fetch: () => Promise.reject(new Error("asked")),
    });
    expect(client.isConfigured).toBe(false);
    expect(failureOf(await client.ask(QUESTION)).reason).toBe("no_key");
  });
});

describe("structured output", () => {
  test.each([
    [400, "response_format is not supported by this model"],
    [404, "No endpoints found that can handle the requested parameters."],
    [422, "json_schema: extra fields not permitted"],
  ])("refused with %d: plain JSON is asked for, now and later", async (status, message) => {
    server.behave(refusesFormat(status, message));
    const client = clientOf();
    expect((await client.ask(QUESTION)).ok).toBe(true);
    expect((await client.ask(QUESTION)).ok).toBe(true);
    expect(server.seen.map(({ body }) => body.response_format !== undefined)).toEqual([true, false, false]);
  });

  test("a 400 about something else is asked once", async () => {
    server.behave(fails(400, "maximum context length exceeded"));
    expect(failureOf(await ask()).reason).toBe("bad_request");
    expect(server.seen).toHaveLength(1);
  });
});

/** Refuses these parameters, one after the other, in the words of the endpoint. */
function refuses(words: Record<string, (message: string) => object>): Behaviour {
  return (request, signal) => {
    const refused = Object.keys(words).find((name) => request.body[name] !== undefined);
    if (refused === undefined) return GOOD(request, signal);
    return Response.json(words[refused]?.(refused), { status: 400 });
  };
}
const unsupported = (param: string) => ({
  error: {
    message: `Unsupported parameter: '${param}' is not supported with this model.`,
    type: "invalid_request_error",
    param,
    code: "unsupported_parameter",
  },
});

describe("a model as it is", () => {
  const sent = () => server.seen.map(({ body }) => ["max_tokens", "temperature"].filter((name) => name in body));

  test.each([
    ["OpenAI", { max_tokens: unsupported, temperature: unsupported }],
    [
      "FastAPI",
      {
        temperature: (name: string) => ({ detail: [{ loc: ["body", name], msg: "extra fields not permitted" }] }),
        max_tokens: (name: string) => ({ detail: `unknown field: ${name}` }),
      },
    ],
    [
      "TGI",
      {
        temperature: () => ({
          error: "Input validation error: `temperature` must be strictly positive",
          error_type: "validation",
        }),
      },
    ],
  ])("that refuses a parameter of ours is asked without it, now and later (%s)", async (_, words) => {
    server.behave(refuses(words));
    const client = clientOf();
    expect(await client.ask(QUESTION)).toMatchObject({ ok: true });
    const tries = server.seen.length;
    expect(tries).toBe(Object.keys(words).length + 1);
    expect(await client.ask(QUESTION)).toMatchObject({ ok: true });
    expect(server.seen).toHaveLength(tries + 1);
    expect(sent().at(-1)).toEqual(["max_tokens", "temperature"].filter((name) => !(name in words)));
  });

  test("that refuses for ever is not asked for ever", async () => {
    server.behave(() => Response.json(unsupported("max_tokens"), { status: 400 }));
    expect(failureOf(await ask()).reason).toBe("bad_request");
    expect(server.seen).toHaveLength(2);
  });

  test("may answer in parts, of which what it thought is none", async () => {
    const parts = [
      { type: "thinking", thinking: [{ type: "text", text: "hmm {" }] },
      { type: "text", text: '{"cause":' },
      { type: "text", text: '"a"}' },
    ];
    server.behave(() => Response.json(completion(parts as never)));
    expect(await ask()).toMatchObject({ ok: true, text: '{"cause":"a"}' });
  });

  test("may send its JSON as text", async () => {
    const body = JSON.stringify(completion("hello"));
    server.behave(answers(body, { headers: { "content-type": "text/plain; charset=utf-8" } }));
    expect(await ask()).toMatchObject({ ok: true, text: "hello" });
  });

  const usedUp = (): Behaviour => (request, signal) => {
    if (request.body.max_tokens === undefined || request.body.max_tokens > 4_000) return GOOD(request, signal);
    const [choice] = completion(null).choices;
    return Response.json({ ...completion(null), choices: [{ ...choice, finish_reason: "length" }] });
  };
  test("whose thinking used up the tokens is given more, now and later", async () => {
    server.behave(usedUp());
    const client = clientOf();
    expect((await client.ask(QUESTION)).ok).toBe(true);
    expect((await client.ask(QUESTION)).ok).toBe(true);
    expect(server.seen).toHaveLength(3);
  });

  test("whose thinking uses up whatever it is given says so", async () => {
    const [choice] = completion(null).choices;
    server.behave(() => Response.json({ ...completion(null), choices: [{ ...choice, finish_reason: "length" }] }));
    const failure = failureOf(await ask());
    expect(failure.reason).toBe("empty");
    expect(failure.message).toContain("tokens");
    expect(server.seen).toHaveLength(2);
  });

  test.each([
    ["FastAPI", { detail: "Model x/y is not loaded" }, "Model x/y is not loaded"],
    [
      "FastAPI, of a field",
      { detail: [{ loc: ["body", "messages"], msg: "field required" }] },
      "body.messages: field required",
    ],
    ["TGI", { error: "Model is overloaded", error_type: "overloaded" }, "Model is overloaded"],
    ["Ollama", { error: "model 'x' not found" }, "model 'x' not found"],
    ["a gateway", { message: "no such route" }, "no such route"],
  ])("has its own words for what is wrong (%s)", async (_, body, words) => {
    server.behave(() => Response.json(body, { status: 404 }));
    expect(failureOf(await ask()).message).toBe(`HTTP 404: ${words}`);
  });
});

interface FailureCase {
  name: string;
  behaviour: Behaviour;
  reason: ModelFailureReason;
  /** How often it is tried. */
  tries: number;
}
const FAILURES: readonly FailureCase[] = [
  { name: "401", behaviour: fails(401, "No auth credentials found"), reason: "unauthorized", tries: 1 },
  { name: "402", behaviour: fails(402, "Insufficient credits"), reason: "payment", tries: 1 },
  { name: "403, key", behaviour: fails(403, "Key is disabled"), reason: "unauthorized", tries: 1 },
  {
    name: "403, moderation",
    behaviour: fails(403, "flagged", {}, { reasons: ["violence"] }),
    reason: "bad_request",
    tries: 1,
  },
  { name: "404, model", behaviour: fails(404, "No endpoints found for x/y"), reason: "bad_request", tries: 1 },
  { name: "408", behaviour: fails(408, "timed out"), reason: "timeout", tries: 3 },
  { name: "409", behaviour: fails(409, "conflict"), reason: "bad_request", tries: 3 },
  { name: "413", behaviour: fails(413, "payload too large"), reason: "too_large", tries: 1 },
  { name: "429", behaviour: fails(429, "slow down"), reason: "rate_limited", tries: 3 },
  { name: "500", behaviour: fails(500), reason: "server_error", tries: 3 },
  {
    name: "502, HTML",
    behaviour: answers("<html><h1>Bad Gateway</h1></html>", { status: 502, headers: { "content-type": "text/html" } }),
    reason: "server_error",
    tries: 3,
  },
  {
    name: "error in 200",
    behaviour: () => Response.json({ error: { code: 502, message: "Provider returned error" } }),
    reason: "server_error",
    tries: 3,
  },
  {
    name: "429 in 200",
    behaviour: () => Response.json({ error: { code: 429, message: "slow down" } }),
    reason: "rate_limited",
    tries: 3,
  },
  {
    name: "error in a choice",
    behaviour: () =>
      Response.json({
        ...completion(""),
        choices: [{ error: { code: 502, message: "Upstream idle" }, message: { content: "" } }],
      }),
    reason: "server_error",
    tries: 3,
  },
  { name: "no choices", behaviour: () => Response.json({ ...completion(""), choices: [] }), reason: "empty", tries: 1 },
  { name: "empty message", behaviour: says(" \n"), reason: "empty", tries: 1 },
  { name: "null message", behaviour: says(null), reason: "empty", tries: 1 },
  {
    name: "HTML in 200",
    behaviour: answers("<html>login</html>", { headers: { "content-type": "text/html" } }),
    reason: "server_error",
    tries: 3,
  },
  {
    name: "cut JSON in 200",
    behaviour: answers('{"choices":[', { headers: { "content-type": "application/json" } }),
    reason: "server_error",
    tries: 3,
  },
  { name: "endless body", behaviour: endlessBody, reason: "too_large", tries: 1 },
  {
    name: "redirect",
    behaviour: answers(null, { status: 307, headers: { location: "/api/v1/elsewhere" } }),
    reason: "bad_request",
    tries: 1,
  },
];

describe("a failure has its reason", () => {
  test.each(FAILURES)("$name", async ({ behaviour, reason, tries }) => {
    server.behave(behaviour);
    const startMs = performance.now();
    const failure = failureOf(await ask({ clock: hasty }));
    expect(failure.reason).toBe(reason);
    expect(failure.message).not.toMatch(/<html>|\n/);
    expect(server.seen).toHaveLength(tries);
    expect(performance.now() - startMs).toBeLessThan(2_300);
  });

  test.each([
    ["headers", slowHeaders],
    ["body", slowBody],
  ])("slow %s: the deadline ends it", async (_, behaviour) => {
    server.behave(behaviour);
    const startMs = performance.now();
    expect(failureOf(await ask({ timeoutMs: 300 })).reason).toBe("timeout");
    expect(performance.now() - startMs).toBeLessThan(800);
  });

  test("a connection cut in the middle of the body", async () => {
    const cut = await startCutServer();
    const failure = failureOf(await ask({ baseUrl: cut.baseUrl, clock: hasty }));
    expect(failure.reason).toBe("network");
    expect(cut.connections()).toBe(3);
    await cut.stop();
  });

  test("nobody listens", async () => {
    const gone = startFakeOpenRouter();
    await gone.stop();
    expect(failureOf(await ask({ baseUrl: gone.baseUrl, clock: hasty })).reason).toBe("network");
  });

  test("a stop of the server ends the call", async () => {
    server.behave(slowHeaders);
    const stop = new AbortController();
    const reply = clientOf().ask(QUESTION, stop.signal);
    setTimeout(() => stop.abort(), 20);
    expect(failureOf(await reply).reason).toBe("timeout");
  });

  test("what the endpoint echoes is redacted", async () => {
    server.behave(fails(401, `Incorrect API key provided: ${KEY}\nfor alice@example.com`));
    const { message } = failureOf(await ask());
    expect(message).toBe("HTTP 401: Incorrect API key provided: [redacted:openrouter-key] for [redacted:email]");
  });
});

test("a key of no known shape is not repeated either", async () => {
  server.behave(fails(401, "no such key: local-secret"));
  expect(failureOf(await ask({ apiKey: "local-secret" })).message).toBe("HTTP 401: no such key: [redacted:key]");
});

describe("again", () => {
  test("what passes is answered", async () => {
    server.behave(fails(503), fails(429), GOOD);
    expect((await ask()).ok).toBe(true);
    expect(server.seen).toHaveLength(3);
  });

  test("Retry-After is waited for", async () => {
    server.behave(fails(429, "slow down", { "retry-after": "1" }), GOOD);
    expect((await ask({ timeoutMs: 3_000 })).ok).toBe(true);
    const [first, second] = server.seen;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(950);
  });

  test("a Retry-After past the deadline is handed on at once", async () => {
    server.behave(fails(429, "slow down", { "retry-after": "60" }));
    const startMs = performance.now();
    expect(failureOf(await ask())).toMatchObject({ reason: "rate_limited", retryAfterMs: 60_000 });
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(server.seen).toHaveLength(1);
  });

  test("Retry-After may be a date", async () => {
    const headers = { date: "Thu, 25 Jan 2024 00:00:00 GMT", "retry-after": "Thu, 25 Jan 2024 00:02:00 GMT" };
    server.behave(fails(503, "later", headers));
    expect(failureOf(await ask()).retryAfterMs).toBeGreaterThan(0);
  });
});

test("the circuit opens after failures in a row, and closes when the endpoint is back", async () => {
  const client = clientOf({ circuit: { failures: 5, openMs: 150 } });
  server.behave(fails(401));
  for (let at = 0; at < 5; at++) expect(failureOf(await client.ask(QUESTION)).reason).toBe("unauthorized");
  const open = failureOf(await client.ask(QUESTION));
  expect(open.reason).toBe("circuit_open");
  expect(open.retryAfterMs).toBeGreaterThan(0);
  expect(server.seen).toHaveLength(5);
  server.behave(GOOD);
  await until(async () => (await client.ask(QUESTION)).ok, { ms: 2_000 });
});

test("a request that is refused does not open the circuit", async () => {
  const client = clientOf({ circuit: { failures: 2, openMs: 10_000 } });
  server.behave(fails(400, "too long"));
  for (let at = 0; at < 4; at++) expect(failureOf(await client.ask(QUESTION)).reason).toBe("bad_request");
});
