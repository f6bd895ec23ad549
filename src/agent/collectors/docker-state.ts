import { isRecord } from "../../lib/json.ts";
import type { DockerApi } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import type { Verdict } from "./steady.ts";

/** A container as `/containers/{id}/json` describes it, as far as it matters here. */
export interface ContainerState {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  readonly restarts: number;
  readonly startedAt: string;
  /** Unix milliseconds; 0 for one that never ended. */
  readonly finishedAtMs: number;
  /** "" where there is no health check. */
  readonly health: string;
  /** What the last health check printed. */
  readonly healthOutput: string;
}

/** The container with this name or id; undefined when there is none. */
export async function inspectContainer(
  docker: DockerApi,
  container: string,
  signal: AbortSignal,
): Promise<ContainerState | undefined> {
  try {
    return stateOf(await docker.get(`/containers/${encodeURIComponent(container)}/json`, { signal }));
  } catch (error) {
    if (error instanceof DockerError && error.reason === "not_found") return undefined;
    throw error;
  }
}

function stateOf(answer: unknown): ContainerState {
  const container = isRecord(answer) ? answer : {};
  const state = isRecord(container.State) ? container.State : {};
  const health = isRecord(state.Health) ? state.Health : {};
  const checks = Array.isArray(health.Log) ? health.Log : [];
  const last: unknown = checks.at(-1);
  return {
    id: String(container.Id ?? ""),
    name: String(container.Name ?? "").replace(/^\//, ""),
    status: String(state.Status ?? ""),
    exitCode: Number(state.ExitCode ?? 0),
    isOutOfMemory: state.OOMKilled === true,
    restarts: Number(container.RestartCount ?? 0),
    startedAt: String(state.StartedAt ?? ""),
    // Docker writes the year 1 for never.
    finishedAtMs: Math.max(Date.parse(String(state.FinishedAt)) || 0, 0),
    health: String(health.Status ?? ""),
    healthOutput: isRecord(last) ? String(last.Output ?? "").trim() : "",
  };
}

/** Whether a container that was broken is well again; `wasStopped` when somebody had it end. */
export function containerVerdict(state: ContainerState | undefined, wasStopped: boolean): Verdict {
  if (!state) return { state: "well", identity: "gone", how: "is no longer there" };
  const identity = [state.id, state.status, state.restarts, state.startedAt].join(" ");
  switch (state.status) {
    case "running":
      if (state.health === "unhealthy" || state.health === "starting") return { state: "broken" };
      return { state: "well", identity, how: state.health === "healthy" ? "is healthy again" : "runs again" };
    case "exited":
    case "created":
      if (state.exitCode === 0) return { state: "well", identity, how: "ended well" };
      return wasStopped ? { state: "well", identity, how: "was stopped" } : { state: "broken" };
    case "paused":
      return { state: "well", identity, how: "was paused" };
    default:
      return { state: "broken" };
  }
}

/** Names of the containers that matter after a time without news: all that do not run, and those that do, but not well. */
export async function listTroubled(docker: DockerApi, signal: AbortSignal): Promise<string[]> {
  const filters = JSON.stringify({ status: ["exited", "dead", "restarting"] });
  const [ended, unhealthy] = await Promise.all([
    docker.get("/containers/json", { query: { all: true, filters }, signal }),
    docker.get("/containers/json", { query: { filters: JSON.stringify({ health: ["unhealthy"] }) }, signal }),
  ]);
  return [ended, unhealthy].flatMap((list) => (Array.isArray(list) ? list : [])).flatMap(idOf);
}

/** Most that have ended have ended well, and the list says so. */
function idOf(container: unknown): string[] {
  if (!isRecord(container) || typeof container.Id !== "string") return [];
  return String(container.Status).startsWith("Exited (0)") ? [] : [container.Id];
}
