/**
 * What is broken now, by source, and what of it was told:
 *
 *   well ── fails ──▶ broken: told at once
 *   broken ── fails again ──▶ broken: counted; told in sum after SUMMARY_MS, again and again while it goes on
 *   broken ── has been well for the hold time ──▶ well: told as resolved
 *
 * Each time a source breaks soon after it was well, its next recovery is believed later (the hold time doubles). So what
 * flaps is one alert with a count, not an alert and a resolution a minute.
 */
import type { Clock } from "../../lib/clock.ts";
import { isRecord } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import type { Severity } from "../../protocol/frames.ts";
import type { HostAlert, ReportAlert } from "../model.ts";
import { countGivenUp, type Health } from "./health.ts";

/** A source that is broken. It is kept over restarts of the agent. */
export interface Episode {
  /** What is wrong, as it was told first: the server takes alerts of one text as one problem. */
  readonly what: string;
  readonly firstAtMs: number;
  lastAtMs: number;
  failures: number;
  /** What was not told yet. */
  untold: number;
}

/** A source that broke. */
export interface Failure {
  readonly source: string;
  readonly what: string;
  readonly atMs: number;
  readonly severity: Severity;
  readonly exitCode?: number;
  readonly key?: string;
  /** How often it happened, if not once. */
  readonly times?: number;
  /** The latest lines of its log, read only when something is told. */
  logs(): Promise<string>;
}

export interface EpisodesOptions {
  /** An alert's type. */
  readonly type: string;
  readonly clock: Clock;
  readonly report: ReportAlert;
  readonly recoveryMs: number;
  /** What is counted, in an alert's text: the server takes texts that differ in numbers alone as one problem. */
  readonly counted?: string;
  readonly initial?: Readonly<Record<string, Episode>>;
  /** More is broken than can be followed: what has failed longest ago is given up, and its recovery is never told. */
  readonly gaveUp?: (source: string) => void;
}

/** Shorter than the server's window for one incident, so that a loop stays one. */
const SUMMARY_MS = 240_000;
/** The first sum comes sooner: how fast a loop turns says much. */
const FIRST_SUMMARY_MS = 60_000;
/** For so long a recovery is remembered as one that may not have been. */
const FLAP_MEMORY_MS = 3_600_000;
const HOLD_MAX_MS = 900_000;
/** Sources come and go (jobs with a number in their name). */
const SOURCES_MAX = 1000;

interface Pace {
  toldMs: number;
  sums: number;
  last: Failure | undefined;
}

/** Follows what is broken. */
export function createEpisodes({
  type,
  clock,
  report,
  recoveryMs,
  counted = "failures in a row",
  initial = {},
  gaveUp,
}: EpisodesOptions) {
  const open = new Map<string, Episode>(Object.entries(initial));
  const paces = new Map<string, Pace>();
  const flaps = new Map<string, { times: number; atMs: number }>();
  /** Not told yet: after a restart it must look new. */
  const beginning = new Set<string>();
  let changes = 0;
  /** By source: one log that takes its time holds up no other source. */
  const lines = new Map<string, Promise<void>>();

  /** A recovery is never told before the failure, whose log takes its time. */
  async function inOrder(source: string, work: () => Promise<void>): Promise<void> {
    const turn = (lines.get(source) ?? Promise.resolve()).then(work, work);
    lines.set(source, turn);
    try {
      await turn;
    } finally {
      if (lines.get(source) === turn) lines.delete(source);
    }
  }

  function paceOf(source: string): Pace {
    const known = paces.get(source);
    if (known) return known;
    const pace: Pace = { toldMs: clock.monotonicMs(), sums: 0, last: undefined };
    paces.set(source, pace);
    return pace;
  }

  async function fail(failure: Failure): Promise<void> {
    const { source, what, atMs, times = 1 } = failure;
    const episode = open.get(source);
    if (episode) {
      episode.failures += times;
      episode.untold += times;
      episode.lastAtMs = Math.max(Math.min(episode.lastAtMs, clock.now()), atMs);
      // The order is that in which they failed last.
      open.delete(source);
      open.set(source, episode);
      paceOf(source).last = failure;
      return isDue(source, episode) ? tellSum(source, episode, failure) : undefined;
    }
    if (open.size >= SOURCES_MAX) giveUpOldest();
    const begun: Episode = { what, firstAtMs: atMs, lastAtMs: atMs, failures: times, untold: times };
    open.set(source, begun);
    beginning.add(source);
    const key = failure.key === undefined ? {} : { key: failure.key };
    await tell(source, begun, failure, { ...key, atMs });
  }

  function giveUpOldest(): void {
    const [source] = open.keys();
    if (source === undefined) return;
    open.delete(source);
    paces.delete(source);
    gaveUp?.(source);
  }

  function isDue(source: string, { untold }: Episode): boolean {
    const { toldMs, sums } = paceOf(source);
    return untold > 0 && clock.monotonicMs() - toldMs >= (sums === 0 ? FIRST_SUMMARY_MS : SUMMARY_MS);
  }

  async function tellSum(source: string, episode: Episode, failure: Failure): Promise<void> {
    paceOf(source).sums++;
    await tell(source, episode, failure, { atMs: episode.lastAtMs });
  }

  async function tell(
    source: string,
    episode: Episode,
    failure: Failure,
    more: Pick<HostAlert, "atMs" | "key">,
  ): Promise<void> {
    const pace = paceOf(source);
    pace.toldMs = clock.monotonicMs();
    pace.last = undefined;
    const reading = failure.logs();
    await inOrder(source, async () => {
      const { untold, failures } = episode;
      const logs = await reading;
      await report(alertOf(source, { ...episode, failures }, failure, logs, more));
      episode.untold -= untold;
      beginning.delete(source);
      changes++;
    });
  }

  function alertOf(
    source: string,
    episode: Episode,
    failure: Failure,
    logs: string,
    more: Pick<HostAlert, "atMs" | "key">,
  ): HostAlert {
    return {
      type,
      source,
      message: `${episode.what} (${counted}: ${episode.failures})`,
      ...(logs === "" ? {} : { logs }),
      ...(failure.exitCode === undefined ? {} : { exitCode: failure.exitCode }),
      severity: failure.severity,
      state: "firing",
      ...more,
    };
  }

  async function tellRecovery(source: string, how: string, failures: number): Promise<void> {
    const episode = open.get(source);
    // It broke again meanwhile.
    if (episode?.failures !== failures) return;
    open.delete(source);
    paces.delete(source);
    noteFlap(source);
    const message = `${source} ${how}${failures > 1 ? ` (${counted}: ${failures})` : ""}`;
    await report({ type, source, message, state: "resolved", atMs: clock.now() });
    changes++;
  }

  return {
    fail,
    /** Tells sums that are due. */
    async tick(): Promise<void> {
      for (const [source, episode] of open) {
        const last = paces.get(source)?.last;
        if (last && isDue(source, episode)) await tellSum(source, episode, last);
      }
    },
    /** The loop is over, badly (nothing restarts it any more): what is left is told now. */
    async giveUp(source: string): Promise<void> {
      const episode = open.get(source);
      const last = paces.get(source)?.last;
      if (episode && last) await tellSum(source, episode, last);
    },
    /** It has been well for its hold time. `how` ends the sentence "nginx.service …". */
    async recover(source: string, how: string): Promise<void> {
      const failures = open.get(source)?.failures;
      if (failures !== undefined) await inOrder(source, () => tellRecovery(source, how, failures));
    },
    /** For how long this source must be well. */
    holdMs: (source: string): number =>
      Math.min(recoveryMs * 2 ** Math.min(timesOf(source), 20), Math.max(HOLD_MAX_MS, recoveryMs)),
    sources: (): string[] => [...open.keys()],
    has: (source: string): boolean => open.has(source),
    /** Grows with everything that was told; what was only counted may be counted again after a restart. */
    changes: (): number => changes,
    toJson: (): Record<string, Episode> => Object.fromEntries([...open].filter(([source]) => !beginning.has(source))),
  };

  function timesOf(source: string): number {
    const flap = flaps.get(source);
    return flap && clock.monotonicMs() - flap.atMs < FLAP_MEMORY_MS ? flap.times : 0;
  }

  function noteFlap(source: string): void {
    const times = timesOf(source) + 1;
    flaps.delete(source);
    flaps.set(source, { times, atMs: clock.monotonicMs() });
    const [oldest] = flaps.keys();
    if (flaps.size > SOURCES_MAX && oldest !== undefined) flaps.delete(oldest);
  }
}

/** Says so in the agent's log, and in what the collector tells of itself. */
export function tellGivenUp(log: Log, health: Health): (source: string) => void {
  const count = countGivenUp(health, "broken", (given) => `${given} broken ones, since more than ${SOURCES_MAX} are`);
  return (source) => {
    count();
    log.warn({ source, followed: SOURCES_MAX }, "too much is broken at once: one is followed no more");
  };
}

export type Episodes = ReturnType<typeof createEpisodes>;

/** What of a saved state is one of these. */
export function episodesIn(value: unknown): Record<string, Episode> {
  if (!isRecord(value)) return {};
  const entries = Object.entries(value).flatMap(([source, one]) => (isEpisode(one) ? [[source, one] as const] : []));
  return Object.fromEntries(entries);
}

function isEpisode(value: unknown): value is Episode {
  if (!isRecord(value)) return false;
  const numbers = [value.firstAtMs, value.lastAtMs, value.failures, value.untold];
  return typeof value.what === "string" && numbers.every((one) => typeof one === "number");
}
