import { APIConnectionError, APIError } from "openai";
import { TooLargeError } from "../lib/bounded-fetch.ts";
import { isRecord, jsonOf } from "../lib/json.ts";
import { redact } from "./redact.ts";

/** What a model is asked. */
export interface ModelRequest {
  system: string;
  user: string;
  /** What was said since, both sides', in order. */
  more?: readonly DialogueMessage[];
  /** What the model may call. */
  tools?: readonly ToolOffer[];
  /** Its text may be something else than the answer's JSON. */
  isFree?: boolean;
}

/** What a model, or the server, said after the question. */
export type DialogueMessage =
  | { role: "user"; content: string }
  | { role: "assistant"; content: string; calls?: readonly ToolCall[] }
  | { role: "tool"; callId: string; content: string };

/** A tool as a model is told of it. */
export interface ToolOffer {
  name: string;
  description: string;
  /** A JSON Schema. */
  parameters: object;
}

/** A call that a model asks for; nothing in it was checked. */
export interface ToolCall {
  id: string;
  name: string;
  /** JSON as a rule. */
  arguments: string;
}

/** Why there is no text from a model. `bad_request`, `no_tools` and `too_large` will be the same next time; the others may pass. */
const MODEL_FAILURES = [
  "no_key",
  "timeout",
  "network",
  "unauthorized",
  "payment",
  "rate_limited",
  "server_error",
  "bad_request",
  "no_tools",
  "circuit_open",
  "too_large",
  "empty",
] as const;
export type ModelFailureReason = (typeof MODEL_FAILURES)[number];

/** What a call consumed, as far as the endpoint says. */
export interface ModelUsage {
  promptTokens: number;
  completionTokens: number;
  costUsd: number | null;
}

/** The model's text, not yet looked at. */
export interface ModelText {
  ok: true;
  text: string;
  /** What it wants to know first. */
  calls: readonly ToolCall[];
  /** Who answered, which may be more exact than who was asked. */
  model: string;
  usage: ModelUsage;
  tookMs: number;
}

/** A call without an answer. The message is for people: short, on one line, without secrets. */
export interface ModelFailure {
  ok: false;
  reason: ModelFailureReason;
  message: string;
  /** When the endpoint said (or the circuit breaker knows) how long to wait. */
  retryAfterMs?: number;
}

export type ModelReply = ModelText | ModelFailure;

const MESSAGE_CHARS_MAX = 300;
/** What can pass by itself. 409 is a conflict with another request of ours at some providers. */
const PASSING: ReadonlySet<ModelFailureReason> = new Set(["network", "timeout", "rate_limited", "server_error"]);
/** What endpoints and their gateways say when they do not know the parameter `response_format`, though they do not name it. */
const ABOUT_FORMAT = /response.?format|json.?schema|json.?mode|structured|requested parameters|grammar/i;

/** A failure of one try, with what its HTTP answer said. */
export interface TryFailure extends ModelFailure {
  /** Undefined when there was no HTTP answer. */
  status?: number;
  /** The parameter that the endpoint names as the one at fault. */
  parameter?: string;
  canPass: boolean;
}

/** What the SDK threw, as a value. `cut` says that our own deadline (or a stop) ended the try. */
export function failureOf(error: unknown, cut: boolean): TryFailure {
  if (cut) return failure("timeout", "no answer within the deadline");
  if (hasCause(error, (cause) => cause instanceof TooLargeError)) return failure("too_large", "the answer is too long");
  if (error instanceof APIError && typeof error.status === "number") {
    return failureOfStatus(error.status, bodyMessage(error), error.headers, error.error);
  }
  if (error instanceof APIConnectionError) return failure("network", `no connection: ${rootMessage(error)}`);
  // The SDK could not parse the body: HTML from a proxy, or JSON that was cut off.
  if (error instanceof SyntaxError) return failure("server_error", "the answer is not JSON");
  return failure("network", rootMessage(error));
}

/** An error by its HTTP status, which OpenRouter also puts into bodies of status 200. */
export function failureOfStatus(status: number, message: string, headers?: Headers, body?: unknown): TryFailure {
  const reason = reasonOf(status, body);
  const retryAfterMs = headers === undefined ? undefined : retryAfterOf(headers);
  return {
    ...failure(reason, `HTTP ${status}: ${message}`),
    status,
    canPass: status === 409 || PASSING.has(reason),
    ...(isRecord(body) && typeof body.param === "string" ? { parameter: body.param } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** A failure by its reason. */
export function failure(reason: ModelFailureReason, message: string): TryFailure {
  return { ok: false, reason, message: oneLine(message), canPass: PASSING.has(reason) };
}

/** Which of the parameters that were sent the endpoint refuses, rather than the request as such. */
export function refusedOf<T extends string>(
  { status, message, parameter }: TryFailure,
  sent: readonly T[],
): T | undefined {
  if (status !== 400 && status !== 404 && status !== 422) return undefined;
  const words = message.split(/[^\w]+/);
  const named = sent.find((name) => name === parameter) ?? sent.find((name) => words.includes(name));
  return named ?? (ABOUT_FORMAT.test(message) ? sent.find((name) => name === "response_format") : undefined);
}

/** What endpoints say where the model, or they, know no tools: OpenRouter, Ollama, vLLM and llama.cpp, the last with status 500. */
const ABOUT_TOOLS = /\btools?\b|function.?call/i;

/** Whether an endpoint refuses the request for the tools in it. */
export function refusesTools({ status = 0, message }: TryFailure): boolean {
  return [400, 404, 422, 500, 501].includes(status) && ABOUT_TOOLS.test(message);
}

function reasonOf(status: number, body: unknown): ModelFailureReason {
  if (status === 401) return "unauthorized";
  if (status === 402) return "payment";
  // OpenRouter's moderation answers 403 too, with the reasons: another key would not help.
  if (status === 403) return hasModerationReasons(body) ? "bad_request" : "unauthorized";
  if (status === 408) return "timeout";
  if (status === 413) return "too_large";
  if (status === 429) return "rate_limited";
  return status >= 500 ? "server_error" : "bad_request";
}

function hasModerationReasons(body: unknown): boolean {
  const metadata = (body as { metadata?: { reasons?: unknown } } | null | undefined)?.metadata;
  return Array.isArray(metadata?.reasons);
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date; milliseconds from now. */
function retryAfterOf(headers: Headers): number | undefined {
  const exactMs = Number.parseFloat(headers.get("retry-after-ms") ?? "");
  if (Number.isFinite(exactMs) && exactMs >= 0) return exactMs;
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d{1,9}(\.\d{1,6})?$/.test(value)) return Number(value) * 1_000;
  const waitMs = Date.parse(value) - (Date.parse(headers.get("date") ?? "") || Date.now());
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}

/** The endpoint's own words, when its body had some; never a page of HTML. */
function bodyMessage(error: APIError): string {
  const status = error.status ?? 0;
  const otherwise = status >= 300 && status < 400 ? "redirects are not followed" : "no further explanation";
  return wordsOf(error.error) || otherwise;
}

const WORDS_DEPTH_MAX = 4;

/**
 * What an error's body says: OpenAI's `{error: {message}}`, TGI's and Ollama's `{error: "…"}`, FastAPI's `{detail: "…"}` and
 * `{detail: [{loc, msg}]}`, a gateway's `{message}`.
 */
export function wordsOf(body: unknown, depth = 0): string {
  if (typeof body === "string" || depth > WORDS_DEPTH_MAX) return typeof body === "string" ? body : "";
  if (Array.isArray(body)) return body.map((one) => wordsOf(one, depth + 1)).join("; ");
  if (!isRecord(body)) return "";
  const { error, detail, message, msg, loc } = body;
  const words = wordsOf(message ?? msg ?? detail ?? error, depth + 1);
  return Array.isArray(loc) ? `${loc.join(".")}: ${words}` : words;
}

/** An error's answer in OpenAI's form, the only one whose words the SDK hands on. */
export async function inOneForm(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text();
  const body = jsonOf(text);
  const { status, headers } = response;
  if (!isRecord(body)) return new Response(text, { status, headers });
  const error = { ...(isRecord(body.error) ? body.error : {}), message: wordsOf(body) };
  return Response.json({ error }, { status, headers });
}

function hasCause(error: unknown, is: (cause: unknown) => boolean): boolean {
  return is(error) || (error instanceof Error && error.cause !== undefined && hasCause(error.cause, is));
}

function rootMessage(error: unknown): string {
  return error instanceof Error
    ? error.cause === undefined
      ? error.message
      : rootMessage(error.cause)
    : String(error);
}

/** Short, printable, and without what an endpoint may have echoed. */
function oneLine(message: string): string {
  const head = redact(message.slice(0, MESSAGE_CHARS_MAX * 4));
  return head
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim()
    .slice(0, MESSAGE_CHARS_MAX);
}
