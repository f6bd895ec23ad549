/**
 * Posts on one outlet what waits, one call at a time and at the outlet's pace.
 *
 *   waiting  → sending (committed) → the call → sent | waiting, later | unknown | failed
 *   unknown  → looked for → sent (it was there) | sending, once more
 *
 * A call of which nobody knows how it ended is looked for before it is made again. Where the outlet cannot look, it is
 * made once more and then given up: two messages are better than none, and ten are not. But an outage is one doubt, however long
 * it is: while an outlet fails it is asked for a sign of life first, and nothing is sent or given up until it gives one.
 */

import { type BackoffOptions, backoffMs } from "../lib/clock.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import { OVER_BEFORE, TAKEN_UP_BEFORE } from "./decide.ts";
import type { Reply, View } from "./model.ts";
import type { OutletDeps } from "./outlet.ts";
import type { OutletStore } from "./outlet-store.ts";
import type { Pacer } from "./pacer.ts";
import { isReminder } from "./remind-store.ts";
import type { BehindRow, DueRow, Shown } from "./rows.ts";
import { type BuiltView, hashOf, isStateChanged } from "./view-store.ts";

/** An outlet that does not answer within this is taken to be away. */
export const CALL_LIMIT_MS = 15_000;

/**
 * The call's outcome; a DeliveryError `unknown` as soon as the signal aborts or the time is up, whether or not the call
 * heeds its own signal: a leader that lost its lead, or an outlet that hangs, must not hold the loop.
 */
async function bounded<T>(
  call: (limit: AbortSignal) => Promise<T>,
  signal: AbortSignal,
  late: (error: unknown) => void,
): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new DeliveryError("unknown", "no answer in time"));
  if (limit.aborted) abort();
  limit.addEventListener("abort", abort, { once: true });
  const calling = call(limit);
  calling.catch((error) => {
    if (limit.aborted) late(error);
  });
  try {
    return await Promise.race([calling, aborted.promise]);
  } finally {
    limit.removeEventListener("abort", abort);
  }
}

/** Without an end: an outlet may be down for hours, and what it missed is sent then. */
const ROW_RETRY: BackoffOptions = { minMs: 1_000, maxMs: 300_000 };
/** A view on which a notifier stumbles, again and again. */
const SURPRISES_MAX = 5;

/** What posting and editing share. */
interface OutletCalls
  extends Pick<OutletDeps, "notifier" | "views" | "clock" | "log" | "metrics" | "posted" | "escalatesAfterMs"> {
  store: OutletStore;
  pacer: Pacer;
  /** Hears of calls that fail after somebody stopped waiting for them. */
  late: (error: unknown) => void;
}

/** Makes the posting of one lead of an outlet. */
export function createDelivery(deps: OutletCalls) {
  const { notifier, store, views, pacer, log, late } = deps;
  const { outlet } = notifier;
  const { canRepeat = notifier.edits } = notifier;
  const count = (outcome: string) => deps.metrics.attempts.inc({ outlet, outcome });

  /** Posts the row, or finds out whether it was posted. */
  async function deliver(row: DueRow, signal: AbortSignal): Promise<void> {
    if (row.state === "waiting" && isNeedless(row)) return store.withhold(row, OVER_BEFORE);
    if (isTakenUpMeanwhile(row)) return store.withhold(row, TAKEN_UP_BEFORE);
    if ((row.state === "unknown" || pacer.isFailing()) && (await isAway(signal))) return;
    if (row.kind === "reply") return deliverReply(row, signal);
    const built = await buildOf(row);
    if (built === undefined) return store.failed(row, "the incident is gone");
    const isEndAnew = notifier.edits && row.subject === "end" && built.view.kind === "incident";
    const view = isEndAnew ? { ...built.view, endOf: row.beneath } : built.view;
    if (row.state === "unknown" && (await isFound(row, view, signal))) return;
    await attempt(row, built, signal, (limit) => notifier.post(view, limit));
  }

  async function buildOf(row: DueRow): Promise<BuiltView | undefined> {
    if (row.kind === "notice")
      return row.notice === null ? undefined : views.notice(row.id, row.incidentId, row.notice);
    if (row.kind === "storm") return views.storm(row.stormId ?? row.id);
    return views.incident(row.incidentId ?? 0, row.why);
  }

  /** Who acknowledges stops what would only ask for that. */
  function isTakenUpMeanwhile({ state, attempts, kind, subject, isTakenUp }: DueRow): boolean {
    const asks =
      isReminder(subject) || (kind === "incident" && subject === "" && (deps.escalatesAfterMs ?? null) !== null);
    return asks && isTakenUp && state === "waiting" && attempts === 0;
  }

  async function deliverReply(row: DueRow, signal: AbortSignal): Promise<void> {
    const { reply } = notifier;
    const { content, externalId } = row;
    if (reply === null || content === null) return store.failed(row, "this outlet has no threads");
    if (externalId !== null) return editReply(row, content, externalId, signal);
    if (row.beneathState !== "sent") return store.failed(row, "there is no message to say it beneath");
    if (row.state === "unknown" && row.unknowns > 1) return giveUp(row, "nobody knows whether it came through, twice");
    await attempt(row, null, signal, async (limit) => {
      return { externalId: await reply(row.beneath, row.subject, content, limit) };
    });
  }

  /** An edit that may have come through can be made again: it shows the same. */
  async function editReply(row: DueRow, content: Reply, externalId: string, signal: AbortSignal): Promise<void> {
    await attempt(row, null, signal, async (limit) => {
      await notifier.editReply?.(externalId, content, limit);
      return { externalId };
    });
  }

  async function isAway(signal: AbortSignal): Promise<boolean> {
    if (notifier.reach === undefined) return false;
    try {
      await bounded((limit) => notifier.reach?.(limit) ?? Promise.resolve(), signal, late);
      return false;
    } catch (error) {
      count("away");
      log.warn({ outlet, error: errorMessage(error) }, "an outlet is away, messages wait for it");
      pacer.failed(null);
      await store.away();
      return true;
    }
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
    if (canRepeat || row.unknowns <= 1) return false;
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
    const startMs = deps.clock.monotonicMs();
    let externalId: string | null;
    try {
      ({ externalId } = await bounded(call, signal, late));
    } catch (error) {
      return settleFailure(claimed, error);
    }
    const shown = built && { hash: hashOf(built.view), revision: built.revision };
    await store.sent(claimed, externalId, shown, { outlet, why: row.why });
    count(row.kind === "reply" ? "replied" : "sent");
    if (row.kind === "incident" && row.incidentId !== null) await deps.posted?.(row.incidentId, outlet, startMs);
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

/** A counter that rises is shown no more often than this; a storm's message is made anew no more often. */
const COUNTER_INTERVAL_MS = 10_000;
const STORM_INTERVAL_MS = 5_000;
const EDIT_RETRY: BackoffOptions = { minMs: 1_000, maxMs: 600_000 };

/**
 * Edits messages that are behind: a change of state at once, of a counter now and then. It looks at rows, not at events, so an edit
 * always shows the newest state, and what changed five times is edited once.
 */
export function createEditor(deps: OutletCalls) {
  const { notifier, store, views, pacer, log } = deps;
  const { outlet } = notifier;

  /** True when a call was made, or a message was added that is to be posted next. */
  async function catchUp(row: BehindRow, signal: AbortSignal): Promise<boolean> {
    let isAdded = row.kind === "incident" && notifier.reply !== null && (await store.addEndedSilence(row));
    const built = row.kind === "storm" ? await views.storm(row.id) : await views.incident(row.incidentId ?? 0, row.why);
    if (built === undefined) return false;
    const shown = { hash: hashOf(built.view), revision: built.revision };
    if (!notifier.edits && isEnd(built.view)) isAdded = (await store.addEnd(row)) || isAdded;
    if (isSettled(row, shown)) {
      await store.shown(row, shown, row.lastError, nextLookMs(row));
      return isAdded;
    }
    const waitMs = COUNTER_INTERVAL_MS - (row.editedAgoS ?? Number.POSITIVE_INFINITY) * 1_000;
    if (waitMs > 0 && !row.isDoubtful && !isStateChanged(row.shownHash, shown.hash)) {
      await store.hold(row, shown, waitMs);
      return isAdded;
    }
    if (await store.claimEdit(row)) await edit(row, built.view, shown, signal);
    return true;
  }

  /** Whether there is nothing to edit: it would show the same, or what changed is no news there. */
  function isSettled(row: BehindRow, { hash }: Shown): boolean {
    if (!notifier.edits) return true;
    if (row.isDoubtful) return false;
    if (hash === row.shownHash) return true;
    return row.kind === "incident" && notifier.repeats === false && !isStateChanged(row.shownHash, hash);
  }

  async function edit(row: BehindRow, view: View, shown: Shown, signal: AbortSignal): Promise<void> {
    pacer.began();
    try {
      await bounded((limit) => notifier.edit(row.externalId, view, limit), signal, deps.late);
    } catch (error) {
      return settleFailure(row, error, view, shown);
    }
    if (pacer.succeeded()) await store.hurry();
    await store.shown(row, shown, null, nextLookMs(row));
    deps.metrics.attempts.inc({ outlet, outcome: "edited" });
  }

  /** An edit that may have come through can be made again: it shows the same. The end of what is critical is told all the same. */
  async function settleFailure(row: BehindRow, error: unknown, view: View, shown: Shown): Promise<void> {
    const { reason, message, retryAfterMs } = failureOf(error);
    log.warn({ outlet, announcement: row.id, error: message }, "a message could not be edited");
    deps.metrics.attempts.inc({ outlet, outcome: reason === "never" ? "edit_failed" : "edit_later" });
    if (reason === "never" && notifier.endsAnew !== false && isGraveEnd(view)) await store.addEnd(row);
    if (reason === "never" && row.kind === "incident" && row.shownHash === null) return store.postAnew(row);
    if (reason === "never") return store.shown(row, shown, message, nextLookMs(row));
    await store.editLater(row, retryAfterMs ?? backoffMs(row.failures, EDIT_RETRY), message);
    pacer.failed(retryAfterMs);
  }

  return {
    /** Edits the message that waited longest; false when there is none to edit now. */
    async editNext(signal: AbortSignal): Promise<boolean> {
      for (const row of await store.findBehind()) {
        if (signal.aborted) return false;
        if (await catchUp(row, signal)) return true;
      }
      return false;
    },
  };
}

/** Of an incident it may be the next moment, since only its changes make it due. */
const nextLookMs = ({ kind }: BehindRow) => (kind === "storm" ? STORM_INTERVAL_MS : 0);

function isEnd(view: View): boolean {
  if (view.kind === "notice") return false;
  return view.kind === "incident" ? view.incident.status === "resolved" : view.storm.endedAt !== null;
}

const isGraveEnd = (view: View) => view.kind === "incident" && isEnd(view) && view.incident.severity === "critical";
