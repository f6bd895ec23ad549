import { type AllowEntry, type CommandName, isAllowed, LOG_LINES } from "../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import { type CommandTools, done, failed, type Outcome, rejected } from "./command-model.ts";
import type { DockerApi } from "./docker-api.ts";
import { DockerError } from "./docker-error.ts";
import { createBoundedOutput } from "./run-process.ts";

/** For the container to end by itself, before Docker kills it. */
const STOP_SECONDS = 10;
const RESTART_LIMIT_MS = 60_000;
const LOGS_LIMIT_MS = 20_000;

/** A container as Docker knows it. */
interface FoundContainer {
  readonly id: string;
  /** Without the slash. */
  readonly name: string;
  readonly state: string;
}

/**
 * The container that a name, or the beginning of an id, stands for. What is allowed is asked of its name: by an id, one
 * that is not allowed could be reached under the name of another.
 */
async function allowedContainer(
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
  } | null;
  if (typeof answer?.Id !== "string" || typeof answer.Name !== "string") {
    throw new DockerError("broken", "Docker describes the container without an id or a name");
  }
  return { id: answer.Id, name: answer.Name.replace(/^\//, ""), state: String(answer.State?.Status ?? "unknown") };
}

/** Restarts the container. Docker goes on with it when the agent ends half-way. */
export function restartContainer(
  container: string,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  return explained(container, async () => {
    const found = await allowedContainer("restart_container", container, allow, tools);
    if (!("id" in found)) return found;
    await tools.docker.post(`/containers/${found.id}/restart`, {
      query: { t: STOP_SECONDS },
      limitMs: RESTART_LIMIT_MS,
    });
    const { name, state } = await findContainer(tools.docker, found.id, tools.signal);
    return done(`${name}: ${state}`);
  });
}

/** The last lines that a container has written. */
export function containerLogs(
  container: string,
  lines: number | undefined,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  return explained(container, async () => {
    const found = await allowedContainer("container_logs", container, allow, tools);
    if (!("id" in found)) return found;
    const limit = AbortSignal.timeout(LOGS_LIMIT_MS);
    const signal = AbortSignal.any([tools.signal, limit]);
    const output = createBoundedOutput(OUTPUT_BYTES_MAX);
    const pieces = tools.docker.logs(found.id, { tail: lines ?? LOG_LINES, signal });
    for await (const { bytes } of pieces) output.push(bytes);
    return done(output.text());
  });
}

/** Docker's refusals, for whoever asked. */
async function explained(container: string, work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    return failed(error.reason === "not_found" ? `there is no container ${container} on this host` : error.message);
  }
}
