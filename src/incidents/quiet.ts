import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import { durationText } from "../lib/units.ts";
import type { QuietStore } from "./quiet-store.ts";

/** The shortest AUTO_RESOLVE is a minute. */
const INTERVAL_MS = 15_000;

export interface AutoResolveDeps {
  store: QuietStore;
  /** AUTO_RESOLVE; null: nothing is resolved by quiet. */
  autoResolveMs: number | null;
  clock: Clock;
  log: Log;
}

/** Resolves incidents that have had no alert for AUTO_RESOLVE. Of several nodes one does so at a time. */
export function startAutoResolve({ store, autoResolveMs, clock, log }: AutoResolveDeps): Running {
  if (autoResolveMs === null) return { stop: async () => undefined };
  const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, "quiet incidents could not be resolved");
  return repeat(clock, INTERVAL_MS, async () => void (await resolveQuiet(store, autoResolveMs)), failed);
}

/** Resolves all that are quiet, a chunk at a time; says how many. */
export async function resolveQuiet(store: QuietStore, autoResolveMs: number): Promise<number> {
  const reason = `resolved by quiet: no alert for ${durationText(autoResolveMs)}`;
  let total = 0;
  for (let count = -1; count !== 0; total += count) count = await store.resolveChunk(autoResolveMs, reason);
  return total;
}
