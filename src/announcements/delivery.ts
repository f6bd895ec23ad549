/**
 * Posts on one outlet what waits, one call at a time and at the outlet's pace.
 *
 *   waiting  → sending (committed) → the call → sent | waiting, later | unknown | failed
 *   unknown  → looked for → sent (it was there) | sending, once more
 *
 * A call of which nobody knows how it ended is looked for before it is made again. Where the outlet cannot look, it is
 * made once more and then given up: two messages are better than none, and ten are not.
 */
import { type BackoffOptions, backoffMs } from "../lib/clock.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { bounded } from "./bounded.ts";
import { OVER_BEFORE } from "./decide.ts";
import type { AnnouncementMetrics } from "./metrics.ts";
import type { Notifier, View } from "./model.ts";
import type { DueRow, OutletStore } from "./outlet-store.ts";
import type { Pacer } from "./pacer.ts";
import { type BuiltView, hashOf, type Views } from "./view.ts";

/** Without an end: an outlet may be down for hours, and what it missed is sent then. */
const ROW_RETRY: BackoffOptions = { minMs: 1_000, maxMs: 300_000 };
/** A view on which a notifier stumbles, again and again. */
const SURPRISES_MAX = 5;

export interface DeliveryDeps {
  notifier: Notifier;
  store: OutletStore;
  views: Views;
  pacer: Pacer;
  log: Log;
  metrics: AnnouncementMetrics;
  /** Hears of calls that fail after somebody stopped waiting for them. */
  late: (error: unknown) => void;
}

/** Posts of one outlet. */
export interface Delivery {
  /** Posts the row, or finds out whether it was posted. */
  deliver(row: DueRow, signal: AbortSignal): Promise<void>;
}

/** Makes the posting of one lead of an outlet. */
export function createDelivery(deps: DeliveryDeps): Delivery {
  const { notifier, store, views, pacer, log, late } = deps;
  const { outlet } = notifier;
  const count = (outcome: string) => deps.metrics.attempts.inc({ outlet, outcome });

  async function deliver(row: DueRow, signal: AbortSignal): Promise<void> {
    if (row.state === "waiting" && isNeedless(row)) return store.withhold(row, OVER_BEFORE);
    if (row.kind === "reply") return deliverReply(row, signal);
    const built = await viewOf(row);
    if (built === undefined) return store.failed(row, "the incident is gone");
    if (row.state === "unknown" && (await isFound(row, built.view, signal))) return;
    await attempt(row, built, signal, (limit) => notifier.post(built.view, limit));
  }

  async function deliverReply(row: DueRow, signal: AbortSignal): Promise<void> {
    const { reply } = notifier;
    const { content } = row;
    if (reply === null || content === null) return store.failed(row, "this outlet has no threads");
    if (row.beneathState !== "sent") return store.failed(row, "there is no message to say it beneath");
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
      log.warn({ outlet, error: failure.message }, "an outlet cannot be looked at: a message may be posted twice");
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
    const shown = built && { hash: hashOf(built.view), revision: built.revision };
    await store.sent(claimed, externalId, shown, { outlet, why: row.why });
    count(row.kind === "reply" ? "replied" : "sent");
    if (pacer.succeeded()) await store.hurry();
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
    log.warn({ outlet, announcement: row.id, error: message }, "a message could not be posted, trying again");
    pacer.failed(failure.retryAfterMs);
    const waitMs = failure.retryAfterMs ?? backoffMs(row.attempts, ROW_RETRY);
    if (reason === "later") await store.later(row, waitMs, message);
    else await store.unknown(row, waitMs, message);
  }

  async function giveUp(row: DueRow, message: string): Promise<void> {
    count("failed");
    log.error({ outlet, announcement: row.id, incident: row.incidentId, error: message }, "a message was given up");
    await store.failed(row, message);
  }

  function viewOf(row: DueRow): Promise<BuiltView | undefined> {
    return row.kind === "storm" ? views.storm(row.stormId ?? row.id) : views.incident(row.incidentId ?? 0, row.why);
  }

  return { deliver };
}

/** Over before the first attempt, and not so grave that people want to know all the same. */
function isNeedless(row: DueRow): boolean {
  return row.kind === "incident" && row.subject === "" && row.attempts === 0 && row.isOver;
}

/** What is no DeliveryError says nothing about whether the call came through. */
function failureOf(error: unknown): DeliveryError {
  return error instanceof DeliveryError ? error : new DeliveryError("unknown", errorMessage(error));
}
