/**
 * Of several nodes one leads an outlet: it alone posts there, so that the outlet's pace is kept and messages keep their
 * order. Who leads holds a lock of a database session. When the session ends, by a stop, a crash or a cut connection, the
 * lock is free, and another node has it within a second or two.
 */
import type { Sql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import { withDeadline } from "../lib/deadline.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Running } from "../lib/repeat.ts";
import { probe, tryLead } from "./leader-store.ts";

const TRY_INTERVAL_MS = 1_000;
const PROBE_INTERVAL_MS = 5_000;
const ANSWER_LIMIT_MS = 5_000;

export interface LeaderDeps {
  outlet: string;
  /** One connection that is a session, past a transaction pooler. */
  createSession: (options: { applicationName: string; onNotify: () => void; onClose: () => void }) => Sql;
  /** What the leader does, until `lost` (do nothing more) or `stopping` (finish what is under way) aborts. */
  lead: (lost: AbortSignal, stopping: AbortSignal) => Promise<void>;
  clock: Clock;
  log: Log;
}

/** Stands by for the lead, takes it when it is free, and gives it back at the stop. */
export function startLeader(deps: LeaderDeps): Running {
  const { outlet, clock, log } = deps;
  const stopping = new AbortController();
  const late = (error: unknown) =>
    log.debug({ error: errorMessage(error), outlet }, "a leader's session answered late");
  const ask = <T>(work: Promise<T>) => withDeadline(work, ANSWER_LIMIT_MS, "a leader's session", late);

  async function standBy(session: Sql, closed: AbortSignal): Promise<boolean> {
    while (!stopping.signal.aborted && !closed.aborted) {
      if (await ask(tryLead(session, outlet))) return true;
      await clock.sleep(TRY_INTERVAL_MS, AbortSignal.any([stopping.signal, closed]));
    }
    return false;
  }

  /** Until the session answers no more; the server may then have given the lead to another. */
  async function watch(session: Sql, lost: AbortController, done: AbortSignal): Promise<void> {
    const either = AbortSignal.any([lost.signal, done]);
    while (!either.aborted) {
      await clock.sleep(PROBE_INTERVAL_MS, either);
      if (either.aborted) return;
      await ask(probe(session)).catch((error) => {
        log.warn({ error: errorMessage(error), outlet }, "the lead of an outlet was lost");
        lost.abort();
      });
    }
  }

  async function leadOnce(session: Sql, lost: AbortController): Promise<void> {
    log.debug({ outlet }, "leads an outlet");
    const done = new AbortController();
    const watching = watch(session, lost, done.signal);
    try {
      await deps.lead(lost.signal, stopping.signal);
    } finally {
      done.abort();
      await watching;
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const lost = new AbortController();
      const session = deps.createSession({
        applicationName: `opspilot ${outlet}`,
        // Only a session that listens is never closed for being idle.
        onNotify: () => undefined,
        onClose: () => lost.abort(),
      });
      try {
        if (await standBy(session, lost.signal)) await leadOnce(session, lost);
      } catch (error) {
        log.warn({ error: errorMessage(error), outlet }, "an outlet could not be led");
      }
      await session.end({ timeout: 0 });
      await clock.sleep(TRY_INTERVAL_MS, stopping.signal);
    }
  }

  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}
