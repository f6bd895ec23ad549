import type { DockerEngine } from "../docker-api.ts";
import { createAtMost } from "./at-most.ts";
import type { CollectorDeps } from "./collector-model.ts";
import type { ContainerEvent } from "./docker-events.ts";
import {
  type Circumstances,
  type ContainerFault,
  endText,
  faultOf,
  hasGivenUp,
  isKilledCode,
  startText,
  takenDownFault,
  unhealthyText,
} from "./docker-judge.ts";
import { CONTAINERS_MAX, type KnownContainers, leftOutText } from "./docker-known.ts";
import { createLastWords } from "./docker-last-words.ts";
import { createLoopWatch } from "./docker-loops.ts";
import { createRunLengths } from "./docker-runs.ts";
import {
  type ContainerNames,
  type ContainerState,
  containerText,
  containerVerdict,
  inspectContainer,
  type ListedContainer,
  listContainers,
  saysWhoStops,
  tellsOfOthers,
  wasEndedByPerson,
} from "./docker-state.ts";
import { createUnitContainers } from "./docker-units.ts";
import { createStopWishes } from "./docker-wishes.ts";
import type { Episodes } from "./episodes.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import { countGivenUp, type Health } from "./health.ts";
import { createSteadyWatch } from "./steady.ts";

export interface ContainerWatchOptions {
  readonly deps: CollectorDeps;
  readonly engine: DockerEngine;
  readonly episodes: Episodes;
  readonly known: KnownContainers;
  /** The id of the container that each source was when it broke: a name may change, and go over to another. */
  readonly subjects: Map<string, string>;
  readonly signal: AbortSignal;
  /** Something was told. */
  readonly told: () => void;
  readonly waits: ContainerWaits;
  readonly health: Health;
}

/** For tests. */
export interface ContainerWaits {
  /** So long a new container may take until it runs. */
  readonly startWaitMs?: number;
  /** So long one may take to be started with the machine. */
  readonly bootWaitMs?: number;
}

/** What the containers' states are compared with. */
export interface Comparison {
  readonly sinceMs: number | undefined;
  readonly wasEngineAway: boolean;
  readonly wasMachineAway: boolean;
}

/** The daemon's event comes a little after what it notes as the container's end. */
const SAME_END_MS = 2_000;
/** The end of a container follows its lack of memory at once, or never: then only a process in it was killed. */
const OOM_WAIT_MS = 2_000;
/** A new container that does not run by now may never do so. */
const START_WAIT_MS = 10_000;
/** Podman starts again at once what ended by itself, an engine that comes back what it is to start. */
const RESTART_WAIT_MS = 3_000;
/** What is started with the machine, by units of systemd too, is so within this time. */
const BOOT_WAIT_MS = 60_000;
const INSPECTED_AT_ONCE_MAX = 8;

type EndEvent = ContainerEvent & { kind: "died" };

interface Waiting<Event extends ContainerEvent = ContainerEvent> {
  readonly event: Event;
  readonly dueMs: number;
}

/** Makes alerts of what Docker or Podman tells of its containers. */
export function createContainerWatch(options: ContainerWatchOptions) {
  const { deps, engine, episodes, known, subjects, signal, told, waits, health } = options;
  const { startWaitMs = START_WAIT_MS, bootWaitMs = BOOT_WAIT_MS } = waits;
  const { clock, docker, log } = deps;
  const isPodman = engine.name === "Podman";
  const isMixed = tellsOfOthers(engine);
  const runs = createRunLengths(clock, known);
  const steady = createSteadyWatch(episodes, clock);
  const lastWords = createLastWords({ deps, signal, health });
  const loops = createLoopWatch(clock);
  const units = createUnitContainers(deps);
  const wishes = createStopWishes({ clock, inspect });
  /** By id: ends that were found before their events came. */
  const found = createBoundedMap<number>(CONTAINERS_MAX);
  const forgot = countGivenUp(health, "waiting", (count) => `${count} happenings, of which too many came at once`);
  const starved = createBoundedMap<Waiting>(CONTAINERS_MAX, forgot);
  const made = createBoundedMap<Waiting>(CONTAINERS_MAX, forgot);
  /** Ends of which Podman does not say whether somebody wanted them, and those of which the machine's own end may be the cause. */
  const doubtful = createBoundedMap<Waiting<EndEvent> & { isByNobody: boolean }>(CONTAINERS_MAX, forgot);
  /** By id: when one that ended with its engine or machine should have been started again. */
  const down = createBoundedMap<{ dueMs: number; takenDownWith: "engine" | "machine" }>(CONTAINERS_MAX, forgot);
  const sick = createBoundedMap<true>(CONTAINERS_MAX);
  const telling = new Set<Promise<void>>();
  let surprise: unknown;

  async function inspect(container: string): Promise<ContainerState | undefined> {
    const state = await inspectContainer(docker, container, signal);
    if (state) wishes.note(state);
    return state;
  }

  /** Nobody waits for it here: the log of one is slow, and another dies meanwhile. */
  function tell(container: ContainerNames & { id: string }, fault: ContainerFault, at: string, atMs: number): void {
    const source = sourceOf(container);
    subjects.set(source, container.id);
    steady.forget(source);
    const { kind, what, takenDownWith: _, ...more } = fault;
    const work = async () => {
      if (kind !== "unhealthy" && (await units.areToldAs(container.unit))) return;
      await episodes.fail({
        ...more,
        source,
        what: `${containerText(container)} ${what}`,
        atMs,
        key: happeningKey(container.id, at, kind),
        logs: () => lastWords.of(container.id),
      });
    };
    const tracked = work()
      .catch((error) => {
        surprise ??= error;
      })
      .finally(() => {
        telling.delete(tracked);
        told();
      });
    telling.add(tracked);
  }

  /** What broke under one name stays under it, though the container be renamed. */
  function sourceOf({ id, name }: { id: string; name: string }): string {
    return episodes.sources().find((source) => subjects.get(source) === id) ?? name;
  }

  /** Known since it was made, though it may be gone by now. */
  async function isOfOthers({ id }: ContainerEvent): Promise<boolean> {
    if (!isMixed || known.get(id)) return false;
    const state = await inspect(id);
    if (state) known.note(state);
    return state === undefined;
  }

  async function died(event: EndEvent): Promise<void> {
    const { id, exitCode, atMs } = event;
    const isStarved = starved.delete(id);
    const runMs = runs.of(id, atMs);
    const askedMs = wishes.sinceOf(id);
    const wish = wishes.take(event);
    if (wish === "yes" && !isStarved) return known.stopped(id, askedMs);
    runs.broke(id, runMs);
    if (exitCode === 0 && !isStarved) {
      loops.endedWell(id, runMs);
      return known.ended(id);
    }
    if (isPodman) return diedInPodman(event, wish === "maybe");
    known.ended(id);
    tellEnd(event, isStarved);
  }

  /** Podman tells neither of signals nor of a lack of memory before an end; 5 knows afterwards, 4 does not. */
  async function diedInPodman(event: EndEvent, hadSignal: boolean): Promise<void> {
    const { id, exitCode } = event;
    const state = await inspect(id);
    // To Podman any signal that a person sends is a stop.
    const isByPerson = hadSignal ? false : await personEnded(id);
    if (isByPerson === true) return known.stopped(id);
    const isOutOfMemory = state?.isOutOfMemory === true;
    if (isKilledCode(exitCode) && !isOutOfMemory)
      return doubtful.set(id, {
        event,
        dueMs: clock.monotonicMs() + RESTART_WAIT_MS,
        isByNobody: isByPerson === false,
      });
    known.ended(id);
    tellEnd(event, isOutOfMemory);
  }

  function tellEnd(event: EndEvent, isOutOfMemory: boolean): void {
    const { id, exitCode, at, atMs } = event;
    if (Math.abs((found.get(id) ?? 0) - atMs) < SAME_END_MS) return;
    const what = endText(exitCode, isOutOfMemory);
    tell(event, { kind: "died", what, severity: "critical", exitCode }, at, atMs);
  }

  async function started(event: ContainerEvent): Promise<void> {
    const { id, at, atMs } = event;
    wishes.forget(id);
    found.delete(id);
    made.delete(id);
    sick.delete(id);
    const before = known.get(id);
    const state = await inspect(id);
    if (!state) return isMixed ? undefined : known.forget(id);
    known.note({ ...state, status: "running" });
    runs.started(id);
    if (state.isRemovedAtEnd) lastWords.follow(id);
    const turns = loops.startedAgain(id, state.restarts - (before?.restarts ?? 0));
    if (turns === 0) return;
    const what = "ends again and again with exit code 0, and is started again (a restart loop)";
    tell(event, { kind: "died", what, severity: "critical", exitCode: 0, times: turns }, at, atMs);
  }

  /** By a policy it is started again after an end; by a person before one. */
  function restarted(event: ContainerEvent): void {
    if (!isPodman) return;
    const doubt = doubtful.get(event.id);
    if (!doubt) wishes.ask(event.id);
    else {
      doubtful.delete(event.id);
      known.ended(event.id);
      tellEnd(doubt.event, false);
    }
  }

  async function healthChanged(event: ContainerEvent & { kind: "health" }): Promise<void> {
    const state = await inspect(event.id);
    if (!event.isChange && state?.health !== "unhealthy") return void sick.delete(event.id);
    if (!event.isChange && sick.has(event.id)) return;
    sick.set(event.id, true);
    const what = unhealthyText(state?.healthOutput.split("\n")[0] ?? "");
    tell(event, { kind: "unhealthy", what, severity: "warning" }, event.at, event.atMs);
  }

  async function tellDue(): Promise<void> {
    const isDue = ([, { dueMs }]: [string, { dueMs: number }]) => clock.monotonicMs() >= dueMs;
    for (const [id, { event }] of starved.entries().filter(isDue)) {
      starved.delete(id);
      const what = "ran out of memory: the kernel killed a process in it (OOM)";
      tell(event, { kind: "died", what, severity: "critical" }, event.at, event.atMs);
    }
    // Until it is answered what is to be found out, it waits: it may be decided meanwhile, or asked again.
    for (const [id, { event, isByNobody }] of doubtful.entries().filter(isDue)) {
      const state = isByNobody ? undefined : await inspect(id);
      if (!doubtful.delete(id)) continue;
      if (isByNobody || (state && hasGivenUp(state))) {
        known.ended(id);
        tellEnd(event, false);
      } else known.stopped(id);
    }
    for (const [id, { event }] of made.entries().filter(isDue)) {
      const state = await inspect(id);
      if (made.delete(id) && state) tellStart(event, state);
    }
    for (const [id, { takenDownWith }] of down.entries().filter(isDue)) {
      const state = await inspect(id);
      if (down.delete(id) && state && known.wasTakenDown(id)) tellFound(state, takenDownFault(state, takenDownWith));
    }
  }

  function tellStart({ kind, at, atMs }: ContainerEvent, state: ContainerState): void {
    if (state.status !== "created" || (state.error === "" && kind !== "cleaned up")) return;
    known.note(state);
    const what = startText(state.error);
    tell(state, { kind: "not started", what, severity: "critical", exitCode: state.exitCode }, at, atMs);
  }

  async function compareOne(id: string, rest: Omit<Circumstances, "known" | "wasEndedByPerson">): Promise<void> {
    const state = await inspect(id);
    if (!state) return;
    const before = known.get(id);
    const mayAsk = isPodman && state.exitCode !== 0 && state.status !== "running";
    const wasEnded = mayAsk ? await personEnded(id) : undefined;
    const fault = faultOf(state, { ...rest, known: before, wasEndedByPerson: wasEnded });
    known.note(state);
    runs.started(id);
    if (state.health === "unhealthy") sick.set(id, true);
    if (state.status === "running" && state.isRemovedAtEnd) lastWords.follow(id);
    const takenDownWith = fault?.takenDownWith;
    if (takenDownWith) {
      known.takenDown(id);
      const waitMs = takenDownWith === "machine" ? bootWaitMs : RESTART_WAIT_MS;
      down.set(id, { dueMs: clock.monotonicMs() + waitMs, takenDownWith });
    } else if (fault) tellFound(state, fault);
  }

  function tellFound(state: ContainerState, fault: ContainerFault): void {
    if (episodes.has(sourceOf(state))) return;
    const endMs = fault.kind === "died" ? state.finishedAtMs : 0;
    if (fault.kind === "died") found.set(state.id, endMs);
    tell(state, fault, state.startedAt, Math.min(endMs || clock.now(), clock.now()));
  }

  /** Of those that ended well, and did so when they were heard of last, there is nothing to be found out. */
  function isWorthALook({ id, hasEndedWell }: ListedContainer): boolean {
    const state = known.get(id)?.state;
    return !hasEndedWell || state === "running" || state === "taken down";
  }

  return {
    /** Takes one event. What it has to tell it tells by and by. */
    async hear(event: ContainerEvent): Promise<void> {
      if (surprise !== undefined) throw surprise;
      if (await isOfOthers(event)) return;
      switch (event.kind) {
        case "signalled":
          return wishes.signalled(event);
        case "stopped":
          return isPodman ? wishes.ask(event.id) : undefined;
        case "restarted":
          return restarted(event);
        case "out of memory":
          return starved.set(event.id, { event, dueMs: clock.monotonicMs() + OOM_WAIT_MS });
        case "died":
          return died(event);
        case "made":
          return made.set(event.id, { event, dueMs: clock.monotonicMs() + startWaitMs });
        case "cleaned up":
          return made.has(event.id) ? made.set(event.id, { event, dueMs: clock.monotonicMs() }) : undefined;
        case "started":
          return started(event);
        case "health":
          return healthChanged(event);
      }
    },
    /** Tells of what happened while nobody listened, as far as the containers still show it. */
    async compare(comparison: Comparison): Promise<void> {
      const listed = await listContainers(docker, signal);
      if (listed.length > CONTAINERS_MAX)
        log.warn(
          { containers: listed.length, watched: CONTAINERS_MAX },
          "of so many containers only the newest are compared",
        );
      health.gaveUp("containers", leftOutText(listed.length));
      const isLiveRestore = comparison.wasEngineAway && (await hasLiveRestore());
      const rest = { ...comparison, isLiveRestore, isPodman };
      const atMost = createAtMost(INSPECTED_AT_ONCE_MAX);
      const worthy = listed.slice(0, CONTAINERS_MAX).filter(isWorthALook);
      await Promise.all(worthy.map(({ id }) => atMost(() => compareOne(id, rest))));
      known.keepOnly(new Set(listed.map(({ id }) => id)));
    },
    /** Something will have to be told soon. */
    isWaiting,
    /** Tells what was waited with. */
    tellDue,
    /** Looks whether what is broken is well again, and tells sums that are due. */
    async look(): Promise<void> {
      if (surprise !== undefined) throw surprise;
      for (const source of episodes.sources()) {
        const state = await subjectOf(source);
        const id = state?.id ?? subjects.get(source) ?? "";
        const verdict = containerVerdict(state, known.wasStopped(id));
        const isDown = state !== undefined && state.status !== "running" && known.wasTakenDown(id);
        await steady.look(source, isDown ? { state: "broken" } : verdict, runs.minHoldMs(state));
      }
      await episodes.tick();
    },
    /** The engine has ended: it does not say so, and not always how the last of its containers did. */
    engineEnded: (): void => known.engineEnded(wishes.sinceOf),
    /** What it has taken down, if it ends now, and the machine with it. */
    endedInOrder: (): string[] => known.endedInOrder(wishes.sinceOf),
    /** What was begun to be told is told. */
    settled: async (): Promise<void> => void (await Promise.allSettled(telling)),
    /** Something that was heard is not told yet. */
    isTelling: (): boolean => telling.size > 0 || isWaiting(),
  };

  async function personEnded(id: string): Promise<boolean | undefined> {
    return saysWhoStops(engine) ? wasEndedByPerson(docker, id, signal) : undefined;
  }

  function isWaiting(): boolean {
    return [starved, made, doubtful, down].some((waiting) => waiting.entries().length > 0);
  }

  /** Podman's containers have no engine that they depend on. */
  async function hasLiveRestore(): Promise<boolean> {
    if (isPodman) return true;
    const info = (await docker.get("/info", { signal })) as { LiveRestoreEnabled?: unknown } | undefined;
    return info?.LiveRestoreEnabled === true;
  }

  /** The container that broke, by whichever name; else the one that has its name now. */
  async function subjectOf(source: string): Promise<ContainerState | undefined> {
    const id = subjects.get(source) ?? source;
    const state = await inspect(id);
    if (state || id === source) return state;
    const successor = await inspect(source);
    if (successor) subjects.set(source, successor.id);
    return successor;
  }
}
