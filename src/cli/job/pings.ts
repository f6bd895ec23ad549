import type { Fetch } from "../../lib/bounded-fetch.ts";
import { fetchBounded } from "../../lib/bounded-fetch.ts";
import { backoffMs, type Clock } from "../../lib/clock.ts";
import { errorCode, errorMessage } from "../../lib/errors.ts";

/** One try; a server that takes longer is asked again. */
const ATTEMPT_MS = 10_000;
/** How long the end of the job is tried to be told: enough for a server that is started anew. */
const END_MS = 30_000;
const RETRY = { minMs: 500, maxMs: 5_000 };
const RETRY_AFTER_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** These say: later. */
const LATER = [408, 425, 429];

interface PingerDeps {
  /** Without a slash at its end. Its last part is a secret: it is in no message. */
  url: string;
  send: Fetch;
  clock: Clock;
  userAgent: string;
  warn: (text: string) => void;
  /** Somebody wants an end: what is not told by then is not. */
  signal: AbortSignal;
}

/** How a run has ended. */
export interface RunEnd {
  readonly exitCode: number;
  readonly durationMs: number;
  readonly log: string;
}

/** What became of a try; with `why` it was refused for good. */
type Attempt = { is: "told" } | { is: "refused"; why: string } | { is: "later"; why: string; afterMs: number };

/** Tells the server of one run, as often as it takes, and never longer than that may take. */
export function createPinger({ url, send, clock, userAgent, warn, signal }: PingerDeps) {
  const { origin } = new URL(url);
  const run = crypto.randomUUID();
  const starting = new AbortController();

  async function attempt(path: string, body: string, signal: AbortSignal): Promise<Attempt> {
    const init = {
      method: "POST",
      headers: { "content-type": "text/plain; charset=utf-8", "user-agent": userAgent },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]),
    };
    try {
      return judge(await fetchBounded(url + path, init, ANSWER_BYTES_MAX, send));
    } catch (error) {
      const code = errorCode(error, "");
      const why = errorMessage(error).replaceAll(url, origin);
      return { is: "later", why: code === "" || why.includes(code) ? why : `${why} (${code})`, afterMs: 0 };
    }
  }

  /** Why it could not be told; undefined where it was. */
  async function tell(path: string, body: string, signal: AbortSignal): Promise<string | undefined> {
    let why = "there was no time";
    for (let tries = 0; !signal.aborted; tries++) {
      const made = await attempt(path, body, signal);
      if (made.is === "told") return undefined;
      why = made.why;
      if (made.is === "refused") break;
      await clock.sleep(Math.max(backoffMs(tries, RETRY), made.afterMs), signal);
    }
    return why;
  }

  return {
    /** Tells the beginning while the job runs; nobody waits for it. */
    start(): void {
      const telling = tell(`/start?run=${run}`, "", AbortSignal.any([starting.signal, signal]));
      telling.catch((error) => warn(`the beginning of the job could not be told: ${errorMessage(error)}`));
    },
    /** Tells the end; the server knows by the run that a beginning that comes later is not another one. */
    async end({ exitCode, durationMs, log }: RunEnd): Promise<void> {
      starting.abort();
      const path = `/${exitCode}?run=${run}&duration_ms=${Math.round(durationMs)}`;
      const why = await tell(path, log, AbortSignal.any([signal, AbortSignal.timeout(END_MS)]));
      if (why !== undefined) warn(`the end of the job could not be told to ${origin}: ${why}`);
    },
  };
}

function judge({ status, headers }: Response): Attempt {
  if (status >= 200 && status < 300) return { is: "told" };
  if (status === 404) return { is: "refused", why: "the server knows no such ping (404)" };
  const why = `it answered ${status}`;
  if (status < 500 && !LATER.includes(status)) return { is: "refused", why };
  const afterMs = Math.min(Number(headers.get("retry-after") ?? 0) * 1000 || 0, RETRY_AFTER_MS_MAX);
  return { is: "later", why, afterMs };
}
