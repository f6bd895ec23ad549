import { checkCommands } from "../agent/check/command-checks.ts";
import { type Finding, findingsText } from "../agent/check/finding.ts";
import { checkServer } from "../agent/check/server-check.ts";
import { createCollectors } from "../agent/collectors/all.ts";
import { createDockerApi } from "../agent/docker-api.ts";
import { createProcessRunner } from "../agent/run-process.ts";
import { createSocketOpener } from "../agent/socket.ts";
import { runningAgentPid, statePaths } from "../agent/state-dir.ts";
import type { AgentConfig, AgentFlags } from "../config/agent.ts";
import { readSurroundings } from "../config/environment.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { subjectOf } from "./agent-subject.ts";
import { VERSION } from "./version.ts";

/**
 * Says what the agent can see and do on this host, and why not: 0, or 1 when something does not work as it is set. On a host
 * where the agent is installed root asks for that one, with its settings and as its user.
 */
export async function checkAgent(flags: AgentFlags): Promise<number> {
  const { config, rule, user } = subjectOf(flags, readSurroundings());
  print(`OpsPilot agent ${VERSION}, as ${user}`);
  const parts: readonly (readonly [string, () => Promise<Finding[]>])[] = [
    ["Server", () => serverFindings(config)],
    ["Collectors", () => collectorFindings(config)],
    ["Commands", () => commandFindings(config, rule)],
  ];
  const found: Finding[] = [];
  for (const [title, look] of parts) {
    const findings = await look();
    print(`\n${findingsText(title, findings)}`);
    found.push(...findings);
  }
  const failures = found.filter(({ state }) => state === "no").length;
  print(failures === 0 ? "\nAll is well." : `\n${failures} of ${found.length} do not work as they are set.`);
  return failures === 0 ? ExitCode.ok : ExitCode.failure;
}

function serverFindings({ server, token, stateDir }: AgentConfig): Promise<Finding[]> {
  const clock = createSystemClock();
  const openSocket = createSocketOpener({ server, token, version: VERSION, clock });
  const statusPath = statePaths(stateDir).connection;
  return checkServer({ server, openSocket, clock, runningPid: runningAgentPid(stateDir), statusPath });
}

async function collectorFindings(config: AgentConfig): Promise<Finding[]> {
  const deps = { ...toolsOf(config), stateDir: statePaths(config.stateDir).collectors };
  const collectors = createCollectors(config.collectors, deps);
  const checks = await Promise.all(collectors.map((collector) => collector.check()));
  return checks.map(({ name, ok, absent, detail }) => ({ name, state: ok ? "ok" : absent ? "absent" : "no", detail }));
}

function commandFindings(config: AgentConfig, rule: string | undefined): Promise<Finding[]> {
  const { run, docker } = toolsOf(config);
  return checkCommands({ allow: config.allow, run, docker, isRoot: process.getuid?.() === 0, rule });
}

function toolsOf({ searchPath, dockerSocket }: AgentConfig) {
  const clock = createSystemClock();
  return {
    clock,
    log: createLog({ level: "silent", readable: false }),
    searchPath,
    run: createProcessRunner({ searchPath, clock }),
    docker: createDockerApi({ socketPath: dockerSocket }),
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
