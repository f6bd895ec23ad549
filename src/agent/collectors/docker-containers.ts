import { errorMessage } from "../../lib/errors.ts";
import { LOG_LINES } from "../../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../../protocol/limits.ts";
import { keepHead } from "../../protocol/text.ts";
import { DockerError } from "../docker-error.ts";
import { createBoundedOutput } from "../run-process.ts";
import { type CollectorDeps, SETTLE_MS } from "./collector-model.ts";
import type { ContainerEvent } from "./docker-events.ts";
import { type ContainerState, containerVerdict, inspectContainer, listTroubled } from "./docker-state.ts";
import type { Episodes, Failure } from "./episodes.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import { createSteadyWatch } from "./steady.ts";

export interface ContainerWatchOptions {
  readonly deps: Pick<CollectorDeps, "clock" | "docker">;
  readonly episodes: Episodes;
  readonly signal: AbortSignal;
}

const LOGS_LIMIT_MS = 10_000;
const CONTAINERS_MAX = 1000;
const HEALTH_BYTES_MAX = 500;
/** Signals that ask for an end; others (SIGHUP to read settings anew) do not. */
const ENDING_SIGNALS = ["1", "2", "3", "9", "15", "37"];
/** After one of those, an end within this time was wanted: Docker's longest usual patience, and more. */
const STOP_MS = 120_000;
/** The daemon's event comes a little after what it notes as the container's end. */
const SAME_END_MS = 2_000;
/** The end of a container follows its lack of memory at once, or never: then only a process in it was killed. */
const OOM_WAIT_MS = 2_000;

/** Makes alerts of what Docker tells of its containers. */
export function createContainerWatch({ deps, episodes, signal }: ContainerWatchOptions) {
  const { clock, docker } = deps;
  const steady = createSteadyWatch(episodes, clock);
  /** By id: when somebody had it end. */
  const asked = createBoundedMap<number>(CONTAINERS_MAX);
  /** By name: it ended since somebody wanted that. */
  const stopped = createBoundedMap<true>(CONTAINERS_MAX);
  /** By id: ends that were found before their events came. */
  const found = createBoundedMap<number>(CONTAINERS_MAX);
  const starved = createBoundedMap<{ event: ContainerEvent; dueMs: number }>(CONTAINERS_MAX);

  async function died(event: ContainerEvent & { kind: "died" }): Promise<void> {
    const isStarved = starved.delete(event.id);
    const askedMs = asked.get(event.id);
    asked.delete(event.id);
    const isWanted = !isStarved && askedMs !== undefined && clock.monotonicMs() - askedMs < STOP_MS;
    if (isWanted) return stopped.set(event.name, true);
    if (event.exitCode === 0 && !isStarved) return;
    if (Math.abs((found.get(event.id) ?? 0) - event.atMs) < SAME_END_MS) return;
    const reason = isStarved ? "was killed for lack of memory (OOMKilled)" : "died";
    await tell(event, `${reason} with exit code ${event.exitCode}`, "critical", event.exitCode);
  }

  async function unhealthy(event: ContainerEvent): Promise<void> {
    const state = await inspectContainer(docker, event.id, signal);
    const output = keepHead(state?.healthOutput.split("\n")[0] ?? "", HEALTH_BYTES_MAX);
    await tell(event, `is unhealthy${output === "" ? "" : `: ${output}`}`, "warning");
  }

  async function tell(
    event: Pick<ContainerEvent, "id" | "name" | "image" | "at" | "atMs" | "kind">,
    what: string,
    severity: Failure["severity"],
    exitCode?: number,
  ): Promise<void> {
    steady.forget(event.name);
    await episodes.fail({
      source: event.name,
      what: `container ${event.name} (${event.image}) ${what}`,
      atMs: event.atMs,
      severity,
      ...(exitCode === undefined ? {} : { exitCode }),
      key: happeningKey(event.id, event.at, event.kind),
      logs: () => logsOf(event.id),
    });
  }

  async function logsOf(id: string): Promise<string> {
    await clock.sleep(SETTLE_MS, signal);
    const output = createBoundedOutput(OUTPUT_BYTES_MAX);
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LOGS_LIMIT_MS)]);
      for await (const { bytes } of docker.logs(id, { tail: LOG_LINES, signal: limit })) output.push(bytes);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      output.push(Buffer.from(`the container's log cannot be read: ${errorMessage(error)}`));
    }
    return output.text().trimEnd();
  }

  /** What an ended or unhealthy container means whose events nobody heard, if it ended after `sinceMs`. */
  async function judge(state: ContainerState, sinceMs: number | undefined): Promise<void> {
    const { id, name, exitCode, status } = state;
    const isRecent = sinceMs !== undefined && state.finishedAtMs > sinceMs;
    const isKilled = exitCode === 137 || exitCode === 143 || exitCode === 130;
    const event = { id, name, image: id.slice(0, 12), at: state.startedAt, atMs: clock.now() };
    if (state.health === "unhealthy" && status === "running") {
      await tell(
        { ...event, kind: "unhealthy" },
        `is unhealthy: ${keepHead(state.healthOutput, HEALTH_BYTES_MAX)}`,
        "warning",
      );
    } else if (status === "restarting") {
      await tell(
        { ...event, kind: "died" },
        `died with exit code ${exitCode}, and is started again`,
        "critical",
        exitCode,
      );
    } else if (status === "dead" || (isRecent && exitCode !== 0 && (state.isOutOfMemory || !isKilled))) {
      const reason = state.isOutOfMemory ? "was killed for lack of memory (OOMKilled)" : "died";
      found.set(id, state.finishedAtMs);
      const ended = { ...event, kind: "died" as const, atMs: state.finishedAtMs || event.atMs };
      await tell(ended, `${reason} with exit code ${exitCode}`, "critical", exitCode);
    }
  }

  return {
    /** Takes one event. */
    async hear(event: ContainerEvent): Promise<void> {
      switch (event.kind) {
        case "signalled":
          if (ENDING_SIGNALS.includes(event.signal)) asked.set(event.id, clock.monotonicMs());
          return;
        case "out of memory":
          return starved.set(event.id, { event, dueMs: clock.monotonicMs() + OOM_WAIT_MS });
        case "died":
          return died(event);
        case "started":
          asked.delete(event.id);
          stopped.delete(event.name);
          return;
        case "unhealthy":
          return unhealthy(event);
        case "healthy":
        case "gone":
      }
    },
    /** Tells of what happened while nobody listened, as far as the containers still show it. */
    async compare(sinceMs: number | undefined): Promise<void> {
      for (const id of (await listTroubled(docker, signal)).slice(0, CONTAINERS_MAX)) {
        const state = await inspectContainer(docker, id, signal);
        if (state && !episodes.has(state.name)) await judge(state, sinceMs);
      }
    },
    /** Something will have to be told soon. */
    isWaiting: (): boolean => starved.entries().length > 0,
    /** Looks whether what is broken is well again, and tells what is due. */
    async look(): Promise<void> {
      for (const [id, { event, dueMs }] of starved.entries()) {
        if (clock.monotonicMs() < dueMs) continue;
        starved.delete(id);
        await tell(event, "ran out of memory: the kernel killed a process in it (OOM)", "critical");
      }
      for (const name of episodes.sources()) {
        const state = await inspectContainer(docker, name, signal);
        await steady.look(name, containerVerdict(state, stopped.has(name)));
      }
      await episodes.tick();
    },
  };
}
