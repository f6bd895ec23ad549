import type { LogLevel, WebClient } from "@slack/web-api";
import { createFetch, direct, type Fetch, fetchBounded, NOT_SENT, type ProxyOf } from "../lib/bounded-fetch.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";

/** One call may take so long; Slack answers in a tenth of a second as a rule. */
const CALL_LIMIT_MS = 10_000;

export interface WebApiOptions {
  token: string;
  /** Without a slash at its end; null: Slack's own. */
  apiUrl: string | null;
  proxyOf?: ProxyOf;
}

/** Slack's Web API. The SDK is loaded with the first call, so that who has no Slack does not pay for it. */
export function createWebApi({ token, apiUrl, proxyOf = direct }: WebApiOptions) {
  return {
    proxyOf,
    /** One call, ended by the signal. Throws a DeliveryError. */
    async call<T>(method: string, signal: AbortSignal, use: (client: WebClient) => Promise<T>): Promise<T> {
      try {
        const { WebClient } = await import("@slack/web-api");
        return await use(new WebClient(token, clientOptions(apiUrl, createSlackFetch(proxyOf, signal))));
      } catch (error) {
        throw webApiFailure(method, error);
      }
    },
  };
}

export type WebApi = ReturnType<typeof createWebApi>;

/** The pages of a long answer, `pagesMax` at most; each is asked for with the cursor that the one before ended with. */
export async function* pagesOf<T extends { response_metadata?: { next_cursor?: string } }>(
  pagesMax: number,
  ask: (cursor: { cursor?: string }) => Promise<T>,
) {
  let cursor: { cursor?: string } = {};
  for (let page = 0; page < pagesMax; page++) {
    const answer = await ask(cursor);
    yield answer;
    const next = answer.response_metadata?.next_cursor;
    if (!next) return;
    cursor = { cursor: next };
  }
}

/**
 * How the SDK calls. It does not retry: our rows do, and they survive a restart. It would log requests and answers, which are not for
 * a log; what matters of a failure is in what it throws.
 */
function clientOptions(apiUrl: string | null, send: ReturnType<typeof createSlackFetch>) {
  const silent = () => undefined;
  const getLevel = () => "error" as LogLevel;
  return {
    ...(apiUrl === null ? {} : { slackApiUrl: `${apiUrl}/` }),
    fetch: send,
    allowAbsoluteUrls: false,
    logger: { debug: silent, info: silent, warn: silent, error: silent, setLevel: silent, setName: silent, getLevel },
    rejectRateLimitedCalls: true,
    retryConfig: { retries: 0 },
    timeout: CALL_LIMIT_MS,
  };
}

/** A page of a channel's history is the longest answer; what is longer is not held in memory. */
const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;

/** A fetch for Slack's SDKs that ends when `signal` does. `seen` looks at each answer. */
export function createSlackFetch(proxyOf: ProxyOf, signal: AbortSignal, seen?: (response: Response) => void) {
  const ask = createFetch(proxyOf);
  const send: Fetch = async (url, init) => {
    const response = await ask(url, init);
    seen?.(response);
    return response;
  };
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const signals = init.signal ? [signal, init.signal] : [signal];
    return fetchBounded(url, { ...init, signal: AbortSignal.any(signals) }, RESPONSE_BYTES_MAX, send);
  };
}

/** Where Slack itself answers; the second is the one for governments. */
const SLACK_DOMAINS = ["slack.com", "slack-gov.com"];

/**
 * Whether an address that came in a message may be called: on Slack's own hosts over TLS, or where SLACK_API_URL points.
 * Anything else would let whoever forges a message make this server call them.
 */
export function isSlackUrl(text: string, apiUrl: string | null): boolean {
  const url = URL.parse(text);
  if (!url || url.username + url.password !== "") return false;
  if (apiUrl !== null && url.origin === new URL(apiUrl).origin) return true;
  const isOfSlack = SLACK_DOMAINS.some((domain) => url.hostname === domain || url.hostname.endsWith(`.${domain}`));
  return url.protocol === "https:" && url.port === "" && isOfSlack;
}

/** What an operator must put right first: tried again at this pace until then, so that nothing is lost meanwhile. */
const OPERATOR_WAIT_MS = 60_000;

/** Slack's words for a request that is wrong in itself, or about something that is gone: it would be refused again. */
const FOR_GOOD = new Set([
  "cant_update_message",
  "edit_window_closed",
  "invalid_arguments",
  "invalid_attachments",
  "invalid_blocks",
  "invalid_blocks_format",
  "invalid_form_data",
  "invalid_json",
  "invalid_metadata_format",
  "invalid_metadata_schema",
  "invalid_payload",
  "message_not_found",
  "msg_blocks_too_long",
  "msg_too_long",
  "no_text",
  "thread_not_found",
  "too_many_attachments",
]);

const BUSY = new Set([
  "ratelimited",
  "rate_limited",
  "message_limit_exceeded",
  "service_unavailable",
  "team_added_to_org",
]);

/** Slack gave up in the middle: part of it may have happened. */
const IN_THE_MIDDLE = new Set(["fatal_error", "internal_error", "request_timeout"]);

/** What a Web API error of the SDK is made of, as far as it is looked at. */
interface SdkError extends Error {
  readonly code?: string;
  readonly data?: {
    readonly error?: unknown;
    readonly needed?: unknown;
    readonly response_metadata?: { messages?: unknown };
  };
  readonly retryAfter?: number;
  readonly statusCode?: number;
  readonly original?: Error & { code?: unknown };
  readonly body?: unknown;
}

/** What a failed call to the Web API means for a delivery. The message names no secret. */
function webApiFailure(method: string, error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (!(error instanceof Error)) return new DeliveryError("unknown", `${method}: ${errorMessage(error)}`);
  const { code, data, retryAfter, statusCode, original } = error as SdkError;
  switch (code) {
    case "slack_webapi_platform_error":
      return refusal(method, data);
    case "slack_webapi_rate_limited_error":
      return new DeliveryError("later", `${method}: Slack asks to wait`, (retryAfter ?? 1) * 1000);
    case "slack_webapi_http_error":
      return httpFailure(method, statusCode ?? 0, "unknown");
    case "slack_webapi_request_error":
      return requestFailure(method, original ?? error);
    default:
      // The SDK has no type of its own for a 429 that does not say how long to wait.
      return error.message.startsWith("Retry header")
        ? new DeliveryError("later", `${method}: Slack asks to wait`)
        : requestFailure(method, error);
  }
}

function refusal(method: string, data: SdkError["data"]): DeliveryError {
  const word = typeof data?.error === "string" && /^[a-z_]{1,60}$/.test(data.error) ? data.error : undefined;
  if (word === undefined) return new DeliveryError("unknown", `${method}: the answer is not Slack's`);
  const details = [data?.needed, data?.response_metadata?.messages].flat().filter((one) => typeof one === "string");
  const text = [`${method}: ${word}`, ...details].join(" ").slice(0, 500);
  if (IN_THE_MIDDLE.has(word)) return new DeliveryError("unknown", text);
  if (FOR_GOOD.has(word)) return new DeliveryError("never", text);
  return new DeliveryError("later", text, BUSY.has(word) ? null : OPERATOR_WAIT_MS);
}

/** `onServerError`: whether something may have happened although an error was answered. */
function httpFailure(what: string, status: number, onServerError: "later" | "unknown"): DeliveryError {
  const text = `${what}: HTTP status ${status}`;
  if (status >= 500 || status === 408) return new DeliveryError(onServerError, text);
  return new DeliveryError("later", text, OPERATOR_WAIT_MS);
}

function requestFailure(what: string, error: Error & { code?: unknown }): DeliveryError {
  // A deadline's error has a number for a code, which says nothing to anybody.
  const code = typeof error.code === "string" ? error.code : error.name;
  const wasSent = !NOT_SENT.test(code);
  const text = `${what}: ${wasSent ? "no answer" : "not reached"} (${code})`;
  return new DeliveryError(wasSent ? "unknown" : "later", text);
}

/** Slack's word for a message that it took; what takes Slack's place (Mattermost, Rocket.Chat) says it as JSON, too. */
const TAKEN = /^(?:ok|\{\s{0,9}"(?:ok|success)"\s{0,9}:\s{0,9}true\b.*\})$/s;

/** A webhook's answer of status 200 that is not Slack's: a page to sign in at, which a network or a proxy put in between. */
export function assertTaken(answer: string): void {
  if (TAKEN.test(answer.trim())) return;
  throw new DeliveryError("later", "webhook: something else than Slack answered; is there a page to sign in at?");
}

/** What a failed call to a webhook means. An answered error is a refusal: only without an answer is it unknown what happened. */
export function webhookFailure(error: unknown, retryAfterMs: number | null): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (!(error instanceof Error)) return new DeliveryError("unknown", `webhook: ${errorMessage(error)}`);
  const { code, statusCode, original, body } = error as SdkError;
  if (code !== "slack_webhook_http_error") return requestFailure("webhook", original ?? error);
  if (statusCode === 429) return new DeliveryError("later", "webhook: Slack asks to wait", retryAfterMs);
  const word = String(body ?? "").trim();
  if (FOR_GOOD.has(word)) return new DeliveryError("never", `webhook: ${word}`);
  const named = /^[a-z_]{1,60}$/.test(word) ? `webhook: ${word}` : "webhook";
  return httpFailure(named, statusCode ?? 0, "later");
}

/** Whether Slack refused with one of these words. */
export function isNamed(error: unknown, words: readonly string[]): boolean {
  return error instanceof DeliveryError && words.some((word) => error.message.split(/[ :]+/).includes(word));
}

/** Names of channels have no capital letters. */
const CHANNEL_ID = /^[CGD][A-Z0-9]+$/;
const PAGE = 1_000;
/** A workspace with more channels than this must name its channel by id. */
const PAGES_MAX = 20;

/** Who we are and where we post, which does not change while the server runs: asked for once and kept. A failure is not kept. */
export function createWorkspace(api: WebApi, channel: string | null) {
  let identity: Awaited<ReturnType<typeof askIdentity>> | undefined;
  let channelId = channel !== null && CHANNEL_ID.test(channel) ? channel : undefined;
  return {
    async identity(signal: AbortSignal) {
      identity ??= await askIdentity(api, signal);
      return identity;
    },
    /** Where to post: the channel's id, or its name, which Slack takes there as well. */
    target() {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      return channelId ?? `#${channel.replace(/^#/, "")}`;
    },
    /** Slack said the channel's id with an answer, so that it need not be looked for. */
    learnt(id: string) {
      channelId ??= id;
    },
    /** The id of the channel that the settings name by id or name. */
    async channelId(signal: AbortSignal) {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      channelId ??= await findChannel(api, channel.replace(/^#/, ""), signal);
      return channelId;
    },
  };
}

export type Workspace = ReturnType<typeof createWorkspace>;

/** By auth.test. */
async function askIdentity(api: WebApi, signal: AbortSignal) {
  const answer = await api.call("auth.test", signal, (client) => client.auth.test());
  if (!answer.team_id) throw new DeliveryError("later", "auth.test: no team in the answer");
  return { teamId: answer.team_id, botId: answer.bot_id ?? null, url: answer.url ?? "https://slack.com/" };
}

async function findChannel(api: WebApi, name: string, signal: AbortSignal): Promise<string> {
  const options = { types: "public_channel,private_channel", exclude_archived: true, limit: PAGE };
  const pages = pagesOf(PAGES_MAX, (cursor) =>
    api.call("conversations.list", signal, (client) => client.conversations.list({ ...options, ...cursor })),
  );
  for await (const { channels } of pages) {
    const found = channels?.find((one) => one.name === name)?.id;
    if (found) return found;
  }
  const text = `SLACK_CHANNEL: the app sees no channel named ${name.slice(0, 80)}; invite it there, or give the channel's id`;
  throw new DeliveryError("later", text, 60_000);
}
