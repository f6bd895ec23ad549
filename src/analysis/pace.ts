import type { Clock } from "../lib/clock.ts";

/** Longest stretch of work before the event loop has its turn. */
const SLICE_MS = 5;
/**
 * While ingest is behind, so many times the work is rested: a sixty-fourth of a core at most, since the database works for
 * each explanation, too, and what is not explained now is explained when the storm is over.
 */
const REST_PER_WORK = 63;
const REST_MS_MAX = 2_000;

/** Called between two pieces of work: gives way when a slice is used up. */
export type Pace = () => Promise<void>;

/** A pace for one job. `isBusy` says whether ingest is behind. */
export function createPace(clock: Clock, isBusy: () => boolean): Pace {
  let startedMs = clock.monotonicMs();
  return async () => {
    const workedMs = clock.monotonicMs() - startedMs;
    if (workedMs < SLICE_MS) return;
    await clock.sleep(isBusy() ? Math.min(workedMs * REST_PER_WORK, REST_MS_MAX) : 0);
    startedMs = clock.monotonicMs();
  };
}
