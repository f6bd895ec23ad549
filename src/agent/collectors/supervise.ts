import { type BackoffOptions, backoffMs, type Clock } from "../../lib/clock.ts";
import { errorMessage, OpsPilotError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { Running } from "../../lib/loops.ts";
import type { Collector, ReportAlert } from "../model.ts";
import type { FailureOptions, Health } from "./health.ts";

export interface SuperviseOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly backoff?: BackoffOptions;
  /** Is told when the work fails or ends; that it watches the work says itself. */
  readonly health: Health;
  /** What a failure means. */
  readonly judge?: (error: unknown) => FailureOptions;
}

/** What a collector waits for (a daemon, a program, a permission) comes rarely: looking for it costs next to nothing. */
export const RETRY: BackoffOptions = { minMs: 1_000, maxMs: 60_000 };

/** Work that lasted this long has gone well, and the next try comes soon. */
const WELL_MS = 60_000;
const ENDED = "what it watches has come to an end, and is begun again";

/**
 * Runs work that should never end, again and again: with back-off when it fails or ends. Each reason is logged once, not at
 * every try, so that a host without Docker has one line about it.
 */
export function supervise(work: (signal: AbortSignal) => Promise<void>, options: SuperviseOptions): Running {
  const { name, clock, log, backoff = RETRY, health, judge = () => ({}) } = options;
  const stopping = new AbortController();
  let lastReason = "";

  function tell(error: unknown): void {
    const reason = errorMessage(error);
    const isExpected = error instanceof OpsPilotError;
    const level = reason === lastReason ? "debug" : isExpected ? "info" : "warn";
    log[level](
      { collector: name, reason, ...(isExpected ? {} : { error }) },
      "a collector cannot watch, and tries again",
    );
    health.fails(reason, judge(error));
    lastReason = reason;
  }

  async function loop(): Promise<void> {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      const startMs = clock.monotonicMs();
      try {
        await work(stopping.signal);
        health.fails(ENDED, judge(undefined));
      } catch (error) {
        if (!stopping.signal.aborted) tell(error);
      }
      if (clock.monotonicMs() - startMs > WELL_MS) {
        attempt = 0;
        lastReason = "";
      }
      await clock.sleep(backoffMs(attempt, backoff), stopping.signal);
    }
  }

  const done = loop();
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

/** What a collector does from its start to its stop. */
export type Work = (report: ReportAlert, signal: AbortSignal) => Promise<void>;

/** A collector whose work is supervised; a second start changes nothing. */
export function supervised(work: Work, check: Collector["check"], options: SuperviseOptions): Collector {
  let running: Running | undefined;
  return {
    name: options.name,
    start(report) {
      running ??= supervise((signal) => work(report, signal), options);
    },
    stop: async () => running?.stop(),
    health: options.health.now,
    check,
  };
}
