/**
 * A command from the server on its way here: known already → its result again; not of the vocabulary, wrong, not allowed
 * or too late → rejected; else it waits for what is under way on the same target, is noted on disk as `started`, and is
 * run, at most once whatever happens to this process (see ledger.ts).
 */

import { Value } from "@sinclair/typebox/value";
import { type Clock, endsWithin } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { isUuid } from "../lib/uuid.ts";
import { COMMANDS, type CommandParams } from "../protocol/command-schemas.ts";
import {
  type AllowEntry,
  allowText,
  type CommandName,
  commandTarget,
  isCommandName,
  isUnitCommand,
  mayRun,
  unitName,
} from "../protocol/commands.ts";
import type { ResultPayload } from "../protocol/frames.ts";
import { cleanText } from "../protocol/text.ts";
import { agentFacts } from "./agent-facts.ts";
import { type AgentAbout, type CommandTools, done, failed, type Outcome, rejected } from "./command-model.ts";
import { containerLogs, restartContainer } from "./container-commands.ts";
import { inspectContainer } from "./container-inspect.ts";
import type { DockerApi } from "./docker-api.ts";
import { hostReport } from "./host-report.ts";
import { PATHS } from "./install/unit.ts";
import type { Ledger } from "./ledger.ts";
import { listUnits } from "./list-units.ts";
import type { IncomingCommand } from "./model.ts";
import { MissingProgramError, type RunProcess } from "./run-process.ts";
import { changeService, serviceLogs, serviceStatus } from "./service-commands.ts";
import { requestUpdate } from "./update/request.ts";

const ID_CHARS_MAX = 64;

/** More than a person or the server's own work asks at once; the ledger and the memory stay small. */
const COMMANDS_MAX = 50;
/** How long the end of the agent waits for a restart that is under way, so that its result can be told. */
const STOP_LIMIT_MS = 5_000;

interface ExecutorDeps {
  readonly allow: readonly AllowEntry[];
  readonly ledger: Ledger;
  readonly run: RunProcess;
  readonly docker: DockerApi;
  readonly about: AgentAbout;
  /** The file that asks for an update. */
  readonly updateRequest: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Runs commands at most once each. */
export function createExecutor(deps: ExecutorDeps) {
  const { allow, ledger, clock, log } = deps;
  const stopping = new AbortController();
  /** By id: a repetition joins the first. */
  const running = new Map<string, Promise<ResultPayload>>();
  /** By target: the last in each line. */
  const lines = new Map<string, Promise<unknown>>();

  function run(command: IncomingCommand): Promise<ResultPayload> {
    if (typeof command.id !== "string" || !isUuid(command.id)) return Promise.resolve(refuseNameless(command));
    const id = command.id.toLowerCase();
    const first = running.get(id);
    if (first) return first;
    const work = handle(command).finally(() => running.delete(id));
    running.set(id, work);
    return work;
  }

  async function handle(command: IncomingCommand): Promise<ResultPayload> {
    const known = ledger.find(command.id);
    if (known) return known;
    const result = resultOf(command.id, await attempt(command));
    await ledger.finish(result);
    log.info({ command: command.id, status: result.status, exit_code: result.exit_code }, "a command is over");
    return result;
  }

  async function attempt(command: IncomingCommand): Promise<Outcome> {
    const check = checkCommand(command, allow);
    if ("refusal" in check) return rejected(check.refusal);
    if (running.size >= COMMANDS_MAX) return rejected(`this host has ${COMMANDS_MAX} commands waiting already`);
    return inLine(lineOf(check.checked), () => begin(command, check.checked));
  }

  async function inLine(line: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const turn = (lines.get(line) ?? Promise.resolve()).then(work, work);
    lines.set(line, turn);
    try {
      return await turn;
    } finally {
      if (lines.get(line) === turn) lines.delete(line);
    }
  }

  async function begin({ id, ttl_s, receivedMs }: IncomingCommand, checked: CheckedCommand): Promise<Outcome> {
    if (stopping.signal.aborted) return rejected("the agent was stopping");
    const isExpired = clock.monotonicMs() - receivedMs > ttl_s * 1000;
    if (isExpired) return rejected(`expired: it could not be started within its ttl_s of ${ttl_s} s`);
    try {
      await ledger.begin(id);
    } catch (error) {
      return rejected(`not run: it cannot be noted on this host's disk first (${errorMessage(error)})`);
    }
    log.info({ command: id, name: checked.command, target: commandTarget(checked.params) }, "a command begins");
    const startedMs = clock.monotonicMs();
    const outcome = await runSafely(checked);
    return { ...outcome, duration_ms: Math.round(clock.monotonicMs() - startedMs) };
  }

  async function runSafely(checked: CheckedCommand): Promise<Outcome> {
    const { run, docker, about, updateRequest } = deps;
    const tools = { run, docker, about, updateRequest, now: clock.now, signal: stopping.signal };
    try {
      return await runCommand(checked, allow, tools);
    } catch (error) {
      if (!(error instanceof MissingProgramError)) log.error({ error, name: checked.command }, "a command broke");
      return failed(errorMessage(error));
    }
  }

  function resultOf(id: string, outcome: Outcome): ResultPayload {
    const { output, error, ...rest } = outcome;
    return {
      command_id: id,
      duration_ms: 0,
      ...rest,
      ...(output === undefined ? {} : { output: cleanText(output) }),
      ...(error === undefined ? {} : { error: cleanText(error) }),
      finished_at: clock.now() / 1000,
    };
  }

  function refuseNameless({ id }: IncomingCommand): ResultPayload {
    return resultOf(String(id).slice(0, ID_CHARS_MAX), rejected("id: expected a UUID"));
  }

  return {
    /** What is allowed here, as `command:pattern`, for the heartbeat. */
    allow: allow.map(allowText),
    /** Resolves with the result to send; a known id gets its stored result again. Never rejects. */
    run,
    /** Results that were stored but whose frame was never acknowledged (a restart lay between), and `interrupted` for what had begun. */
    unfinished: async () => ledger.unsettled(),
    /** The server acknowledged the result. */
    settled: ledger.settle,
    async stop(): Promise<void> {
      stopping.abort();
      await endsWithin(clock, STOP_LIMIT_MS, Promise.allSettled(running.values()));
    },
  };
}

export type Executor = ReturnType<typeof createExecutor>;

/** One thing at a time is done to a unit or a container, by whichever name; a host's own commands hinder only themselves. */
function lineOf({ command, params }: CheckedCommand): string {
  const target = commandTarget(params);
  if (target === "") return command;
  return isUnitCommand(command) ? `unit ${unitName(target)}` : `container ${target}`;
}

const QUOTED_CHARS_MAX = 60;

/**
 * The command as it may be run, or why not. All is checked here again, whatever the server has checked: this host does what
 * its own list allows, and nothing that is quoted back is longer than a line.
 */
export function checkCommand(
  { command, params, ttl_s }: Pick<IncomingCommand, "command" | "params" | "ttl_s">,
  allow: readonly AllowEntry[],
): { checked: CheckedCommand } | { refusal: string } {
  if (typeof command !== "string" || !isCommandName(command)) {
    const quoted = JSON.stringify(String(command).slice(0, QUOTED_CHARS_MAX));
    return { refusal: `command: ${quoted} is no command of this agent` };
  }
  if (!(Number.isFinite(ttl_s) && ttl_s > 0)) return { refusal: "ttl_s: expected a number of seconds above 0" };
  const schema = COMMANDS[command];
  const fault = Value.Errors(schema, params).First();
  if (fault) {
    const { description } = fault.schema;
    const expectation = description === undefined ? fault.message : `expected ${description}`;
    const field = `params${fault.path.replaceAll("/", ".")}`.slice(0, QUOTED_CHARS_MAX);
    return { refusal: `${field}: ${expectation}` };
  }
  if (!mayRun(allow, command, params)) return { refusal: refusalOf(command, commandTarget(params)) };
  return { checked: { command, params } as CheckedCommand };
}

function refusalOf(command: string, target: string): string {
  const entry = target === "" ? command : `${command}:${target.replace(/\.service$/, "")}`;
  return `${entry} is not allowed on this host; add ${entry} to OPSPILOT_ALLOW in ${PATHS.settings}, then run \`opspilot agent install\` there again`;
}

/** A command of the vocabulary with parameters that were checked. */
type CheckedCommand = { [C in CommandName]: { command: C; params: CommandParams<C> } }[CommandName];

/** Runs what was checked and allowed. A surprise is an exception. */
async function runCommand(
  checked: CheckedCommand,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  switch (checked.command) {
    case "restart_service":
      return changeService("restart", checked.params.service, tools);
    case "start_service":
      return changeService("start", checked.params.service, tools);
    case "stop_service":
      return changeService("stop", checked.params.service, tools);
    case "service_status":
      return serviceStatus(checked.params.service, tools);
    case "get_logs":
      return serviceLogs(checked.params, tools);
    case "list_units":
      return listUnits(checked.params, tools);
    case "restart_container":
      return restartContainer(checked.params.container, allow, tools);
    case "container_logs":
      return containerLogs(checked.params, allow, tools);
    case "container_inspect":
      return inspectContainer(checked.params.container, allow, tools);
    case "host_report":
      return hostReport(tools);
    case "agent_facts":
      return agentFacts(allow, tools);
    case "ping":
      return done("pong");
    case "update_agent":
      return requestUpdate(tools);
  }
}
