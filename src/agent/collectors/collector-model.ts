import type { CollectorSettings } from "../../config/agent-collectors.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { DockerApi } from "../docker-api.ts";
import type { RunProcess } from "../run-process.ts";

export interface CollectorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly run: RunProcess;
  /** Where programs are looked for. */
  readonly searchPath: string;
  readonly docker: DockerApi;
  /** A directory of their own: how far each has read, and what it has reported as broken. */
  readonly stateDir: string;
  readonly settings: CollectorSettings;
}

/** A moment for the last lines of a log to arrive, which travel another way than the news of the end. */
export const SETTLE_MS = 300;
/** What happened longer ago is not recent news: its log is read up to then. */
export const RECENT_MS = 60_000;
/** A place in a stream that moved on without anything being told is saved this often. */
export const SAVE_INTERVAL_MS = 10_000;
/** How long it may take until something is seen to be well again, beyond its hold time. */
export const LOOK_MS = 5_000;

/** What has been broken for so long without any news is looked at less often. */
const LONG_MS = 300_000;
const LONG_LOOK_MS = 30_000;

/** How often what is broken is looked at: often enough for its hold time to mean something. */
export function lookIntervalMs(recoveryMs: number): number {
  return Math.min(LOOK_MS, recoveryMs / 2);
}

/** Says when it is time for the next look. */
export function createLookPace(clock: Pick<Clock, "monotonicMs">, recoveryMs: number) {
  let newsMs = clock.monotonicMs();
  let lookedMs = newsMs;
  return {
    /** Something happened that may be a recovery. */
    news(): void {
      newsMs = clock.monotonicMs();
    },
    isTime(): boolean {
      const nowMs = clock.monotonicMs();
      const intervalMs = nowMs - newsMs < LONG_MS ? lookIntervalMs(recoveryMs) : LONG_LOOK_MS;
      const isTime = nowMs - lookedMs >= intervalMs;
      if (isTime) lookedMs = nowMs;
      return isTime;
    },
  };
}
