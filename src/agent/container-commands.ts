import type { CommandParams } from "../protocol/command-schemas.ts";
import { type AllowEntry, type CommandName, isAllowed } from "../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import { keepEnds } from "../protocol/text.ts";
import { type CommandTools, done, failed, type Outcome, rejected } from "./command-model.ts";
import type { DockerApi, DockerQuery } from "./docker-api.ts";
import { DockerError } from "./docker-error.ts";
import { choiceOf } from "./log-choice.ts";
import { createBoundedOutput } from "./run-process.ts";

/** So long an engine lets a container end by itself where its owner has said nothing. */
const STOP_SECONDS = 10;
/** For what lies around the wait for its end: unmounting, networks, the start. */
const RESTART_EXTRA_MS = 50_000;
/** An owner may have a container waited for without end; nobody waits for an answer as long as that. */
const RESTART_LIMIT_MAX_MS = 1_800_000;
const LOGS_LIMIT_MS = 20_000;

/** A container as Docker knows it. */
interface FoundContainer {
  readonly id: string;
  /** Without the slash. */
  readonly name: string;
  readonly state: string;
  /** How long its owner lets it take to end; -1 for as long as it wants. */
  readonly stopSeconds: number | undefined;
}

/**
 * The container that a name, or the beginning of an id, stands for. What is allowed is asked of its name: by an id, one
 * that is not allowed could be reached under the name of another.
 */
export async function allowedContainer(
  command: CommandName,
  container: string,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<FoundContainer | Outcome> {
  const found = await findContainer(tools.docker, container, tools.signal);
  if (isAllowed(allow, command, found.name)) return found;
  return rejected(`${command}:${found.name} (which ${container} stands for) is not allowed on this host`);
}

async function findContainer(docker: DockerApi, container: string, signal: AbortSignal): Promise<FoundContainer> {
  const answer = (await docker.get(`/containers/${encodeURIComponent(container)}/json`, { signal })) as {
    Id?: unknown;
    Name?: unknown;
    State?: { Status?: unknown };
    Config?: { StopTimeout?: unknown };
  } | null;
  if (typeof answer?.Id !== "string" || typeof answer.Name !== "string") {
    throw new DockerError("broken", "Docker describes the container without an id or a name");
  }
  const stopSeconds = answer.Config?.StopTimeout;
  return {
    id: answer.Id,
    name: answer.Name.replace(/^\//, ""),
    state: String(answer.State?.Status ?? "unknown"),
    stopSeconds: typeof stopSeconds === "number" ? stopSeconds : undefined,
  };
}

/**
 * Restarts the container, which gets the time to end that its owner has set: a database that is killed half-way has not
 * flushed. Docker goes on with it when the agent ends half-way.
 */
export function restartContainer(
  container: string,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  return explained(container, async () => {
    const found = await allowedContainer("restart_container", container, allow, tools);
    if (!("id" in found)) return found;
    await tools.docker.post(`/containers/${found.id}/restart`, {
      query: await patience(found, tools),
      limitMs: restartLimitMs(found),
    });
    const { name, state } = await findContainer(tools.docker, found.id, tools.signal);
    return done(`${name}: ${state}`);
  });
}

/** Docker knows the container's own time; Podman kills at once whenever it is not told one. */
async function patience({ stopSeconds }: FoundContainer, { docker, signal }: CommandTools): Promise<DockerQuery> {
  if (stopSeconds !== undefined) return { t: stopSeconds };
  return (await docker.engine(signal)).name === "Podman" ? { t: STOP_SECONDS } : {};
}

function restartLimitMs({ stopSeconds = STOP_SECONDS }: FoundContainer): number {
  if (stopSeconds < 0) return RESTART_LIMIT_MAX_MS;
  return Math.min(stopSeconds * 1000 + RESTART_EXTRA_MS, RESTART_LIMIT_MAX_MS);
}

/** The last lines that a container has written. */
export function containerLogs(
  params: CommandParams<"container_logs">,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  const { container, since_s: sinceS } = params;
  const choice = choiceOf(params);
  if ("fault" in choice) return Promise.resolve(rejected(choice.fault));
  return explained(container, async () => {
    const found = await allowedContainer("container_logs", container, allow, tools);
    if (!("id" in found)) return found;
    const limit = AbortSignal.timeout(LOGS_LIMIT_MS);
    const signal = AbortSignal.any([tools.signal, limit]);
    const output = createBoundedOutput(choice.readBytes);
    const since = sinceS === undefined ? {} : { since: String(Math.floor(tools.now() / 1000) - sinceS) };
    const pieces = tools.docker.logs(found.id, { tail: choice.readLines, ...since, signal });
    for await (const { bytes } of pieces) output.push(bytes);
    return done(keepEnds(choice.choose(output.text()), OUTPUT_BYTES_MAX));
  });
}

/** Docker's refusals, for whoever asked. */
export async function explained(container: string, work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    return failed(error.reason === "not_found" ? `there is no container ${container} on this host` : error.message);
  }
}
