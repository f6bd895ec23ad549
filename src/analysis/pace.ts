import type { Clock } from "../lib/clock.ts";

/** Longest stretch of work before the event loop has its turn. */
const SLICE_MS = 5;
/**
 * While ingest is behind, so many times the work is rested: a sixty-fourth of a core at most, since the database works for
 * each explanation, too, and what is not explained now is explained when the storm is over.
 */
const REST_PER_WORK_BUSY = 63;
/** What comes after that much work without a pause is a backlog: half of a core is left to all others. */
const BACKLOG_MS = 1_000;
const REST_PER_WORK_BACKLOG = 1;
const REST_MS_MAX = 2_000;
/** Nothing to do for so long: there is no backlog any more. */
const PAUSE_MS = 1_000;

/** How one worker's jobs give way to all other work of the process and its database. */
export interface Pace {
  /** A job begins. */
  start(): void;
  /** Called between two pieces of work: rests when a slice is used up. Throws the signal's reason once it aborts. */
  rest(signal: AbortSignal): Promise<void>;
}

/** A pace for jobs that are run one after the other. `isBusy` says whether ingest is behind. */
export function createPace(clock: Clock, isBusy: () => boolean): Pace {
  let startedMs = clock.monotonicMs();
  let endedMs = startedMs;
  let workedMs = 0;

  const restPerWork = () => {
    if (isBusy()) return REST_PER_WORK_BUSY;
    return workedMs > BACKLOG_MS ? REST_PER_WORK_BACKLOG : 0;
  };

  return {
    start() {
      startedMs = clock.monotonicMs();
      if (startedMs - endedMs > PAUSE_MS) workedMs = 0;
    },
    async rest(signal) {
      signal.throwIfAborted();
      endedMs = clock.monotonicMs();
      const sliceMs = endedMs - startedMs;
      if (sliceMs < SLICE_MS) return;
      workedMs += sliceMs;
      await clock.sleep(Math.min(sliceMs * restPerWork(), REST_MS_MAX), signal);
      signal.throwIfAborted();
      startedMs = clock.monotonicMs();
      endedMs = startedMs;
    },
  };
}
