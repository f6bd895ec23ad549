import type { Loop, Loops, Running } from "../lib/loops.ts";
import { durationText } from "../lib/units.ts";
import type { QuietStore } from "./write-store.ts";

const RETENTION_INTERVAL_MS = 3_600_000;
/** The shortest AUTO_RESOLVE is a minute. */
const QUIET_INTERVAL_MS = 15_000;

/** Deletes a chunk of what is older than so many milliseconds, and says how many rows that were. */
export type Deletion = (retentionMs: number) => Promise<number>;

/** Forgets what is older than RETENTION, once an hour. Several nodes may do so at once: rows taken by one are skipped. */
export function startRetention(loops: Loops, deletions: readonly Deletion[], retentionMs: number): Loop {
  return loops.start({
    name: "retention",
    everyMs: RETENTION_INTERVAL_MS,
    restsFirst: true,
    turnLimitMs: RETENTION_INTERVAL_MS,
    failed: "old rows could not be deleted",
    turn: async (signal) => {
      await forget(deletions, retentionMs, signal);
      return undefined;
    },
  });
}

/** Deletes everything that is too old, a chunk at a time, until the signal aborts. */
export async function forget(deletions: readonly Deletion[], retentionMs: number, signal: AbortSignal): Promise<void> {
  for (const deletion of deletions) {
    while (!signal.aborted && (await deletion(retentionMs)) > 0);
  }
}

/** Resolves incidents that have had no alert for AUTO_RESOLVE; null: none. Of several nodes one does so at a time. */
export function startAutoResolve(loops: Loops, store: QuietStore, autoResolveMs: number | null): Running {
  if (autoResolveMs === null) return { stop: async () => undefined };
  return loops.start({
    name: "quiet incidents",
    everyMs: QUIET_INTERVAL_MS,
    restsFirst: true,
    failed: "quiet incidents could not be resolved",
    turn: async (signal) => {
      await resolveQuiet(store, autoResolveMs, signal);
      return undefined;
    },
  });
}

/** Resolves all that are quiet, a chunk at a time, until the signal aborts; says how many. */
export async function resolveQuiet(store: QuietStore, autoResolveMs: number, signal: AbortSignal): Promise<number> {
  const reason = `resolved by quiet: no alert for ${durationText(autoResolveMs)}`;
  let total = 0;
  for (let count = -1; count !== 0 && !signal.aborted; total += count)
    count = await store.resolveChunk(autoResolveMs, reason);
  return total;
}
