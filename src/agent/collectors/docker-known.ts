import { isRecord } from "../../lib/json.ts";
import type { ContainerState } from "./docker-state.ts";
import { createBoundedMap } from "./happening.ts";

/**
 * What was last known of a container: it runs, ended by itself (which was told), was stopped as somebody wanted, or was
 * taken down by the end of its engine, which may not start it again.
 */
export interface KnownContainer {
  readonly state: "running" | "ended" | "stopped" | "taken down";
  readonly startedAt: string;
  readonly restarts: number;
}

/** Beyond this number those that were heard of last are known. */
export const CONTAINERS_MAX = 1000;
/** What of so many containers is not compared; undefined where all are. */
export function leftOutText(containers: number): string | undefined {
  const left = containers - CONTAINERS_MAX;
  return left > 0
    ? `what ${left} of ${containers} containers did while nobody listened: the newest are compared`
    : undefined;
}

/** An engine gives its containers some ten seconds to end before it ends itself. */
const ENGINE_END_MS = 30_000;
/** It asks all of them at once. */
const ENGINE_ASKS_MS = 5_000;

/**
 * The last state of each container, kept over restarts of the agent: an engine remembers 256 events of all kinds, of which
 * each health check is three, and none when it is restarted.
 */
export function createKnownContainers(initial: Readonly<Record<string, KnownContainer>>, monotonicMs: () => number) {
  const known = createBoundedMap<KnownContainer>(CONTAINERS_MAX);
  for (const [id, one] of Object.entries(initial)) known.set(id, one);
  /** By id: when those that were stopped were asked to end. */
  const askedMs = createBoundedMap<number>(CONTAINERS_MAX);

  function move(id: string, state: KnownContainer["state"]): void {
    const one = known.get(id) ?? { startedAt: "", restarts: 0 };
    known.set(id, { ...one, state });
  }

  function stoppedSince(sinceMs: number): string[] {
    const isSince = (id: string) => (askedMs.get(id) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
    return known.entries().flatMap(([id, { state }]) => (state === "stopped" && isSince(id) ? [id] : []));
  }

  /**
   * What the engine has taken down, if it ends now. Where nothing is left running that was not asked to end, it has ended its containers
   * in order, which looks as if somebody had stopped each; those that were asked before the others somebody did stop.
   */
  function endedInOrder(sinceOf: (id: string) => number | undefined): string[] {
    const running = known.entries().flatMap(([id, { state }]) => (state === "running" ? [sinceOf(id)] : []));
    if (running.includes(undefined)) return [];
    const recent = stoppedSince(monotonicMs() - ENGINE_END_MS);
    const lastMs = Math.max(...recent.map((id) => askedMs.get(id) ?? 0), ...running.map((ms) => ms ?? 0));
    return recent.filter((id) => (askedMs.get(id) ?? 0) >= lastMs - ENGINE_ASKS_MS);
  }

  const takeDown = (ids: readonly string[]): void => {
    for (const id of ids) if (known.get(id)?.state === "stopped") move(id, "taken down");
  };

  return {
    get: known.get,
    wasStopped: (id: string): boolean => known.get(id)?.state === "stopped",
    wasTakenDown: (id: string): boolean => known.get(id)?.state === "taken down",
    ended: (id: string): void => move(id, "ended"),
    takenDown: (id: string): void => move(id, "taken down"),
    /** Somebody has asked for it at this time. */
    stopped(id: string, sinceMs: number = monotonicMs()): void {
      move(id, "stopped");
      askedMs.set(id, sinceMs);
    },
    /** As it was just described; how it ended stays as it is known. */
    note({ id, status, startedAt, restarts }: ContainerState): void {
      const before = known.get(id);
      const isSameEnd = before?.startedAt === startedAt && before.state !== "running";
      const ended = isSameEnd ? before.state : "ended";
      const isAlive = status === "running" || status === "paused" || status === "restarting";
      known.set(id, { state: isAlive ? "running" : ended, startedAt, restarts });
    },
    forget: (id: string): void => void known.delete(id),
    endedInOrder,
    /** The engine has ended. */
    engineEnded: (sinceOf: (id: string) => number | undefined): void => takeDown(endedInOrder(sinceOf)),
    takeDown,
    /** What was stopped since then was so by its engine: one that comes back ends what its predecessor has left. */
    takeDownSince: (sinceMs: number): void => takeDown(stoppedSince(sinceMs)),
    /** Drops all that the engine has no more. */
    keepOnly(ids: ReadonlySet<string>): void {
      for (const [id] of known.entries()) if (!ids.has(id)) known.delete(id);
    },
    toJson: (): Record<string, KnownContainer> => Object.fromEntries(known.entries()),
  };
}

export type KnownContainers = ReturnType<typeof createKnownContainers>;

const STATES = ["running", "ended", "stopped", "taken down"];

/** What of a saved state is one of these. */
export function knownContainersIn(value: unknown): Record<string, KnownContainer> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).flatMap(([id, one]) => (isKnown(one) ? [[id, one] as const] : [])));
}

function isKnown(value: unknown): value is KnownContainer {
  if (!isRecord(value)) return false;
  const { state, startedAt, restarts } = value;
  return STATES.includes(String(state)) && typeof startedAt === "string" && typeof restarts === "number";
}
