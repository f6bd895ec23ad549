import type { Clock } from "../../lib/clock.ts";
import { createMoments, type Moment } from "../moments.ts";
import { CONTAINERS_MAX, type KnownContainers } from "./docker-known.ts";
import type { ContainerState } from "./docker-state.ts";
import { createBoundedMap } from "./happening.ts";

/** Beyond that length a run says nothing about how long the next one must last to be believed. */
const RUN_MAX_MS = 450_000;

/** How long containers ran before they broke. */
export function createRunLengths(clock: Pick<Clock, "now" | "monotonicMs">, known: KnownContainers) {
  const moments = createMoments(clock);
  /** By id: when it was last seen to be started, or to run. */
  const starts = createBoundedMap<Moment>(CONTAINERS_MAX);
  const runs = createBoundedMap<number>(CONTAINERS_MAX);

  return {
    started: (id: string): void => starts.set(id, moments.now()),
    /** Its last run, up to this end, though the clock was put back or forward meanwhile. */
    of(id: string, endMs: number): number {
      const start = starts.get(id);
      const steppedMs = start ? moments.stepMs(start) : 0;
      return Math.max(0, endMs - Date.parse(known.get(id)?.startedAt ?? "") - steppedMs);
    },
    broke: (id: string, runMs: number): void => runs.set(id, runMs),
    /** What its engine starts again is believed once it runs for longer than it did before, or each turn would be a recovery. */
    minHoldMs(state: ContainerState | undefined): number {
      const runMs = state && state.restarts > 0 ? (runs.get(state.id) ?? 0) : 0;
      return runMs <= RUN_MAX_MS ? 2 * runMs : 0;
    },
  };
}
