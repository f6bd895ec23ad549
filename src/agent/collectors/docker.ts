import { isRecord } from "../../lib/json.ts";
import { DockerError } from "../docker-error.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { type CollectorDeps, createLookPace, lookIntervalMs, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { createContainerWatch } from "./docker-containers.ts";
import { type ContainerEvent, containerEventOf, EVENT_FILTERS } from "./docker-events.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn } from "./episodes.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";

interface DockerState {
  /** The last event's moment, "1706140800.000000001". */
  readonly since?: string;
  readonly episodes?: Record<string, Episode>;
}

/** A daemon that is restarted is back within seconds. */
const BACKOFF = { minMs: 500, maxMs: 60_000 };
/** A lack of memory waits this long for the end that follows it. */
const LOOK_MS = 1_000;

/**
 * Containers that die, run out of memory or become unhealthy, from the daemon's events: each is an alert with the container's last log
 * lines, or counts. The daemon keeps its last events, so those that came while nobody listened are asked for once more; a
 * restarted daemon has forgotten them, and is asked how its containers are.
 */
export function createDockerCollector(deps: CollectorDeps): Collector {
  const { clock, log } = deps;
  const file = openStateFile(`${deps.stateDir}/docker.json`, isState, log);
  const work: Work = (report, signal) => watch({ deps, file, report, signal });
  return supervised(work, () => check(deps), { name: "docker", clock, log, backoff: BACKOFF });
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly file: StateFile<DockerState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
}

/** From the last event that was heard on until the stream of events ends. */
async function watch({ deps, file, report, signal }: WatchOptions): Promise<void> {
  const { clock, docker } = deps;
  const state = file.load() ?? {};
  const resumedAt = state.since;
  let since = resumedAt ?? String(clock.now() / 1000);
  let savedMs = clock.monotonicMs();
  const episodes = createEpisodes({
    type: "docker",
    clock,
    report,
    recoveryMs: deps.settings.recoveryMs,
    initial: episodesIn(state.episodes),
  });
  const ending = new AbortController();
  const untilEnd = AbortSignal.any([signal, ending.signal]);
  const pace = createLookPace(clock, deps.settings.recoveryMs);
  const containers = createContainerWatch({ deps, episodes, signal: untilEnd });

  function save(): void {
    savedMs = clock.monotonicMs();
    file.save({ since, episodes: episodes.toJson() });
  }

  async function take(event: ContainerEvent): Promise<void> {
    const before = episodes.changes();
    pace.news();
    await containers.hear(event);
    since = event.at;
    if (episodes.changes() !== before || clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS) save();
  }

  /** To the end of what the daemon has kept, or for ever. The event of that very moment was heard already. */
  async function listen(until: { until?: string }): Promise<void> {
    const from = since;
    const query = { filters: EVENT_FILTERS, since: from, ...until };
    for await (const one of docker.stream("/events", { query, signal: untilEnd })) {
      const event = containerEventOf(one);
      if (event && isAfter(event.at, from)) await take(event);
    }
  }

  async function lookAgain(): Promise<void> {
    const intervalMs = Math.min(LOOK_MS, lookIntervalMs(deps.settings.recoveryMs));
    while (!untilEnd.aborted) {
      await clock.sleep(intervalMs, untilEnd);
      const isTime = episodes.sources().length > 0 && pace.isTime();
      if (untilEnd.aborted || !(isTime || containers.isWaiting())) continue;
      const before = episodes.changes();
      await containers.look();
      if (episodes.changes() !== before) save();
    }
  }

  try {
    const until = String(clock.now() / 1000);
    if (resumedAt !== undefined) await listen({ until });
    await containers.compare(resumedAt === undefined ? undefined : Number(resumedAt) * 1000);
    save();
    await endTogether([listen({}), lookAgain()], ending);
  } finally {
    ending.abort();
    save();
  }
}

function isAfter(at: string, other: string): boolean {
  const [seconds = 0, nano = 0] = at.split(".").map(Number);
  const [otherSeconds = 0, otherNano = 0] = padded(other).split(".").map(Number);
  return seconds > otherSeconds || (seconds === otherSeconds && nano > otherNano);
}

/** Nine digits after the point, as events have them. */
function padded(at: string): string {
  const [seconds = "0", fraction = ""] = at.split(".");
  return `${seconds}.${fraction.padEnd(9, "0").slice(0, 9)}`;
}

async function check({ docker }: CollectorDeps): Promise<CollectorCheck> {
  const name = "docker";
  try {
    const version = await docker.version();
    const containers = await docker.get("/containers/json");
    const count = Array.isArray(containers) ? containers.length : 0;
    return { name, ok: true, detail: `watches all containers (${count} running now) by API ${version}` };
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    // A host without Docker lacks nothing.
    if (error.reason === "absent")
      return { name, ok: true, detail: `${error.message}; it is looked for again and again` };
    return { name, ok: false, detail: error.message };
  }
}

function isState(value: unknown): value is DockerState {
  return isRecord(value) && (value.since === undefined || typeof value.since === "string");
}
