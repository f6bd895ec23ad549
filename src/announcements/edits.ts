import { type BackoffOptions, backoffMs } from "../lib/clock.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { bounded } from "./bounded.ts";
import type { AnnouncementMetrics } from "./metrics.ts";
import type { Notifier, View } from "./model.ts";
import type { BehindRow, OutletStore, Shown } from "./outlet-store.ts";
import type { Pacer } from "./pacer.ts";
import { hashOf, isStateChanged, type Views } from "./view.ts";

/** A counter that rises is shown no more often than this; a storm's message is made anew no more often. */
const COUNTER_INTERVAL_MS = 10_000;
const STORM_INTERVAL_MS = 5_000;
const RETRY: BackoffOptions = { minMs: 1_000, maxMs: 600_000 };

export interface EditorDeps {
  notifier: Notifier;
  store: OutletStore;
  views: Views;
  pacer: Pacer;
  log: Log;
  metrics: AnnouncementMetrics;
  /** Hears of calls that fail after somebody stopped waiting for them. */
  late: (error: unknown) => void;
}

/**
 * Edits messages that are behind: a change of state at once, of a counter now and then. It looks at rows, not at events, so an edit
 * always shows the newest state, and what changed five times is edited once.
 */
export function createEditor(deps: EditorDeps) {
  const { notifier, store, views, pacer, log } = deps;
  const { outlet } = notifier;

  /** True when a call was made. */
  async function catchUp(row: BehindRow, signal: AbortSignal): Promise<boolean> {
    if (row.kind === "incident" && notifier.reply !== null) await store.addEndedSilence(row);
    const built = row.kind === "storm" ? await views.storm(row.id) : await views.incident(row.incidentId ?? 0, row.why);
    if (built === undefined) return false;
    const shown = { hash: hashOf(built.view), revision: built.revision };
    if (!notifier.edits && isEnd(built.view)) await store.addEnd(row);
    if (isSettled(row, shown)) {
      await store.shown(row, shown, row.lastError, nextLookMs(row));
      return false;
    }
    const waitMs = COUNTER_INTERVAL_MS - (row.editedAgoS ?? Number.POSITIVE_INFINITY) * 1_000;
    if (waitMs > 0 && !row.isDoubtful && !isStateChanged(row.shownHash, shown.hash)) {
      await store.hold(row, shown, waitMs);
      return false;
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
      return settleFailure(row, error, shown);
    }
    if (pacer.succeeded()) await store.hurry();
    await store.shown(row, shown, null, nextLookMs(row));
    deps.metrics.attempts.inc({ outlet, outcome: "edited" });
  }

  /** An edit that may have come through can be made again: it shows the same. */
  async function settleFailure(row: BehindRow, error: unknown, shown: Shown): Promise<void> {
    const isFinal = error instanceof DeliveryError && error.reason === "never";
    const retryAfterMs = error instanceof DeliveryError ? error.retryAfterMs : null;
    log.warn({ outlet, announcement: row.id, error: errorMessage(error) }, "a message could not be edited");
    deps.metrics.attempts.inc({ outlet, outcome: isFinal ? "edit_failed" : "edit_later" });
    if (isFinal) return store.shown(row, shown, errorMessage(error), nextLookMs(row));
    await store.editLater(row, retryAfterMs ?? backoffMs(row.failures, RETRY), errorMessage(error));
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

const isEnd = (view: View) =>
  view.kind === "incident" ? view.incident.status === "resolved" : view.storm.endedAt !== null;
