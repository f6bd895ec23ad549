import type { Clock } from "./clock.ts";

/** Something that runs until it is stopped. */
export interface Running {
  /** Ends it, and resolves once the last run is over. Safe to call twice. */
  stop(): Promise<void>;
}

/** Runs `task` again and again, `intervalMs` after the end of the last run, one at a time; a failure goes to `failed`. */
export function repeat(
  clock: Clock,
  intervalMs: number,
  task: () => Promise<void>,
  failed: (error: unknown) => void,
): Running {
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(intervalMs, stopping.signal);
      if (stopping.signal.aborted) return;
      await task().catch(failed);
    }
  };
  const done = loop();
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}
