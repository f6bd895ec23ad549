import { ConsecutiveBreaker, circuitBreaker, handleWhenResult, isBrokenCircuitError } from "cockatiel";
import { OpenAI } from "openai";
import { type Fetch, fetchBounded } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import { backoffMs } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { fieldsOf, isRecord, jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { CATEGORIES } from "./model.ts";
import {
  type DialogueMessage,
  failure,
  failureOf,
  failureOfStatus,
  inOneForm,
  type ModelFailure,
  type ModelFailureReason,
  type ModelReply,
  type ModelRequest,
  type ModelText,
  refusedOf,
  refusesTools,
  type ToolCall,
  type TryFailure,
  wordsOf,
} from "./model-reply.ts";

/** Repetitions of a call whose failure can pass. */
const RETRIES_MAX = 2;
const BACKOFF = { minMs: 300, maxMs: 3_000 } as const;
/** A try that has less time than this is not worth starting. */
const TRY_MS_MIN = 50;
/** Room for an explanation; a model that writes more does not answer what was asked. */
const COMPLETION_TOKENS_MAX = 2_000;
/** Of a model that thinks before it writes. */
const THINKING_TOKENS_MAX = 16_000;
/** What endpoints refuse by name: it is then left out. */
const LEFT_OUT_AT_WILL = ["response_format", "max_tokens", "temperature"] as const;
/** An endpoint that failed so often in a row is left alone for so long. */
const CIRCUIT = { failures: 5, openMs: 30_000 } as const;
/** These say that the endpoint is alive and that this request was the matter. */
const ALIVE: ReadonlySet<ModelFailureReason> = new Set(["bad_request", "no_tools", "too_large", "empty"]);
/** Shown in OpenRouter's statistics; the address is ours to give, not the host's. */
const TITLE = "OpsPilot";
const OPENROUTER_HOST = "openrouter.ai";
const DEFAULT_REFERER = "http://localhost";

export interface ModelClientOptions {
  apiKey: string | null;
  baseUrl: string;
  model: string;
  /** For a call as a whole, repetitions and waits included. */
  timeoutMs: number;
  publicUrl?: string | null;
  clock: Clock;
  log: Log;
  fetch?: Fetch;
  /** Whether a call that takes too long may only have waited for others of ours: the endpoint is not to blame for it. */
  isCrowded?: () => boolean;
  circuit?: { failures: number; openMs: number };
}

/** The API's answer as endpoints really send it: everything may be missing, and OpenRouter puts errors into it. */
interface Completion {
  model?: unknown;
  choices?: { message?: { content?: unknown; tool_calls?: unknown }; finish_reason?: unknown; error?: unknown }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown; cost?: unknown };
  error?: unknown;
}

/** What is asked for beside the question. */
interface Shape {
  isOpenRouter: boolean;
  leftOut: ReadonlySet<string>;
  tokensMax: number;
}

/** One try. `isCut`: the model used up the tokens that it was given. */
type Tried = (ModelText | TryFailure) & { isCut?: boolean };

/**
 * A model behind any API that is compatible with OpenAI's. What an endpoint refuses by name is left out from then on (without
 * structured output the prompt's own instructions must do), and a model that thinks is given the tokens for it. Only openrouter.ai
 * needs a key to be asked at all.
 */
export function createModelClient(options: ModelClientOptions) {
  const { apiKey, baseUrl, timeoutMs, clock, log, circuit = CIRCUIT, isCrowded = () => false } = options;
  const isOpenRouter = hostOf(baseUrl) === OPENROUTER_HOST;
  const isConfigured = isAskable(apiKey, baseUrl);
  const sdk = createSdk(options);
  const breaker = circuitBreaker(
    handleWhenResult((reply) => {
      const { ok, reason } = reply as TryFailure;
      return !ok && !ALIVE.has(reason) && !(reason === "timeout" && isCrowded());
    }),
    { halfOpenAfter: circuit.openMs, breaker: new ConsecutiveBreaker(circuit.failures) },
  );
  let openedAtMs = 0;
  let leftOut: ReadonlySet<string> = new Set<string>();
  let tokensMax = COMPLETION_TOKENS_MAX;
  let takesTools = true;

  breaker.onBreak(() => {
    openedAtMs = clock.monotonicMs();
    log.warn({ host: hostOf(baseUrl), openMs: circuit.openMs }, "the model's endpoint keeps failing, it is left alone");
  });

  async function tryOnce(request: ModelRequest, shape: Shape, signal: AbortSignal): Promise<Tried> {
    const startMs = clock.monotonicMs();
    try {
      const body = bodyOf(request, options.model, shape);
      const completion: unknown = await sdk.chat.completions.create(body as never, { signal, timeout: timeoutMs });
      return textOf(completion, options.model, clock.monotonicMs() - startMs);
    } catch (error) {
      return failureOf(error, signal.aborted);
    }
  }

  /** Without what the endpoint refuses it is no repetition: it is another question. What one call learns all others know. */
  async function tryShapes(request: ModelRequest, signal: AbortSignal): Promise<Tried> {
    for (;;) {
      const shape = { isOpenRouter, leftOut, tokensMax };
      const reply = await tryOnce(request, shape, signal);
      if (!reply.ok && request.tools && refusesTools(reply)) {
        takesTools = false;
        log.info({ host: hostOf(baseUrl) }, "the model takes no tool calls, it is asked for JSON from now on");
        return { ...failure("no_tools", reply.message), canPass: false };
      }
      const sent = LEFT_OUT_AT_WILL.filter((name) => !shape.leftOut.has(name) && isAsked(name, request));
      const refused = reply.ok ? undefined : refusedOf(reply, sent);
      if (refused !== undefined) {
        leftOut = new Set([...leftOut, refused]);
        log.info(
          { host: hostOf(baseUrl), parameter: refused },
          "the model's endpoint refuses a parameter, it is left out",
        );
      } else if (reply.isCut && sent.includes("max_tokens") && shape.tokensMax < THINKING_TOKENS_MAX) {
        tokensMax = THINKING_TOKENS_MAX;
      } else return reply;
    }
  }

  async function tryUntil(request: ModelRequest, signal: AbortSignal): Promise<ModelReply> {
    const endMs = clock.monotonicMs() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const reply = await tryShapes(request, signal);
      if (reply.ok) return reply;
      const waitMs = Math.max(reply.retryAfterMs ?? 0, backoffMs(attempt, BACKOFF));
      const isLast = attempt >= RETRIES_MAX || clock.monotonicMs() + waitMs + TRY_MS_MIN > endMs;
      if (!reply.canPass || isLast || signal.aborted) return withoutDetails(reply);
      await clock.sleep(waitMs, signal);
      if (signal.aborted) return withoutDetails(reply);
    }
  }

  async function callWithin(request: ModelRequest, stop: AbortSignal | undefined): Promise<ModelReply> {
    const ended = new AbortController();
    const cut = new AbortController();
    const deadline = clock.sleep(timeoutMs, ended.signal).then(() => cut.abort());
    const signal = stop ? AbortSignal.any([cut.signal, stop]) : cut.signal;
    try {
      return await tryUntil(request, signal);
    } finally {
      ended.abort();
      await deadline;
    }
  }

  return {
    /** False when there is nobody to ask: openrouter.ai without a key. */
    isConfigured,
    /** False once the endpoint has refused them. */
    takesTools: () => takesTools,
    /** Never throws. The signal ends the call early, for a stop of the server. */
    async ask(request: ModelRequest, stop?: AbortSignal): Promise<ModelReply> {
      if (!isConfigured) return withoutDetails(failure("no_key", "there is no OPENROUTER_KEY"));
      const startMs = clock.monotonicMs();
      try {
        const reply = await breaker.execute(() => callWithin(request, stop));
        return reply.ok ? { ...reply, tookMs: clock.monotonicMs() - startMs } : withoutKey(reply, apiKey);
      } catch (error) {
        if (!isBrokenCircuitError(error)) return withoutDetails(failure("network", errorMessage(error)));
        const retryAfterMs = Math.max(0, openedAtMs + circuit.openMs - clock.monotonicMs());
        const reply = failure("circuit_open", "the endpoint failed too often in a row, it is left alone for a while");
        return { ...withoutDetails(reply), retryAfterMs };
      }
    },
  };
}

/** Whether there is anybody to ask: openrouter.ai needs a key. */
export function isAskable(apiKey: string | null, baseUrl: string): boolean {
  return apiKey !== null || hostOf(baseUrl) !== OPENROUTER_HOST;
}

export type ModelClient = ReturnType<typeof createModelClient>;

/** Every value is set, so that none comes from an environment variable; whatever still does, the fetch leaves out. */
function createSdk({ apiKey, baseUrl, timeoutMs, publicUrl, fetch: inner }: ModelClientOptions): OpenAI {
  return new OpenAI({
    apiKey: apiKey ?? "none",
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: baseUrl,
    timeout: timeoutMs,
    maxRetries: 0,
    logLevel: "off",
    fetch: createModelFetch(inner),
    defaultHeaders: {
      "HTTP-Referer": publicUrl ?? DEFAULT_REFERER,
      "X-Title": TITLE,
      ...(apiKey === null ? { Authorization: null } : {}),
    },
  });
}

function bodyOf(request: ModelRequest, model: string, { isOpenRouter, leftOut, tokensMax }: Shape) {
  const { system, user, more = [], tools } = request;
  const wanted = { response_format: responseFormat(), temperature: 0, max_tokens: tokensMax };
  return {
    model,
    messages: [{ role: "system", content: system }, { role: "user", content: user }, ...more.map(messageOf)],
    ...Object.fromEntries(Object.entries(wanted).filter(([name]) => !leftOut.has(name) && isAsked(name, request))),
    ...(tools ? { tools: tools.map((offer) => ({ type: "function", function: offer })) } : {}),
    stream: false,
    // Others refuse parameters that they do not know.
    ...(isOpenRouter ? { usage: { include: true } } : {}),
  };
}

/** The answer's form is asked for where nothing but the answer may come. */
function isAsked(name: string, { isFree = false }: ModelRequest): boolean {
  return name !== "response_format" || !isFree;
}

function messageOf(message: DialogueMessage) {
  if (message.role === "tool") return { role: "tool", tool_call_id: message.callId, content: message.content };
  if (message.role === "user" || !message.calls?.length) return { role: message.role, content: message.content };
  const calls = message.calls.map(({ id, name, arguments: text }) => ({
    id,
    type: "function",
    // Endpoints refuse a whole dialogue for a name, or JSON, that their own model made up.
    function: { name: name.replaceAll(/[^\w-]/g, "_").slice(0, 64), arguments: isRecord(jsonOf(text)) ? text : "{}" },
  }));
  return { role: "assistant", content: message.content === "" ? null : message.content, tool_calls: calls };
}

const responseFormat = () => ({
  type: "json_schema",
  json_schema: { name: "incident_explanation", strict: true, schema: ANSWER_JSON_SCHEMA },
});

/** Some endpoints send their JSON as text. */
function textOf(answer: unknown, asked: string, tookMs: number): Tried {
  const completion: Completion | undefined = [answer, jsonOf(String(answer))].find(isRecord);
  if (completion === undefined) return failure("server_error", "the answer is not a JSON object");
  const choice = completion.choices?.[0];
  const error = completion.error ?? choice?.error;
  if (error) return failureOfStatus(statusOf(error), wordsOf(error) || "no further explanation", undefined, error);
  const isCut = choice?.finish_reason === "length";
  const text = contentOf(choice?.message?.content);
  const calls = callsOf(choice?.message?.tool_calls);
  if (text.trim() === "" && calls.length === 0) {
    const why = isCut ? "the model used up its tokens before it said anything" : "the model said nothing";
    return { ...failure("empty", why), isCut };
  }
  const model = typeof completion.model === "string" ? completion.model : asked;
  return { ok: true, text, calls, model, usage: usageOf(completion), tookMs, isCut };
}

/** More at once no model has reason for. */
const CALLS_MAX = 16;
const CALL_ID_CHARS_MAX = 200;
const CALL_NAME_CHARS_MAX = 100;
const CALL_ARGUMENTS_CHARS_MAX = 4_000;

/** Of bounded length: they are sent back, and kept. */
function callsOf(calls: unknown): ToolCall[] {
  const all = (Array.isArray(calls) ? calls : []).slice(0, CALLS_MAX).map(fieldsOf);
  return all.flatMap(({ id, function: wanted }, at) => {
    const { name, arguments: given } = fieldsOf(wanted);
    if (typeof name !== "string") return [];
    const text = typeof given === "string" ? given : JSON.stringify(given ?? {});
    return [
      {
        id: typeof id === "string" && id !== "" ? id.slice(0, CALL_ID_CHARS_MAX) : `call_${at}`,
        name: name.slice(0, CALL_NAME_CHARS_MAX),
        arguments: text.slice(0, CALL_ARGUMENTS_CHARS_MAX),
      },
    ];
  });
}

/** A text, or parts of which only texts count: what a model thought is none. */
function contentOf(content: unknown): string {
  if (typeof content === "string") return content;
  const parts = Array.isArray(content) ? content.filter(isRecord) : [];
  return parts.map(({ type, text }) => (type !== "thinking" && typeof text === "string" ? text : "")).join("");
}

function statusOf(error: unknown): number {
  const code = isRecord(error) ? error.code : undefined;
  return typeof code === "number" && code >= 400 && code < 600 ? code : 502;
}

function usageOf({ usage }: Completion): ModelText["usage"] {
  const count = (value: unknown) => (typeof value === "number" && value >= 0 ? value : 0);
  const costUsd = typeof usage?.cost === "number" && usage.cost >= 0 ? usage.cost : null;
  return { promptTokens: count(usage?.prompt_tokens), completionTokens: count(usage?.completion_tokens), costUsd };
}

function withoutDetails({ reason, message, retryAfterMs }: TryFailure): ModelFailure {
  return { ok: false, reason, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** An endpoint may echo a key whose shape nobody knows. */
function withoutKey(reply: ModelFailure, apiKey: string | null): ModelFailure {
  return apiKey ? { ...reply, message: reply.message.replaceAll(apiKey, "[redacted:key]") } : reply;
}

function hostOf(baseUrl: string): string {
  return URL.parse(baseUrl)?.hostname ?? baseUrl;
}

const text = { type: "string" } as const;

/**
 * What a model is asked for, as the JSON Schema that providers accept in strict mode: every key required, no others, and no
 * limits on lengths, which several refuse. ModelAnswerSchema, which has them, decides about what comes back.
 */
const ANSWER_JSON_SCHEMA = {
  type: "object",
  properties: {
    cause: text,
    explanation: text,
    fix: text,
    fix_command: { anyOf: [text, { type: "null" }] },
    category: { type: "string", enum: CATEGORIES },
    severity: { type: "string", enum: ["info", "warning", "critical"] },
    confidence: { type: "number" },
    evidence: { type: "array", items: text },
  },
  required: ["cause", "explanation", "fix", "fix_command", "category", "severity", "confidence", "evidence"],
  additionalProperties: false,
} as const;

/** A model's answer has some KB; more is not one, and would be held in memory. */
const RESPONSE_BYTES_MAX = 1024 * 1024;

/** Nothing else is sent: the SDK adds headers from environment variables, which only `config` may read. */
const SENT_HEADERS = ["accept", "authorization", "content-type", "http-referer", "x-title"];

/** A fetch for the SDK that sends only headers that we chose. */
function createModelFetch(send?: Fetch) {
  return async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    inOneForm(await fetchBounded(url, { ...init, headers: chosenHeaders(init.headers) }, RESPONSE_BYTES_MAX, send));
}

function chosenHeaders(headers: RequestInit["headers"]): Headers {
  const all = new Headers(headers);
  const chosen = new Headers({ "user-agent": "opspilot" });
  for (const name of SENT_HEADERS) {
    const value = all.get(name);
    if (value !== null) chosen.set(name, value);
  }
  return chosen;
}
