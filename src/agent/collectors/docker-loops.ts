import type { Clock } from "../../lib/clock.ts";
import { CONTAINERS_MAX } from "./docker-known.ts";
import { createBoundedMap } from "./happening.ts";

/** A service that ends well so soon, and is started again, does not do its work; a job that runs each hour does. */
const SHORT_RUN_MS = 60_000;
/** Docker waits up to a minute before each new start. */
const LOOP_MS = 600_000;
/** One that was started again once or twice may have had its reasons. */
const TURNS_MIN = 3;

/** Finds containers that end well and are started again, over and over: no single event of theirs says so. */
export function createLoopWatch({ monotonicMs }: Pick<Clock, "monotonicMs">) {
  const ends = createBoundedMap<number>(CONTAINERS_MAX);
  const turns = createBoundedMap<readonly number[]>(CONTAINERS_MAX);
  return {
    /** It ended with exit code 0 after this time. */
    endedWell(id: string, runMs: number): void {
      ends.set(id, runMs);
    },
    /**
     * It was started again so often by its engine (never mind how often by a person): how many turns of a loop these make;
     * 0 while it is none.
     */
    startedAgain(id: string, restarts: number): number {
      const runMs = ends.get(id);
      ends.delete(id);
      if (runMs === undefined || runMs > SHORT_RUN_MS || restarts <= 0) return 0;
      const nowMs = monotonicMs();
      const recent = (turns.get(id) ?? []).filter((atMs) => nowMs - atMs < LOOP_MS);
      const all = [...recent, ...Array.from({ length: Math.min(restarts, TURNS_MIN) }, () => nowMs)];
      turns.set(id, all.slice(-TURNS_MIN));
      if (all.length < TURNS_MIN) return 0;
      return recent.length >= TURNS_MIN ? restarts : all.length;
    },
  };
}
