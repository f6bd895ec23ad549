/**
 * The one reader of `GET /v1/events`, in the worker of all tabs or, where there is none, in the page:
 *
 *   connecting → live → waiting (the stream ended; tried again with back-off) → connecting …
 *   signed_out   the server wants a credential: nothing is tried until somebody signs in
 *
 * It reads by fetch: an EventSource stops for good at an answer that is not 200, and does not show the comments that say that the
 * server is still there.
 */
import type { News } from "./model.ts";
import { createEventReader } from "./sse.ts";

/** The server comments every 15 s: a stream that is silent for longer than two of them is dead. */
const SILENCE_MS_MAX = 35_000;
/** Bun begins an answer with its first byte, which the hello is. */
const CONNECT_MS_MAX = 10_000;
/** Short, since people wait: after a restart of the server the page is right again within this. */
const WAITS_MS = [500, 1_000, 2_000, 4_000] as const;
/** So that a thousand pages do not come back at one moment. */
const JITTER = 0.2;

export type ConnectionState = "connecting" | "live" | "waiting" | "signed_out";

/** How it stands with the stream. */
export interface Connection {
  state: ConnectionState;
  /**
   * When the server last told how things are, by this device's clock; null before its first word. Its comments tell only that it is
   * there, also while it cannot read its database.
   */
  heardMs: number | null;
  /** Since when there is no stream any more; null while there is one, and before the first. */
  lostMs: number | null;
  /** While waiting: when the next try is. */
  nextTryMs: number | null;
  /** Why there is no stream, where the server said so. */
  why: string | null;
}

interface StreamClientDeps {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  onNews: (news: News) => void;
  onConnection: (connection: Connection) => void;
}

/** What the page and the worker hold of the stream. */
export interface StreamClient {
  /** Tries now; a stream that lives is left alone. */
  retry: () => void;
  stop: () => void;
}

/** Starts reading; `onConnection` hears every change and every word of the server. */
export function startStream({ fetch, onNews, onConnection }: StreamClientDeps): StreamClient {
  const stopping = new AbortController();
  let connection: Connection = { state: "connecting", heardMs: null, lostMs: null, nextTryMs: null, why: null };
  let cursor = "";
  let failures = 0;
  let wake = () => {};

  function tell(change: Partial<Connection>): void {
    connection = { ...connection, ...change };
    onConnection(connection);
  }

  function heard(): void {
    failures = 0;
    tell({ state: "live", lostMs: null, nextTryMs: null, why: null });
  }

  /** Reads until the stream ends. Resolves with why it did. */
  async function read(): Promise<{ isSignedOut: boolean; why: string | null }> {
    const attempt = new AbortController();
    const signal = AbortSignal.any([attempt.signal, stopping.signal]);
    let timer = setTimeout(() => attempt.abort(), CONNECT_MS_MAX);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort(), SILENCE_MS_MAX);
      heard();
    };
    try {
      const path = cursor === "" ? "/v1/events" : `/v1/events?after=${encodeURIComponent(cursor)}`;
      const answer = await fetch(path, { headers: { accept: "text/event-stream" }, cache: "no-store", signal });
      if (answer.status === 401) return { isSignedOut: true, why: null };
      if (!answer.ok || answer.body === null)
        return { isSignedOut: false, why: `the server answered ${answer.status}` };
      await pump(answer.body, alive);
      return { isSignedOut: false, why: null };
    } finally {
      clearTimeout(timer);
      attempt.abort();
    }
  }

  async function pump(body: ReadableStream<Uint8Array>, alive: () => void): Promise<void> {
    const decoder = new TextDecoder();
    const reader = body.getReader();
    let told = false;
    const events = createEventReader(({ event, data, id }) => {
      if (id !== "") cursor = id;
      told = true;
      onNews({ kind: event, data: JSON.parse(data) } as News);
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      events(decoder.decode(value, { stream: true }));
      if (told) tell({ heardMs: Date.now() });
      told = false;
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      tell({ state: "connecting" });
      const end = await read().catch((error: unknown) => ({ isSignedOut: false, why: reasonOf(error) }));
      if (stopping.signal.aborted) return;
      const waitMs = end.isSignedOut ? NEVER_MS : waitAfter(failures++);
      const nextTryMs = end.isSignedOut ? null : Date.now() + waitMs;
      const lostMs = connection.lostMs ?? (connection.heardMs === null ? null : Date.now());
      tell({ state: end.isSignedOut ? "signed_out" : "waiting", lostMs, nextTryMs, why: end.why });
      await pause(waitMs);
    }
  }

  run().catch((error: unknown) => tell({ state: "waiting", why: reasonOf(error) }));
  return {
    retry() {
      if (connection.state === "live" || connection.state === "connecting") return;
      failures = 0;
      wake();
    },
    stop() {
      stopping.abort();
      wake();
    },
  };
}

/** The longest that a timer takes. */
const NEVER_MS = 2 ** 31 - 1;

function waitAfter(failures: number): number {
  const ms = WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] ?? WAITS_MS[0];
  return ms * (1 - JITTER * Math.random());
}

/** A stream that breaks off says nothing that a person could use. */
function reasonOf(error: unknown): string | null {
  return error instanceof SyntaxError || error instanceof RangeError ? "the stream could not be read" : null;
}
