import { isRecord } from "../../lib/json.ts";
import type { DockerApi, DockerEngine } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import type { Verdict } from "./steady.ts";

/** What a text about a container names beside its fault. */
export interface ContainerNames {
  readonly name: string;
  /** As it was asked for, "postgres:18". */
  readonly image: string;
  /** "web of shop", when Docker Compose made it. */
  readonly service: string;
  /** Of systemd's, for which Podman runs it; "" for none. */
  readonly unit: string;
}

/** A container as `/containers/{id}/json` describes it, as far as it matters here. */
export interface ContainerState extends ContainerNames {
  readonly id: string;
  readonly status: string;
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  /** Why it could not be started. */
  readonly error: string;
  readonly restarts: number;
  readonly startedAt: string;
  /** Unix milliseconds; 0 for one that never ended. */
  readonly finishedAtMs: number;
  readonly createdAtMs: number;
  /** "" where there is no health check. */
  readonly health: string;
  /** What the last health check printed. */
  readonly healthOutput: string;
  /** So often it is started again after a failure; 0 where the owner wants none of it, infinite where there is no limit. */
  readonly restartsMax: number;
  /** It vanishes, with its log, when it ends. */
  readonly isRemovedAtEnd: boolean;
  /** By which its owner wants it to be ended, "SIGQUIT" or "3"; "" for the usual one. */
  readonly stopSignal: string;
  readonly stopSeconds: number;
}

/** Docker and Podman wait so long where nobody says so. */
const STOP_SECONDS = 10;

/** The container with this name or id; undefined when there is none. */
export async function inspectContainer(
  docker: DockerApi,
  container: string,
  signal: AbortSignal,
): Promise<ContainerState | undefined> {
  const answer = await answerAbout(docker, `/containers/${encodeURIComponent(container)}/json`, signal);
  return answer && stateOf(answer);
}

/** Docker says by its events who ends a container; Podman does so since 4.7, afterwards. */
export function saysWhoStops(engine: DockerEngine): boolean {
  return !isPodmanBefore(engine, 4, 7);
}

/**
 * Before 4.5 Podman tells of the containers of all users, where they share the journal for their events; asked about one it knows its
 * own alone.
 */
export function tellsOfOthers(engine: DockerEngine): boolean {
  return isPodmanBefore(engine, 4, 5);
}

function isPodmanBefore({ name, version }: DockerEngine, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return name === "Podman" && (ownMajor < major || (ownMajor === major && ownMinor < minor));
}

/** Whether a person had Podman end it; undefined where it does not say. */
export async function wasEndedByPerson(
  docker: DockerApi,
  id: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const answer = await answerAbout(docker, `/libpod/containers/${encodeURIComponent(id)}/json`, signal);
  // It is left out where it is not true.
  return answer && recordIn(answer, "State").StoppedByUser === true;
}

async function answerAbout(docker: DockerApi, path: string, signal: AbortSignal) {
  try {
    const answer = await docker.get(path, { signal });
    return isRecord(answer) ? answer : undefined;
  } catch (error) {
    if (error instanceof DockerError && error.reason === "not_found") return undefined;
    throw error;
  }
}

function stateOf(container: Record<string, unknown>): ContainerState {
  const state = recordIn(container, "State");
  const config = recordIn(container, "Config");
  const host = recordIn(container, "HostConfig");
  const health = recordIn(state, "Health");
  const checks = Array.isArray(health.Log) ? health.Log : [];
  const last: unknown = checks.at(-1);
  return {
    id: String(container.Id ?? ""),
    name: String(container.Name ?? "").replace(/^\//, ""),
    image: imageName(config.Image),
    service: serviceIn(recordIn(config, "Labels")),
    unit: unitIn(recordIn(config, "Labels")),
    status: String(state.Status ?? ""),
    exitCode: Number(state.ExitCode ?? 0),
    isOutOfMemory: state.OOMKilled === true,
    error: String(state.Error ?? ""),
    restarts: Number(container.RestartCount ?? 0),
    startedAt: String(state.StartedAt ?? ""),
    finishedAtMs: momentOf(state.FinishedAt),
    createdAtMs: momentOf(container.Created),
    health: String(health.Status ?? ""),
    healthOutput: isRecord(last) ? String(last.Output ?? "").trim() : "",
    restartsMax: restartsMaxIn(host),
    isRemovedAtEnd: host.AutoRemove === true,
    stopSignal: String(config.StopSignal ?? ""),
    stopSeconds: typeof config.StopTimeout === "number" ? config.StopTimeout : STOP_SECONDS,
  };
}

function restartsMaxIn(host: Record<string, unknown>): number {
  const { Name: name, MaximumRetryCount: max } = recordIn(host, "RestartPolicy");
  if (name === "on-failure" && Number(max) > 0) return Number(max);
  return name === "always" || name === "unless-stopped" || name === "on-failure" ? Number.POSITIVE_INFINITY : 0;
}

/** The engines write the year 1 for never. */
function momentOf(text: unknown): number {
  return Math.max(Date.parse(String(text)) || 0, 0);
}

/** "" for what is but an id: it is another one after each build, and says nothing. */
export function imageName(image: unknown): string {
  const [name = ""] = String(image ?? "").split("@");
  return name.startsWith("sha256:") ? "" : name;
}

/** What Docker Compose calls it. */
export function serviceIn(labels: Record<string, unknown>): string {
  const { "com.docker.compose.service": service, "com.docker.compose.project": project } = labels;
  return typeof service === "string" && typeof project === "string" ? `${service} of ${project}` : "";
}

/** What `podman generate systemd` and Quadlet have Podman note. */
export function unitIn({ PODMAN_SYSTEMD_UNIT: unit }: Record<string, unknown>): string {
  return typeof unit === "string" ? unit : "";
}

/** "container shop-web-1 (nginx:1.27, service web of shop)": the same each time, so that repetitions are known as such. */
export function containerText({ name, image, service }: Omit<ContainerNames, "unit">): string {
  const details = [image, service && `service ${service}`].filter((text) => text !== "");
  return `container ${name}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

function recordIn(value: unknown, key: string): Record<string, unknown> {
  const inner = isRecord(value) ? value[key] : undefined;
  return isRecord(inner) ? inner : {};
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
    case "stopped":
      if (wasStopped) return { state: "well", identity, how: "was stopped" };
      if (state.exitCode !== 0 || state.error !== "") return { state: "broken" };
      return { state: "well", identity, how: "ended well" };
    case "paused":
      return { state: "well", identity, how: "was paused" };
    default:
      return { state: "broken" };
  }
}

/** A container in the list of all. */
export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  /** It has ended, and well; the list says so. */
  readonly hasEndedWell: boolean;
}

/**
 * All containers, the newest first. Without a filter: Podman refuses a list of states when it does not know one of them.
 */
export async function listContainers(docker: DockerApi, signal?: AbortSignal): Promise<ListedContainer[]> {
  const list = await docker.get("/containers/json", { query: { all: true }, signal });
  return (Array.isArray(list) ? list : []).flatMap(listedIn);
}

function listedIn(one: unknown): ListedContainer[] {
  if (!isRecord(one) || typeof one.Id !== "string") return [];
  const names = Array.isArray(one.Names) ? one.Names.map(String) : [];
  // With links to others a container has more names, which have a second slash.
  const name = names.find((text) => text.lastIndexOf("/") === 0) ?? "";
  const hasEndedWell = String(one.Status).startsWith("Exited (0)");
  return [{ id: one.Id, name: name.slice(1), state: String(one.State), hasEndedWell }];
}
