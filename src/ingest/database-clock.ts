/** Further behind than this, the database's clock was set back, and is followed. */
const SET_BACK_MS = 1_000;

/** Times of this process on the database's clock. */
export interface DatabaseClock {
  /** The database said `nowMs` (Unix milliseconds) a moment before the monotonic clock showed `monotonicMs`. */
  observe(nowMs: number, monotonicMs: number): void;
  /** When, by the database's clock, the monotonic clock showed `monotonicMs`. */
  at(monotonicMs: number): number;
}

/**
 * Keeps one offset between the clocks, so that what came later is never dated earlier: measuring anew for each batch would
 * shake times by the moment that an answer takes, and a recovery report could seem older than the alert before it. An
 * answer that took long makes the offset too small, never too large, so the largest seen is the best.
 */
export function createDatabaseClock(): DatabaseClock {
  let offsetMs = Number.NEGATIVE_INFINITY;
  return {
    observe(nowMs, monotonicMs) {
      const seenMs = nowMs - monotonicMs;
      if (seenMs > offsetMs || seenMs < offsetMs - SET_BACK_MS) offsetMs = seenMs;
    },
    at: (monotonicMs) => offsetMs + monotonicMs,
  };
}
