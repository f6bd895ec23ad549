import { existsSync } from "node:fs";
import { isRecord } from "../../lib/json.ts";
import type { Running } from "../../lib/loops.ts";
import { type DockerApi, type DockerEngine, opens } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { visibleBootId } from "../moments.ts";
import { type CollectorDeps, createLookPace, lookIntervalMs, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { type ContainerWaits, createContainerWatch } from "./docker-containers.ts";
import { createEngineWatch, type EngineWatch, type KnownEngine } from "./docker-engine.ts";
import { type ContainerEvent, containerEventOf, EVENT_FILTERS } from "./docker-events.ts";
import { createKnownContainers, type KnownContainer, knownContainersIn, leftOutText } from "./docker-known.ts";
import { createEventPlaces, type EventPlace, eventPlaceIn } from "./docker-place.ts";
import { listContainers, saysWhoStops } from "./docker-state.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn, tellGivenUp } from "./episodes.ts";
import { createHealth, type Health } from "./health.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervise } from "./supervise.ts";

/** With the place up to where all is told. */
interface DockerState extends Partial<EventPlace> {
  readonly episodes?: Record<string, Episode>;
  /** What each of the episodes is about, by id. */
  readonly subjects?: Record<string, string>;
  readonly containers?: Record<string, KnownContainer>;
  readonly engine?: KnownEngine;
  /** The machine's start that this is of. */
  readonly boot?: string;
  /** Those of the containers that the engine has taken down, if it ended then. */
  readonly endedInOrder?: readonly string[];
}

/** A daemon that is restarted is back within seconds; one that stays away is told of soon after its time is up. */
const BACKOFF = { minMs: 500, maxMs: 10_000 };
/** So long an engine may be away without a word: an upgrade takes less. */
const ENGINE_AWAY_MS = 60_000;
/** A lack of memory waits this long for the end that follows it. */
const LOOK_MS = 1_000;
/** Each takes as long as a call may: together longer than an engine takes to end. */
const LATE_LOOKS_MAX = 3;

export interface DockerCollectorOptions extends ContainerWaits {
  readonly engineAwayMs?: number;
}

/**
 * Containers that die, run out of memory or become unhealthy, from the daemon's events: each is an alert with the container's last log
 * lines, or counts. The daemon keeps its last events, so those that came while nobody listened are asked for once more; they
 * are few, and a restarted daemon has forgotten them, so that afterwards the containers are compared with what was last known.
 */
export function createDockerCollector(deps: CollectorDeps, options: DockerCollectorOptions = {}): Collector {
  const { clock, log } = deps;
  const file = openStateFile(`${deps.stateDir}/docker.json`, isState, log);
  const health = createHealth(clock);
  let running: Running | undefined;

  function watchOver(report: ReportAlert): Running {
    const awayMs = options.engineAwayMs ?? ENGINE_AWAY_MS;
    const engines = createEngineWatch({ clock, report, initial: file.load()?.engine, awayMs });
    let isThere = false;
    let wasAway = false;
    async function attempt(signal: AbortSignal): Promise<void> {
      try {
        const engine = await deps.docker.engine(signal);
        await engines.answers(engine.name, deps.docker.socketPath);
        isThere = true;
        const compared = () => {
          wasAway = false;
        };
        await watch({ deps, engine, engines, file, report, signal, wasAway, compared, waits: options, health });
        wasAway = true;
      } catch (error) {
        wasAway = isThere && (wasAway || isEngineEnd(error));
        if (await engines.failed(error)) file.save({ ...file.load(), engine: engines.known() });
        throw error;
      }
    }
    /** One that never was there is not missed; of one that was there people hear from here. */
    const judge = () => {
      const engine = engines.known();
      const isAbsent = engine === undefined && !existsSync(deps.docker.socketPath);
      return { isAbsent, isTold: engine?.isAway === true };
    };
    return supervise(attempt, { name: "docker", clock, log, backoff: BACKOFF, health, judge });
  }

  return {
    name: "docker",
    start(report) {
      running ??= watchOver(report);
    },
    stop: async () => running?.stop(),
    health: health.now,
    check: () => check(deps, file.load()?.engine),
  };
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly engine: DockerEngine;
  readonly engines: EngineWatch;
  readonly file: StateFile<DockerState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  /** The engine has ended since it was last listened to. */
  readonly wasAway: boolean;
  /** What that meant for the containers is found out. */
  readonly compared: () => void;
  readonly waits: ContainerWaits;
  readonly health: Health;
}

/** From the last event that was heard on until the stream of events ends. */
async function watch(options: WatchOptions): Promise<void> {
  const { deps, engine, engines, file, report, signal, wasAway, compared, waits, health } = options;
  const { clock, docker } = deps;
  const state = file.load() ?? {};
  const resumed = eventPlaceIn(state, clock);
  const boot = visibleBootId();
  let isCompared = false;
  /** Whatever ended then ended with it: no event of before says more. */
  const wasMachineAway = state.boot !== undefined && boot !== undefined && state.boot !== boot;
  const before = createEventPlaces(clock, resumed);
  const places = wasMachineAway ? createEventPlaces(clock, undefined) : before;
  /** Its stream of events has come to an end, or broken off. */
  let hasEnded = true;
  /** Up to there all is told. */
  let toldPlace = places.place();
  let savedMs = clock.monotonicMs();
  const episodes = createEpisodes({
    type: "docker",
    clock,
    report,
    recoveryMs: deps.settings.recoveryMs,
    initial: episodesIn(state.episodes),
    gaveUp: tellGivenUp(deps.log, health),
  });
  const ending = new AbortController();
  const untilEnd = AbortSignal.any([signal, ending.signal]);
  const pace = createLookPace(clock, deps.settings.recoveryMs);
  const known = createKnownContainers(knownContainersIn(state.containers), clock.monotonicMs);
  const subjects = new Map(Object.entries(state.subjects ?? {}));
  const containers = createContainerWatch({
    deps,
    engine,
    episodes,
    known,
    subjects,
    signal: untilEnd,
    told: save,
    waits,
    health,
  });

  function save(): void {
    savedMs = clock.monotonicMs();
    if (!containers.isTelling()) toldPlace = places.place();
    const open = [...subjects].filter(([source]) => episodes.has(source));
    file.save({
      ...toldPlace,
      episodes: episodes.toJson(),
      subjects: Object.fromEntries(open),
      containers: known.toJson(),
      engine: engines.known(),
      boot: isCompared ? boot : state.boot,
      endedInOrder: isCompared ? containers.endedInOrder() : state.endedInOrder,
    });
  }

  async function take(event: ContainerEvent): Promise<void> {
    pace.news();
    await containers.hear(event);
    places.heard(event);
    if (clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS) save();
  }

  /** To the end of what the daemon has kept, or for ever. The event of that very moment was heard already. */
  async function listen(end: Record<string, string | boolean>, until: AbortSignal, opened?: () => void): Promise<void> {
    const { since } = places.place();
    const query = { filters: EVENT_FILTERS, since: places.from(), ...end };
    for await (const one of docker.stream("/events", { query, signal: until, opened })) {
      const event = containerEventOf(one);
      if (event && event.at !== since && !places.wasHeard(event)) await take(event);
    }
  }

  /** Docker goes on to tell of all that happens; Podman leaves out what is before the moment that it was asked for. */
  async function listenOn(): Promise<void> {
    if (engine.name === "Docker") return listen({}, untilEnd, health.watches);
    for (let isSetBack = true; isSetBack && !untilEnd.aborted; ) {
      const turn = new AbortController();
      const until = AbortSignal.any([untilEnd, turn.signal]);
      const waiting = places.whenSetBack(until).then((is) => {
        isSetBack = is;
      });
      await endTogether([listen({}, until, health.watches), waiting], turn);
    }
  }

  let lateLooks = 0;
  /** An engine that ends answers no more, and still tells how its containers end: then the stream of events says when it is away. */
  async function patiently(look: () => Promise<void>): Promise<void> {
    try {
      await look();
      lateLooks = 0;
    } catch (error) {
      const isLate = error instanceof DockerError && error.reason === "timeout";
      if (!isLate || ++lateLooks > LATE_LOOKS_MAX) throw error;
      deps.log.debug({ late: lateLooks }, "containers could not be looked at in time");
    }
  }

  async function lookAgain(): Promise<void> {
    const intervalMs = Math.min(LOOK_MS, lookIntervalMs(deps.settings.recoveryMs));
    while (!untilEnd.aborted) {
      await clock.sleep(intervalMs, untilEnd);
      if (untilEnd.aborted) return;
      const before = episodes.changes();
      const wasWaiting = containers.isWaiting();
      await patiently(async () => {
        if (wasWaiting) await containers.tellDue();
        if (episodes.sources().length > 0 && pace.isTime()) await containers.look();
      });
      if (episodes.changes() !== before || (wasWaiting && !containers.isWaiting())) save();
    }
  }

  try {
    const backMs = clock.monotonicMs();
    const sinceMs = resumed && Number(before.from()) * 1000;
    if (resumed && !wasMachineAway) await listen(untilNow(engine, clock.now()), untilEnd);
    if (wasAway && engine.name === "Docker") known.takeDownSince(backMs);
    if (wasMachineAway) known.takeDown(state.endedInOrder ?? []);
    await containers.compare({ sinceMs, wasEngineAway: wasAway, wasMachineAway });
    isCompared = true;
    save();
    compared();
    await endTogether([listenOn(), lookAgain()], ending);
  } catch (error) {
    hasEnded = isEngineEnd(error);
    throw error;
  } finally {
    ending.abort();
    await containers.settled();
    if (hasEnded && !signal.aborted && engine.name === "Docker") containers.engineEnded();
    save();
  }
}

/** Else it is there, and only slow, or does not want to. */
function isEngineEnd(error: unknown): boolean {
  return error instanceof DockerError && (error.reason === "absent" || error.reason === "broken");
}

/** Podman loses events, or all of them, where an end is asked for that has passed. */
function untilNow({ name }: DockerEngine, nowMs: number): Record<string, string | boolean> {
  return name === "Podman" ? { stream: false } : { until: String(nowMs / 1000) };
}

/** Tries all that the work needs. */
async function check({ docker }: CollectorDeps, known: KnownEngine | undefined): Promise<CollectorCheck> {
  const name = "docker";
  try {
    const engine = await docker.engine();
    const containers = await listContainers(docker);
    await readEvents(docker, engine);
    await followEvents(docker);
    const running = containers.filter(({ state }) => state === "running").length;
    const more = leftOutText(containers.length) === undefined ? "" : `; left out: ${leftOutText(containers.length)}`;
    return { name, ok: true, detail: `watches all containers (${running} running now) by ${wordsOf(engine)}${more}` };
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    // A host without Docker lacks nothing.
    const isAbsent = known === undefined && !existsSync(docker.socketPath);
    if (isAbsent)
      return { name, ok: false, absent: true, detail: `${error.message}; it is looked for again and again` };
    return { name, ok: false, detail: error.message };
  }
}

async function readEvents(docker: DockerApi, engine: DockerEngine): Promise<void> {
  const now = Date.now();
  const query = { filters: EVENT_FILTERS, since: String(now / 1000), ...untilNow(engine, now) };
  for await (const _ of docker.stream("/events", { query })) return;
}

/** The stream on which the events to come would be heard begins. */
async function followEvents(docker: DockerApi): Promise<void> {
  const query = { filters: EVENT_FILTERS, since: String(Date.now() / 1000) };
  await opens((trying) => docker.stream("/events", { query, ...trying }));
}

function wordsOf(engine: DockerEngine): string {
  if (engine.name === "Docker") return `API ${engine.api}`;
  const limit = "; it does not say who ends a container: an end by SIGKILL, SIGTERM or SIGINT counts as wanted";
  return `${engine.name} ${engine.version}${saysWhoStops(engine) ? "" : limit}`;
}

function isState(value: unknown): value is DockerState {
  if (!isRecord(value)) return false;
  const { since, boot, endedInOrder = [] } = value;
  const isText = (one: unknown) => one === undefined || typeof one === "string";
  return isText(since) && isText(boot) && Array.isArray(endedInOrder) && endedInOrder.every(isText);
}
