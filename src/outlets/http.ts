import { createFetch, fetchBounded, NOT_SENT, type ProxyOf, TooLargeError } from "../lib/bounded-fetch.ts";
import { DeliveryError, errorCode, errorMessage } from "../lib/errors.ts";

const CALL_LIMIT_MS = 10_000;
/** Answers are a few fields. */
const ANSWER_BYTES_MAX = 64 * 1024;
const RETRY_AFTER_MS_MAX = 3_600_000;
const SAID_CHARS_MAX = 200;
/** What somebody has to mend first. */
const OPERATOR_WAIT_MS = 60_000;

/** One call of an outlet's API. */
export interface ApiCall {
  /** As an error names it: "PagerDuty". */
  who: string;
  url: string;
  method?: "GET" | "POST" | "PUT" | "PATCH";
  headers?: Record<string, string>;
  body?: unknown;
  /** What of the URL and the headers no error may repeat, however it is answered. */
  secrets: readonly string[];
  /** Whether a call that may have come through can be made again without harm. */
  isRepeatable: boolean;
}

/** An answer of 2xx: its JSON; an empty object where it is none. */
export type ApiAnswer = Record<string, unknown>;

/** How an outlet says when to come back: milliseconds, null where it does not. */
export type WaitOf = (headers: Headers, answer: ApiAnswer) => number | null;

/** Makes the call. Throws a DeliveryError, which has nothing secret in it. */
export async function callApi(
  call: ApiCall,
  { proxyOf, signal, waitOf }: { proxyOf: ProxyOf; signal: AbortSignal; waitOf?: WaitOf },
): Promise<ApiAnswer> {
  const { who, url, method = "POST", headers = {}, body, isRepeatable } = call;
  const init = {
    method,
    headers: {
      "user-agent": "opspilot",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
  };
  let response: Response;
  try {
    response = await fetchBounded(url, init, ANSWER_BYTES_MAX, createFetch(proxyOf));
  } catch (error) {
    const why = error instanceof TooLargeError ? error.message : withoutSecrets(errorMessage(error), call.secrets);
    const isLater = isRepeatable || NOT_SENT.test(errorCode(error, ""));
    throw new DeliveryError(isLater ? "later" : "unknown", `${who} did not answer: ${why}`);
  }
  const text = await response.text();
  const answer = jsonIn(text);
  if (response.status >= 200 && response.status < 300) {
    if (!text.trimStart().startsWith("<")) return answer;
    throw new DeliveryError("later", `something else than ${who} answered; is there a page to sign in at?`);
  }
  throw failureOf(call, response, answer, text, waitOf);
}

function failureOf(call: ApiCall, response: Response, answer: ApiAnswer, text: string, waitOf?: WaitOf): DeliveryError {
  const { status, headers } = response;
  const said = withoutSecrets(saidIn(answer, text), call.secrets);
  const message = `${call.who} answered ${status}${said === "" ? "" : `: ${said}`}`;
  const isLater = status === 408 || status === 425 || status === 429;
  if (isInBetween(status, answer)) return new DeliveryError("later", message, OPERATOR_WAIT_MS);
  if (!isLater && status < 500) return new DeliveryError("never", message);
  const waitMs = waitOf?.(headers, answer) ?? secondsMs(headers.get("retry-after"));
  // A gateway that gave up waiting says nothing about what became of it behind it.
  const isDoubtful = (status === 502 || status === 504) && !call.isRepeatable;
  return new DeliveryError(isDoubtful ? "unknown" : "later", message, boundedWaitMs(waitMs));
}

/** Whether that may be a gateway's word, or a proxy's: nothing of the API's own is in it. */
function isInBetween(status: number, answer: ApiAnswer): boolean {
  if ((status >= 300 && status < 400) || status === 407) return true;
  return (status === 401 || status === 403 || status === 404) && Object.keys(answer).length === 0;
}

function boundedWaitMs(waitMs: number | null): number | null {
  return waitMs === null || !Number.isFinite(waitMs) || waitMs < 0 ? null : Math.min(waitMs, RETRY_AFTER_MS_MAX);
}

function secondsMs(header: string | null): number | null {
  return header === null || header.trim() === "" ? null : Number(header) * 1_000;
}

function jsonIn(text: string): ApiAnswer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as ApiAnswer) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** The words of an error, by the names that these APIs have for them. */
function saidIn({ errcode, error, message, description, errors }: ApiAnswer, text: string): string {
  const words = [errcode, error, message, description, ...(Array.isArray(errors) ? errors : [])].filter(
    (one) => typeof one === "string",
  );
  const said = words.length > 0 ? words.join(", ") : text.startsWith("<") ? "" : text;
  return said
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, SAID_CHARS_MAX);
}

/** The text without any of them, as they are or as a URL has them. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets.filter((one) => one !== "").flatMap((one) => [one, encodeURIComponent(one)]);
  return forms.reduce((out, form) => out.replaceAll(form, "[redacted]"), text);
}
