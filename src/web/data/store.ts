/** What all views share: how it stands with the stream, the counts, who is signed in, and the time. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { isEnough, type Role } from "../../protocol/roles.ts";
import { type Api, ApiProblem, SESSION_PATH } from "./api.ts";
import type { Counts, News, Session } from "./model.ts";
import type { Connection } from "./stream-client.ts";

/** Data that are older are not shown as if they were true: nothing is green then. Looked at each second, so one second before. */
const OLD_MS = 44_000;
/** What is older than this, and not known to be so still, is told in the past. */
const PAST_S = 5;
/** After so many signs of life, each 15 s, counts are asked for though nothing changed: the last hour goes on. */
const ALIVES = 4;
/** Counts are asked for this long after a change, so that a storm is one question. */
const COUNTS_REST_MS = 700;
const TICK_MS = 1_000;

/** See createStore. */
export interface Store {
  /** The server's time, by its own clock, each second. */
  readonly now: ReadonlySignal<number>;
  readonly connection: ReadonlySignal<Connection>;
  /** The stream is there. */
  readonly isLive: ReadonlySignal<boolean>;
  /** How old what one sees is, seconds; null before there is anything. */
  readonly oldS: ReadonlySignal<number | null>;
  /** Too old to be believed. */
  readonly isOld: ReadonlySignal<boolean>;
  /** What one sees is how things are: only then anything is green. */
  readonly isKnown: ReadonlySignal<boolean>;
  /** What one sees is how things were. */
  readonly isPast: ReadonlySignal<boolean>;
  readonly counts: ReadonlySignal<Counts | null>;
  readonly countsProblem: ReadonlySignal<ApiProblem | null>;
  readonly isSignedOut: ReadonlySignal<boolean>;
  readonly session: ReadonlySignal<Session | null>;
  /** Whether who is signed in may do what needs this role; so long as nobody knows, the server decides. */
  may(role: Role): boolean;
  readonly version: ReadonlySignal<string | null>;
  /** The server became another version since this page was loaded: its parts may not be there any more. */
  readonly isOutdated: ReadonlySignal<boolean>;
  /** Hears all news; the function that is returned ends it. */
  listen(hear: (news: News) => void): () => void;
  tell(news: News): void;
  setConnection(connection: Connection): void;
  setSignedOut(): void;
  loadSession(): Promise<void>;
  loadCounts(): Promise<void>;
  start(): void;
  stop(): void;
}

/** Makes the store; `start` begins its clock. */
export function createStore({ api }: { api: Api }): Store {
  const now = signal(Date.now());
  const connection = signal<Connection>({
    state: "connecting",
    heardMs: null,
    lostMs: null,
    nextTryMs: null,
    why: null,
  });
  const counts = signal<Counts | null>(null);
  const countsProblem = signal<ApiProblem | null>(null);
  const isSignedOut = signal(false);
  const session = signal<Session | null>(null);
  const version = signal<string | null>(null);
  const isOutdated = signal(false);
  const listeners = new Set<(news: News) => void>();
  const loadedMs = signal<number | null>(null);
  /** How much the server's clock is ahead of this device's, ms. */
  let aheadMs = 0;
  let alives = 0;
  let ticking: ReturnType<typeof setInterval> | undefined;
  let counting: ReturnType<typeof setTimeout> | undefined;

  const heardMs = computed(() => {
    const known = [connection.value.heardMs, loadedMs.value].filter((ms) => ms !== null);
    return known.length === 0 ? null : Math.max(...known);
  });
  const isLive = computed(() => connection.value.state === "live");
  const oldS = computed(() => {
    if (heardMs.value === null) return null;
    return Math.max(0, Math.floor((now.value - aheadMs - heardMs.value) / 1000));
  });
  const isOld = computed(() => (oldS.value ?? 0) * 1000 >= OLD_MS);
  const isKnown = computed(() => isLive.value && !isOld.value);
  const isPast = computed(() => !isKnown.value && (oldS.value ?? 0) >= PAST_S);

  function tick(): void {
    now.value = Date.now() + aheadMs;
  }

  async function loadCounts(): Promise<void> {
    try {
      counts.value = await api.get<Counts>("/v1/incidents/counts?status=open");
      countsProblem.value = null;
      loadedMs.value = Date.now();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      countsProblem.value = error;
    }
  }

  function countSoon(): void {
    counting ??= setTimeout(() => {
      counting = undefined;
      void loadCounts();
    }, COUNTS_REST_MS);
  }

  function tell(news: News): void {
    if (news.kind === "hello") {
      aheadMs = Date.parse(news.data.at) - Date.now();
      if (version.value !== null && version.value !== news.data.version) isOutdated.value = true;
      version.value = news.data.version;
    }
    if (news.kind === "incident" || news.kind === "agent" || news.kind === "reset") countSoon();
    if (news.kind === "alive" && ++alives % ALIVES === 0) countSoon();
    for (const hear of listeners) hear(news);
  }

  return {
    now,
    connection,
    isLive,
    oldS,
    isOld,
    isKnown,
    isPast,
    counts,
    countsProblem,
    isSignedOut,
    session,
    may(needed) {
      const role = session.value?.role;
      return !role || isEnough(role, needed);
    },
    version,
    isOutdated,
    listen(hear) {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
    tell,
    setConnection(next) {
      // In a tab that nobody looks at the clock ticks once a minute.
      tick();
      connection.value = next;
      if (next.state === "signed_out") isSignedOut.value = true;
    },
    setSignedOut() {
      isSignedOut.value = true;
    },
    async loadSession() {
      try {
        session.value = await api.get<Session>(SESSION_PATH);
        isSignedOut.value = session.value.access === "token" && !session.value.signed_in;
      } catch (error) {
        // The server is away: the stream says so, and this is asked again once it is back.
        if (!(error instanceof ApiProblem)) throw error;
      }
    },
    loadCounts,
    start() {
      ticking ??= setInterval(tick, TICK_MS);
    },
    stop() {
      clearInterval(ticking);
      clearTimeout(counting);
    },
  };
}
