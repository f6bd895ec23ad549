import { type BackoffOptions, backoffMs, type Clock } from "../lib/clock.ts";

/** While an outlet is down it is tried this often: it is one that is tried, not each message. */
const OUTLET_RETRY: BackoffOptions = { minMs: 500, maxMs: 60_000 };
/** So many failures in a row are the outlet's, not a message's. */
const OUTAGE_FAILURES = 3;

/** Lets one call be made each `intervalMs`; none while the outlet asked for quiet, fewer while it is down. */
export function createPacer(clock: Clock, intervalMs: number) {
  let nextMs = 0;
  let failures = 0;
  return {
    /** Milliseconds until the next call may be made; 0 for now. */
    waitMs: () => Math.max(0, nextMs - clock.monotonicMs()),
    /** Whether the last call failed. */
    isFailing: () => failures > 0,
    /** A call is being made. */
    began() {
      nextMs = clock.monotonicMs() + intervalMs;
    },
    /** True when an outage ends with it. */
    succeeded() {
      const wasOutage = failures >= OUTAGE_FAILURES;
      failures = 0;
      return wasOutage;
    },
    /** The outlet refused, or did not answer; `retryAfterMs` when it said for how long it wants to be left alone. */
    failed(retryAfterMs: number | null) {
      const waitMs = retryAfterMs ?? backoffMs(failures, OUTLET_RETRY);
      failures++;
      nextMs = Math.max(nextMs, clock.monotonicMs() + waitMs);
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;

/** At most a tenth of the time is spent looking, however often there may be something to see. */
const LOOKING_SHARE = 0.1;
/** After some quiet, and what may be owed at most: a few looks come at once, and the next one within a second. */
const LOOK_CREDIT_MS = 100;
/** A quick look counts as this, so that looks are 100 ms apart. */
const LOOK_MS_MIN = 10;

/** Lets looks come at once after quiet, and thins them out while they are asked for all the time. */
export function createLookPacer(clock: Clock) {
  let creditMs = LOOK_CREDIT_MS;
  let countedMs = clock.monotonicMs();

  function count(): void {
    const nowMs = clock.monotonicMs();
    creditMs = Math.min(LOOK_CREDIT_MS, creditMs + (nowMs - countedMs) * LOOKING_SHARE);
    countedMs = nowMs;
  }

  return {
    /** Milliseconds until the database may be looked at again; 0 for now. */
    waitMs() {
      count();
      return creditMs >= 0 ? 0 : Math.ceil(-creditMs / LOOKING_SHARE);
    },
    /** A look took so long. */
    spent(tookMs: number) {
      count();
      creditMs = Math.max(-LOOK_CREDIT_MS, creditMs - Math.max(LOOK_MS_MIN, tookMs));
    },
  };
}
