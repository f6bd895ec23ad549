import { startAgent } from "../agent/agent.ts";
import { checkCommands, checkServer, type Finding, findingsText } from "../agent/check.ts";
import { createCollectors } from "../agent/collectors/all.ts";
import { createDockerApi } from "../agent/docker-api.ts";
import { createExecutor } from "../agent/executor.ts";
import { becomeAgent, readInstalledAgent } from "../agent/install/installed.ts";
import { openLedger } from "../agent/ledger.ts";
import { credentialsOf } from "../agent/own-token.ts";
import { createProcessRunner } from "../agent/run-process.ts";
import { createSocketOpener } from "../agent/socket.ts";
import { cannotUse, claimStateDir, runningAgentPid, StateDirTakenError, statePaths } from "../agent/state-dir.ts";
import { type OnceOutcome, sendByAgent, sendOnce } from "../agent/test-alert.ts";
import { readTrial } from "../agent/update/trial.ts";
import { type AgentConfig, type AgentFlags, loadAgentConfig } from "../config/agent.ts";
import { isExecutable, readSurroundings, type Surroundings } from "../config/environment.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, unreachable } from "../lib/errors.ts";
import { createLog, type Log } from "../lib/log.ts";
import { nextSurprise, runToEnd } from "./ends.ts";
import { VERSION } from "./version.ts";

/** Runs the agent until `stop` aborts (0) or it cannot go on (1). Throws a StartupError when it cannot start. */
export async function runAgent(flags: AgentFlags, stop: AbortSignal): Promise<number> {
  const config = loadAgentConfig(flags);
  const log = createLog({ level: config.logLevel, readable: process.stdout.isTTY === true });
  const surprise = nextSurprise(log);
  const tools = toolsOf(config, log);
  const agent = await startAgent({
    ...tools,
    config,
    version: VERSION,
    trial: isExecutable() ? readTrial(process.execPath) : undefined,
    createCollectors: () => createCollectors(config.collectors, tools),
    createExecutor(collectors) {
      const { commands, updateRequest } = statePaths(config.stateDir);
      const ledger = openLedger({ ...tools, dir: commands });
      const about = { version: VERSION, collectors };
      return createExecutor({ ...tools, allow: config.allow, ledger, about, updateRequest });
    },
  });
  log.info({ version: VERSION, server: config.server.url, dir: config.stateDir }, "the agent runs");
  if (config.server.isExposed) log.warn("the token goes over the network unencrypted: use wss:// or https://");
  return runToEnd("the agent", agent, { stop, surprise: Promise.race([surprise, agent.failed]), log });
}

/** What collectors and commands are made with. */
function toolsOf({ searchPath, dockerSocket, otherSockets, stateDir }: AgentConfig, log: Log) {
  const clock = createSystemClock();
  return {
    clock,
    log,
    searchPath,
    run: createProcessRunner({ searchPath, clock }),
    docker: createDockerApi({ socketPath: dockerSocket, otherSocketPaths: otherSockets }),
    stateDir: statePaths(stateDir).collectors,
  };
}

/**
 * Sends one test alert and waits until the server has it: 0. Else 69 (the server did not answer), 77 (it does not accept the
 * token) or 1 (it refused the alert).
 */
export async function agentOnce(flags: AgentFlags, stop: AbortSignal): Promise<number> {
  const { config } = subjectOf(flags, readSurroundings());
  const outcome = await send(config, stop);
  const { text, exitCode } = describe(outcome, config.server.url);
  (exitCode === ExitCode.ok ? process.stdout : process.stderr).write(`${text}\n`);
  return exitCode;
}

/** The agent that runs here would be thrown out by another connection with its token: then it sends the alert. */
async function send(config: AgentConfig, stop: AbortSignal): Promise<OnceOutcome> {
  const clock = createSystemClock();
  const { server } = config;
  try {
    const claim = claimStateDir(config.stateDir);
    const openSocket = createSocketOpener({ server, ...credentialsOf(config), version: VERSION, clock });
    return await sendOnce({ openSocket, version: VERSION, clock }, stop).finally(claim.release);
  } catch (error) {
    if (!(error instanceof StateDirTakenError)) throw error;
  }
  const { inbox } = statePaths(config.stateDir);
  return sendByAgent(inbox, clock, stop).catch((error) => {
    throw cannotUse(inbox, error);
  });
}

function describe(result: OnceOutcome, url: string): { text: string; exitCode: number } {
  switch (result.outcome) {
    case "acknowledged": {
      const text = `${url} has the test alert (acknowledged after ${Math.round(result.tookMs)} ms).`;
      return { text, exitCode: ExitCode.ok };
    }
    case "refused":
      return { text: `opspilot: ${url} refuses the test alert: ${result.detail}`, exitCode: ExitCode.failure };
    case "unauthorized":
      return {
        text: `opspilot: ${url} does not accept the token (${result.detail}); make one by \`opspilot token create\` on the server`,
        exitCode: ExitCode.noPermission,
      };
    case "unavailable":
      return { text: `opspilot: ${url} does not answer: ${result.detail}`, exitCode: ExitCode.unavailable };
    default:
      return unreachable(result);
  }
}

/**
 * Says what the agent can see and do on this host, and why not: 0, or 1 when something does not work as it is set. On a host
 * where the agent is installed root asks for that one, with its settings and as its user.
 */
export async function checkAgent(flags: AgentFlags): Promise<number> {
  const { config, rule, user } = subjectOf(flags, readSurroundings());
  print(`OpsPilot agent ${VERSION}, as ${user}`);
  const log = createLog({ level: "silent", readable: false });
  const { allow } = config;
  const isRoot = process.getuid?.() === 0;
  const parts: readonly (readonly [string, () => Promise<Finding[]>])[] = [
    ["Server", () => serverFindings(config)],
    ["Collectors", () => collectorFindings(config, log)],
    ["Commands", () => checkCommands({ ...toolsOf(config, log), allow, isRoot, rule })],
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

function serverFindings(config: AgentConfig): Promise<Finding[]> {
  const { server, stateDir } = config;
  const clock = createSystemClock();
  const openSocket = createSocketOpener({ server, ...credentialsOf(config), version: VERSION, clock });
  const statusPath = statePaths(stateDir).connection;
  return checkServer({ server, openSocket, clock, runningPid: runningAgentPid(stateDir), statusPath });
}

async function collectorFindings(config: AgentConfig, log: Log): Promise<Finding[]> {
  const collectors = createCollectors(config.collectors, toolsOf(config, log));
  const checks = await Promise.all(collectors.map((collector) => collector.check()));
  return checks.map(({ name, ok, absent, detail }) => ({ name, state: ok ? "ok" : absent ? "absent" : "no", detail }));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Whom a command is about: the agent that is installed here, with its settings and as its user, when root asks without naming a server; else whoever asks. */
function subjectOf(flags: AgentFlags, surroundings: Surroundings) {
  const hasSettings = surroundings.env.OPSPILOT_SERVER || Object.values(flags).some((flag) => flag !== undefined);
  const isOfOneself = surroundings.uid !== 0 || hasSettings;
  const installed = isOfOneself ? undefined : readInstalledAgent();
  if (installed === undefined) {
    const config = loadAgentConfig(flags, surroundings);
    return { config, rule: undefined, user: `user ${surroundings.uid === 0 ? "root" : surroundings.uid}` };
  }
  becomeAgent(installed);
  const env = { PATH: surroundings.env.PATH, ...installed.env };
  const config = loadAgentConfig({}, { env, cwd: "/", uid: installed.uid, home: undefined });
  return { config, rule: installed.rule, user: `the installed service's user ${installed.user}` };
}
