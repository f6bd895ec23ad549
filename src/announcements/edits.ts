import { type BackoffOptions, backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DeliveryError } from "../lib/delivery-error.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { bounded } from "./bounded.ts";
import type { ChangedRow, DeliveryStore } from "./delivery-store.ts";
import type { AnnouncementMetrics } from "./metrics.ts";
import type { Notifier } from "./model.ts";
import type { Pacer } from "./pacer.ts";
import { digestOf, isStateChanged, type Views } from "./view.ts";

/** A counter that rises is shown no more often than this; a digest is made anew no more often. */
const COUNTER_INTERVAL_MS = 10_000;
const DIGEST_INTERVAL_MS = 5_000;
const RETRY: BackoffOptions = { minMs: 1_000, maxMs: 600_000 };
/** Messages about which something is remembered here; forgotten, one is edited a little early. */
const REMEMBERED_MAX = 5_000;

/** What is known of a message since this node leads. */
interface Memory {
  /** Nothing is to be done before, unless its incident changes. */
  waitUntilMs: number;
  updatedAt: string;
  editedMs: number;
  failures: number;
}

export interface EditorDeps {
  notifier: Notifier;
  store: DeliveryStore;
  views: Views;
  pacer: Pacer;
  clock: Clock;
  log: Log;
  metrics: AnnouncementMetrics;
  /** Hears of calls that fail after somebody stopped waiting for them. */
  late: (error: unknown) => void;
}

/** Edits messages whose incidents changed: a change of state at once, of a counter now and then. */
export function createEditor(deps: EditorDeps) {
  const { notifier, store, views, pacer, clock, log } = deps;
  const { outlet } = notifier;
  const memories = new Map<number, Memory>();

  function remember(row: ChangedRow, change: Partial<Memory>): void {
    const known = memories.get(row.id) ?? {
      waitUntilMs: 0,
      updatedAt: "",
      editedMs: Number.NEGATIVE_INFINITY,
      failures: 0,
    };
    memories.delete(row.id);
    memories.set(row.id, { ...known, ...change });
    if (memories.size <= REMEMBERED_MAX) return;
    for (const oldest of memories.keys()) {
      memories.delete(oldest);
      return;
    }
  }

  function isHeld(row: ChangedRow): boolean {
    const known = memories.get(row.id);
    if (known === undefined || clock.monotonicMs() >= known.waitUntilMs) return false;
    return known.failures > 0 || known.updatedAt === row.updatedAt;
  }

  /** True when a call was made. */
  async function edit(row: ChangedRow, signal: AbortSignal): Promise<boolean> {
    const built =
      row.kind === "digest" ? await views.digest(row.id) : await views.incident(row.incidentId ?? 0, row.why);
    if (built === undefined) return false;
    const digest = digestOf(built.view);
    const shown = { digest, updatedAt: built.updatedAt };
    const settled = () => store.shown(row, shown, row.lastError, row.kind === "digest" ? DIGEST_INTERVAL_MS : 0);
    const isState = isStateChanged(row.shownDigest, digest);
    if (
      digest === row.shownDigest ||
      !notifier.edits ||
      (!isState && row.kind === "incident" && notifier.repeats === false)
    ) {
      await settled();
      return false;
    }
    const dueMs = (memories.get(row.id)?.editedMs ?? Number.NEGATIVE_INFINITY) + COUNTER_INTERVAL_MS;
    if (!isState && clock.monotonicMs() < dueMs) {
      remember(row, { waitUntilMs: dueMs, updatedAt: row.updatedAt });
      return false;
    }
    pacer.began();
    try {
      await bounded((limit) => notifier.edit(row.externalId, built.view, limit), signal, deps.late);
    } catch (error) {
      await settleFailure(row, error, shown);
      return true;
    }
    if (pacer.succeeded()) await store.hurry(outlet);
    remember(row, { waitUntilMs: 0, editedMs: clock.monotonicMs(), failures: 0 });
    await store.shown(row, shown, null, row.kind === "digest" ? DIGEST_INTERVAL_MS : 0);
    deps.metrics.attempts.inc({ outlet, outcome: "edited" });
    return true;
  }

  /** An edit that may have come through can be made again: it shows the same. */
  async function settleFailure(row: ChangedRow, error: unknown, shown: { digest: string; updatedAt: string | null }) {
    const isFinal = error instanceof DeliveryError && error.reason === "never";
    const retryAfterMs = error instanceof DeliveryError ? error.retryAfterMs : null;
    log.warn({ outlet, announcement: row.id, error: errorMessage(error) }, "a message could not be edited");
    deps.metrics.attempts.inc({ outlet, outcome: isFinal ? "edit_failed" : "edit_later" });
    if (isFinal) return store.shown(row, shown, errorMessage(error), row.kind === "digest" ? DIGEST_INTERVAL_MS : 0);
    const failures = (memories.get(row.id)?.failures ?? 0) + 1;
    const waitMs = retryAfterMs ?? backoffMs(failures, RETRY);
    remember(row, { waitUntilMs: clock.monotonicMs() + waitMs, updatedAt: row.updatedAt, failures });
    pacer.failed(retryAfterMs);
  }

  return {
    /** Edits the message that waited longest; false when there is none to edit now. */
    async editNext(signal: AbortSignal): Promise<boolean> {
      for (const row of await store.changed(outlet)) {
        if (signal.aborted) return false;
        if (!isHeld(row) && (await edit(row, signal))) return true;
      }
      return false;
    },
  };
}
