import { readFileSync } from "node:fs";
import { stripControls } from "../lib/controls.ts";
import type { CommandParams } from "../protocol/command-schemas.ts";
import { unitName } from "../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import { keepEnds, keepHead } from "../protocol/text.ts";
import { type CommandTools, done, failed, type Outcome, rejected } from "./command-model.ts";
import { choiceOf } from "./log-choice.ts";
import type { Finished } from "./run-process.ts";

/** systemd gives a unit 90 s to start by default, but the server waits no longer than this for a result. */
const CHANGE_LIMIT_MS = 60_000;
const LOOK_LIMIT_MS = 20_000;
const ERROR_BYTES_MAX = 2 * 1024;

/** The agent's own unit, as `opspilot agent install` writes it. */
export const AGENT_UNIT = "opspilot-agent.service";

/** Kinds that stand for a state of the whole machine (reboot.target), or for whatever runs in them. */
const UNCHANGEABLE = /\.(target|slice|scope|device)$/;

/** What of a unit is read. */
const PROPERTIES = [
  ...["LoadState", "ActiveState", "SubState", "ActiveEnterTimestampMonotonic", "NRestarts"],
  ...["Result", "ExecMainCode", "ExecMainStatus"],
];
/** As `waitid` has it: how a process ended. */
const EXITED = "1";

/**
 * Starts, stops or restarts a unit. systemctl only asks: the work is process 1's, which goes on with it when this agent is
 * killed half-way, and so it may be the agent's own unit too, if nobody waits for the end of it.
 */
export async function changeService(
  verb: "restart" | "start" | "stop",
  service: string,
  tools: CommandTools,
): Promise<Outcome> {
  const unit = unitName(service);
  const [, kind] = UNCHANGEABLE.exec(unit) ?? [];
  if (kind !== undefined)
    return rejected(`params.service: ${unit} is no service: systemd's ${kind} units are left alone`);
  const isSelf = unit === AGENT_UNIT && verb !== "start";
  const words = ["systemctl", "--no-ask-password", ...(isSelf ? ["--no-block"] : []), verb, "--", unit];
  const finished = await tools.run(words, { limitMs: CHANGE_LIMIT_MS });
  const outcome = outcomeOf(finished, `systemctl ${verb} ${unit}`, CHANGE_LIMIT_MS);
  if (outcome.status !== "done") return { ...outcome, error: explained(outcome.error ?? "", verb, unit) };
  if (isSelf) return done(`${unit}: ${verb} is under way`);
  const { found } = await showUnit(unit, tools);
  const state = found && `${unit}: ${found.ActiveState} (${found.SubState})`;
  const output = [outcome.output?.trimEnd(), state].filter(Boolean).join("\n");
  return { ...outcome, output };
}

/** What the refusals of systemd and polkit leave unsaid. */
function explained(error: string, verb: string, unit: string): string {
  if (/interactive authentication required|access denied|not authorized|permission denied|PolicyKit1/i.test(error)) {
    return `${error} (systemd does not let the agent's user ${verb} ${unit}: \`opspilot agent install\` writes the polkit rule for what OPSPILOT_ALLOW lists)`;
  }
  return error;
}

/**
 * The state of a unit, as JSON: {active_state, sub_state, active_since_s, restarts, result?, exit_code?, signal?}; seconds count from
 * when it became active. The last three tell how a service failed.
 */
export async function serviceStatus(service: string, tools: CommandTools): Promise<Outcome> {
  const unit = unitName(service);
  const { found, outcome } = await showUnit(unit, tools);
  if (!found) return outcome;
  if (found.LoadState === "not-found") return failed(`there is no unit ${unit} on this host`, { exit_code: 4 });
  const uptimeSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return done(JSON.stringify(statusOf(found, uptimeSeconds)));
}

/** What the properties of `systemctl show` mean. Both clocks begin when the machine starts. */
export function statusOf(
  properties: Record<string, string>,
  uptimeSeconds: number,
): Record<string, string | number | null> {
  const activeAtSeconds = Number(properties.ActiveEnterTimestampMonotonic) / 1e6;
  const isActive = ["active", "reloading", "refreshing"].includes(properties.ActiveState ?? "") && activeAtSeconds > 0;
  return {
    active_state: properties.ActiveState ?? "unknown",
    sub_state: properties.SubState ?? "unknown",
    active_since_s: isActive ? Math.max(0, Math.round(uptimeSeconds - activeAtSeconds)) : null,
    // Only services are restarted by systemd.
    restarts: Number(properties.NRestarts) || 0,
    ...failureOf(properties),
  };
}

function failureOf({
  Result: result,
  ExecMainCode: code,
  ExecMainStatus: status,
}: Record<string, string>): Record<string, string | number> {
  if (result === undefined || result === "" || result === "success") return {};
  if (!Number(code)) return { result };
  return code === EXITED ? { result, exit_code: Number(status) } : { result, signal: Number(status) };
}

async function showUnit(
  unit: string,
  tools: CommandTools,
): Promise<{ found?: Record<string, string>; outcome: Outcome }> {
  const words = ["systemctl", "show", "--no-pager", `--property=${PROPERTIES.join(",")}`, "--", unit];
  const finished = await tools.run(words, { limitMs: LOOK_LIMIT_MS, signal: tools.signal });
  const outcome = outcomeOf(finished, `systemctl show ${unit}`, LOOK_LIMIT_MS);
  return outcome.status === "done" ? { found: parseProperties(finished.stdout), outcome } : { outcome };
}

/** Lines of NAME=value. */
export function parseProperties(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** The last lines that a unit has written to the journal: of those that are young and grave enough, what the pattern chooses. */
export async function serviceLogs(params: CommandParams<"get_logs">, tools: CommandTools): Promise<Outcome> {
  const choice = choiceOf(params);
  if ("fault" in choice) return rejected(choice.fault);
  const unit = unitName(params.service);
  // Without --all one odd byte costs the line that has it.
  const shape = ["--no-pager", "--output=short-iso", "--all", `--lines=${choice.readLines}`];
  const since = params.since_s === undefined ? [] : [`--since=-${params.since_s}s`];
  const priority = params.priority === undefined ? [] : [`--priority=${params.priority}`];
  const words = ["journalctl", ...shape, ...since, ...priority, `--unit=${unit}`];
  const limits = { limitMs: LOOK_LIMIT_MS, signal: tools.signal, outputBytesMax: choice.readBytes };
  const finished = await tools.run(words, limits);
  const stdout = choice.choose(stripControls(finished.stdout));
  return outcomeOf({ ...finished, stdout }, `journalctl for ${unit}`, LOOK_LIMIT_MS);
}

/** What a program's end means. The error is what it said itself, where it said something. */
export function outcomeOf(finished: Finished, what: string, limitMs: number): Outcome {
  const { exitCode, stdout, stderr, ended } = finished;
  const separator = stdout !== "" && !stdout.endsWith("\n") && stderr !== "" ? "\n" : "";
  const output = keepEnds(stdout + separator + stderr, OUTPUT_BYTES_MAX);
  if (ended === "time limit")
    return failed(`${what} did not end within ${limitMs / 1000} s, and was given up`, { output });
  if (ended === "aborted") return failed(`${what} was given up: the agent is stopping`, { output });
  if (exitCode === 0) return { status: "done", exit_code: 0, output };
  const said = keepHead(stderr.trim(), ERROR_BYTES_MAX);
  return failed(said || `${what} ended with exit status ${exitCode}`, { exit_code: exitCode, output });
}
