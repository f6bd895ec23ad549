import { fieldsOf } from "../lib/json.ts";
import type { AllowEntry } from "../protocol/commands.ts";
import { keepHead } from "../protocol/text.ts";
import { type CommandTools, done, type Outcome } from "./command-model.ts";
import { allowedContainer, explained } from "./container-commands.ts";

const CHECKS_SHOWN = 3;
const CHECK_BYTES_MAX = 500;
const WORDS_BYTES_MAX = 2_000;
const ENTRIES_MAX = 50;

/**
 * A container as JSON: how it stands, what it runs, its limits, mounts and ports. Field by field, so that what an engine knows
 * besides, the environment and labels above all, which hold passwords, is not among it.
 */
export function inspectContainer(
  container: string,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  return explained(container, async () => {
    const found = await allowedContainer("container_inspect", container, allow, tools);
    if (!("id" in found)) return found;
    const answer = await tools.docker.get(`/containers/${found.id}/json`, { signal: tools.signal });
    return done(JSON.stringify(describe(found.name, fieldsOf(answer))));
  });
}

function describe(name: string, container: Record<string, unknown>) {
  const config = fieldsOf(container.Config);
  const host = fieldsOf(container.HostConfig);
  return {
    name,
    image: config.Image,
    created_at: container.Created,
    state: stateOf(fieldsOf(container.State)),
    health: healthOf(fieldsOf(fieldsOf(container.State).Health)),
    restarts: container.RestartCount,
    restart_policy: fieldsOf(host.RestartPolicy).Name,
    command: keepHead(wordsOf(container.Path, container.Args), WORDS_BYTES_MAX),
    user: config.User,
    memory_limit_bytes: host.Memory,
    network: host.NetworkMode,
    ports: portsOf(fieldsOf(fieldsOf(container.NetworkSettings).Ports)),
    mounts: mountsOf(container.Mounts),
    log_driver: fieldsOf(host.LogConfig).Type,
  };
}

function stateOf(state: Record<string, unknown>) {
  return {
    status: state.Status,
    exit_code: state.ExitCode,
    out_of_memory: state.OOMKilled,
    error: state.Error,
    started_at: state.StartedAt,
    finished_at: state.FinishedAt,
  };
}

/** Null where there is no health check. */
function healthOf({ Status: status, FailingStreak: failing, Log: log }: Record<string, unknown>) {
  if (status === undefined) return null;
  const checks = listOf(log)
    .slice(-CHECKS_SHOWN)
    .map(({ ExitCode: exit_code, Output: output }) => ({
      exit_code,
      output: keepHead(String(output ?? ""), CHECK_BYTES_MAX),
    }));
  return { status, failing_in_a_row: failing, last_checks: checks };
}

function wordsOf(path: unknown, words: unknown): string {
  return [path, ...(Array.isArray(words) ? words : [])].filter((word) => typeof word === "string").join(" ");
}

function portsOf(ports: Record<string, unknown>): string[] {
  const lines = Object.entries(ports).flatMap(([inside, bindings]) => {
    const outside = listOf(bindings).map(({ HostIp: address, HostPort: port }) => `${address}:${port} -> ${inside}`);
    return outside.length === 0 ? [inside] : outside;
  });
  return lines.slice(0, ENTRIES_MAX);
}

function mountsOf(mounts: unknown) {
  return listOf(mounts)
    .slice(0, ENTRIES_MAX)
    .map(({ Type: type, Source: source, Destination: destination, RW: writable }) => ({
      type,
      source,
      destination,
      writable,
    }));
}

const listOf = (value: unknown) => (Array.isArray(value) ? value.map(fieldsOf) : []);
