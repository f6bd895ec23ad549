/**
 * Says on one outlet what is to be said, one call at a time and at the outlet's pace: first what is new, then what changed.
 * It looks at rows, not at events, so an edit always shows the newest state, and what changed five times is edited once.
 *
 *   waiting  → sending (committed) → the call → sent | waiting, later | unknown | failed
 *   unknown  → looked for → sent (it was there) | sending, once more
 *
 * A call of which nobody knows how it ended is looked for before it is made again. Where the outlet cannot look, it is
 * made once more and then given up: two messages are better than none, and ten are not.
 */
import { type BackoffOptions, backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DeliveryError } from "../lib/delivery-error.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { bounded } from "./bounded.ts";
import type { DeliveryStore, DueRow } from "./delivery-store.ts";
import { createEditor } from "./edits.ts";
import type { AnnouncementMetrics } from "./metrics.ts";
import type { Notifier, View } from "./model.ts";
import { createPacer } from "./pacer.ts";
import { type BuiltView, digestOf, type Views } from "./view.ts";

const POLL_INTERVAL_MS = 1_000;
/** Calls are given this long at a stop. */
const STOP_LIMIT_MS = 5_000;
/** A wait for a signal. */
const FOREVER_MS = 3_600_000;
/** Without an end: an outlet may be down for hours, and what it missed is to be said. */
const ROW_RETRY: BackoffOptions = { minMs: 1_000, maxMs: 300_000 };
/** A view on which a notifier stumbles, again and again. */
const SURPRISES_MAX = 5;

export interface DeliveryDeps {
  notifier: Notifier;
  store: DeliveryStore;
  views: Views;
  clock: Clock;
  log: Log;
  metrics: AnnouncementMetrics;
}

/** The delivery of one outlet, run by the node that leads it. */
export interface Delivery {
  lead(lost: AbortSignal, stopping: AbortSignal): Promise<void>;
  /** Something may be due. */
  wake(): void;
}

/** Makes the delivery of an outlet. */
export function createDelivery(deps: DeliveryDeps): Delivery {
  const { notifier, store, views, clock, log } = deps;
  const { outlet } = notifier;
  const pacer = createPacer(clock, notifier.intervalMs);
  const late = (error: unknown) => log.debug({ outlet, error: errorMessage(error) }, "an outlet answered late");
  const editor = createEditor({ ...deps, pacer, late });
  const count = (outcome: string) => deps.metrics.attempts.inc({ outlet, outcome });
  let waking = new AbortController();
  /** Rows may say that they are being sent although nobody sends them. */
  let isDoubtful = true;

  /** True when there was something to do. */
  async function step(signal: AbortSignal): Promise<boolean> {
    if (isDoubtful) await adoptOrphans();
    const row = await store.nextDue(outlet);
    if (row === undefined) return editor.editNext(signal);
    await deliver(row, signal);
    return true;
  }

  async function adoptOrphans(): Promise<void> {
    const orphans = await store.adoptOrphans(outlet);
    isDoubtful = false;
    if (orphans > 0) log.warn({ outlet, messages: orphans }, "messages were being said when their sender ended");
  }

  async function deliver(row: DueRow, signal: AbortSignal): Promise<void> {
    if (row.state === "waiting" && isNeedless(row))
      return store.withhold(row, "it was resolved before anybody was told");
    if (row.kind === "reply") return deliverReply(row, signal);
    const built = await viewOf(row);
    if (built === undefined) return store.failed(row, outlet, "the incident is gone");
    if (row.state === "unknown" && (await isFound(row, built.view, signal))) return;
    await attempt(row, built, signal, (limit) => notifier.post(built.view, limit));
  }

  async function deliverReply(row: DueRow, signal: AbortSignal): Promise<void> {
    const { reply } = notifier;
    const { content } = row;
    if (reply === null || content === null) return store.failed(row, outlet, "this outlet has no threads");
    if (row.beneathState !== "sent") return store.failed(row, outlet, "there is no message to say it beneath");
    if (row.state === "unknown" && row.unknowns > 1) return giveUp(row, "nobody knows whether it came through, twice");
    await attempt(row, null, signal, async (limit) => {
      await reply(row.beneath, row.subject, content, limit);
      return { externalId: null };
    });
  }

  /** Looks for what may have come through; true when nothing more is to be done now. */
  async function isFound(row: DueRow, view: View, signal: AbortSignal): Promise<boolean> {
    try {
      const since = row.attemptedAt ?? new Date(0);
      const found = await bounded((limit) => notifier.find(view, since, limit), signal, late);
      if (found !== undefined) {
        await store.sent(row, found, null, { outlet, why: row.why });
        count("adopted");
        return true;
      }
    } catch (error) {
      const failure = failureOf(error);
      if (failure.reason !== "never") {
        await store.later(row, failure.retryAfterMs ?? backoffMs(row.attempts, ROW_RETRY), failure.message);
        return true;
      }
      log.warn({ outlet, error: failure.message }, "an outlet cannot be looked at: a message may be said twice");
    }
    if (notifier.edits || row.unknowns <= 1) return false;
    await giveUp(row, "nobody knows whether it came through, twice");
    return true;
  }

  async function attempt(
    row: DueRow,
    built: BuiltView | null,
    signal: AbortSignal,
    call: (limit: AbortSignal) => Promise<{ externalId: string | null }>,
  ): Promise<void> {
    const claimed = await store.claim(row);
    if (claimed === undefined) return;
    pacer.began();
    let externalId: string | null;
    try {
      ({ externalId } = await bounded(call, signal, late));
    } catch (error) {
      return settleFailure(claimed, error);
    }
    const shown = built && { digest: digestOf(built.view), updatedAt: built.updatedAt };
    await store.sent(claimed, externalId, shown, { outlet, why: row.why });
    count(row.kind === "reply" ? "replied" : "sent");
    if (pacer.succeeded()) await store.hurry(outlet);
  }

  async function settleFailure(row: DueRow, error: unknown): Promise<void> {
    const failure = failureOf(error);
    const { reason, message } = failure;
    if (reason === "never") return giveUp(row, message);
    if (!(error instanceof DeliveryError)) {
      log.error({ outlet, error }, "a notifier failed unexpectedly");
      if (row.unknowns >= SURPRISES_MAX) return giveUp(row, message);
    }
    count(reason);
    log.warn({ outlet, announcement: row.id, error: message }, "a message could not be said, trying again");
    pacer.failed(failure.retryAfterMs);
    const waitMs = failure.retryAfterMs ?? backoffMs(row.attempts, ROW_RETRY);
    if (reason === "later") await store.later(row, waitMs, message);
    else await store.unknown(row, waitMs, message);
  }

  async function giveUp(row: DueRow, message: string): Promise<void> {
    count("failed");
    log.error({ outlet, announcement: row.id, incident: row.incidentId, error: message }, "a message was given up");
    await store.failed(row, outlet, message);
  }

  function viewOf(row: DueRow): Promise<BuiltView | undefined> {
    return row.kind === "digest" ? views.digest(row.digestId ?? row.id) : views.incident(row.incidentId ?? 0, row.why);
  }

  /** One turn of the loop; a failure here is the database's, and the next turn's to make good. */
  async function turn(signal: AbortSignal, stopping: AbortSignal): Promise<void> {
    const woken = waking.signal;
    try {
      if (pacer.waitMs() === 0 && (await step(signal))) return;
    } catch (error) {
      isDoubtful = true;
      log.warn({ outlet, error: errorMessage(error) }, "an outlet could not be looked after");
    }
    const isPaced = pacer.waitMs() > 0;
    const either = AbortSignal.any(isPaced ? [signal, stopping] : [signal, stopping, woken]);
    await clock.sleep(isPaced ? pacer.waitMs() : POLL_INTERVAL_MS, either);
    if (woken.aborted && woken === waking.signal) waking = new AbortController();
  }

  return {
    async lead(lost, stopping) {
      isDoubtful = true;
      const ended = new AbortController();
      const cut = new AbortController();
      const signal = AbortSignal.any([lost, cut.signal]);
      const cutting = cutAfter(clock, stopping, AbortSignal.any([lost, ended.signal]), cut);
      try {
        while (!signal.aborted && !stopping.aborted) await turn(signal, stopping);
      } finally {
        ended.abort();
        await cutting;
      }
    },
    wake: () => waking.abort(),
  };
}

/** Whoever waits for the end of a call at a stop waits no longer than the limit. */
async function cutAfter(clock: Clock, stopping: AbortSignal, over: AbortSignal, cut: AbortController): Promise<void> {
  const either = AbortSignal.any([stopping, over]);
  while (!either.aborted) await clock.sleep(FOREVER_MS, either);
  if (over.aborted) return;
  await clock.sleep(STOP_LIMIT_MS, over);
  cut.abort();
}

/** Over before the first attempt, and not so grave that people want to know all the same. */
function isNeedless(row: DueRow): boolean {
  return row.kind === "incident" && row.subject === "" && row.attempts === 0 && row.isOver;
}

/** What is no DeliveryError says nothing about whether the call came through. */
function failureOf(error: unknown): DeliveryError {
  return error instanceof DeliveryError ? error : new DeliveryError("unknown", errorMessage(error));
}
