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

/**
 * The last state of each container, kept over restarts of the agent: an engine remembers 256 events of all kinds, of which
 * each health check is three, and none when it is restarted.
 */
export function createKnownContainers(initial: Readonly<Record<string, KnownContainer>>, monotonicMs: () => number) {
  const known = createBoundedMap<KnownContainer>(CONTAINERS_MAX);
  for (const [id, one] of Object.entries(initial)) known.set(id, one);
  const stoppedMs = createBoundedMap<number>(CONTAINERS_MAX);

  function move(id: string, state: KnownContainer["state"]): void {
    const one = known.get(id) ?? { startedAt: "", restarts: 0 };
    known.set(id, { ...one, state });
  }

  function takeDownSince(sinceMs: number): void {
    for (const [id, { state }] of known.entries())
      if (state === "stopped" && (stoppedMs.get(id) ?? Number.NEGATIVE_INFINITY) >= sinceMs) move(id, "taken down");
  }

  return {
    get: known.get,
    wasStopped: (id: string): boolean => known.get(id)?.state === "stopped",
    wasTakenDown: (id: string): boolean => known.get(id)?.state === "taken down",
    ended: (id: string): void => move(id, "ended"),
    takenDown: (id: string): void => move(id, "taken down"),
    stopped(id: string): void {
      move(id, "stopped");
      stoppedMs.set(id, monotonicMs());
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
    /**
     * The engine has ended. Where nothing is left running that was not asked to end, it has ended its containers in order, which
     * looks as if somebody had stopped each.
     */
    engineEnded(isAsked: (id: string) => boolean): void {
      const isLeft = known.entries().some(([id, { state }]) => state === "running" && !isAsked(id));
      if (!isLeft) takeDownSince(monotonicMs() - ENGINE_END_MS);
    },
    /** What was stopped since then was so by its engine: one that comes back ends what its predecessor has left. */
    takeDownSince,
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
