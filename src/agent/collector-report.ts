import type { CollectorReport } from "../protocol/frames.ts";
import type { Collector, CollectorHealth } from "./model.ts";

/** What a heartbeat says of the collectors; of one that has nothing to do it says nothing. */
export function reportOf(collectors: readonly Pick<Collector, "name" | "health">[]): Record<string, CollectorReport> {
  const entries = collectors.flatMap(({ name, health }) => {
    const now = health();
    return now === undefined ? [] : [[name, entryOf(now)] as const];
  });
  return Object.fromEntries(entries);
}

function entryOf({ state, forMs, why, gaveUp, isTold }: CollectorHealth): CollectorReport {
  return {
    state,
    for_s: Math.floor(forMs / 1000),
    ...(why === undefined ? {} : { why }),
    ...(gaveUp.length === 0 ? {} : { gave_up: [...gaveUp] }),
    ...(isTold ? { told: true } : {}),
  };
}
