/**
 * What becomes of a decision, found without a database: facts in, outcome out. Of a restart, in this order:
 *
 *   an alert of the same problem that occurred after it was carried out    → failed again
 *   the agent's recovery report since the command was sent                 → verified
 *   the unit's own state, asked for 5, 15 and 60 s after                   → verified at the last, if it is active
 *   nothing by then                                                        → no word from the host, which resolves nothing
 *
 * A recovery may be reported before the command has returned, and counts.
 */
import type { Command } from "../commands/model.ts";
import { fieldsOf, jsonOf } from "../lib/json.ts";
import { requestOf } from "../protocol/actions.ts";
import { LOG_LINES } from "../protocol/commands.ts";
import type { Press } from "./model.ts";
import type { Outcome, PressedIncident, Watched } from "./store.ts";

/** When the host is asked, seconds after it was carried out; the last decides. */
const CHECKS_S = [5, 15, 60] as const;
const LAST_CHECK_S = 60;
/** A number larger than this is a moment, Unix seconds; below, a duration. */
const MOMENT_S_MIN = 1_000_000_000;

const IGNORED = {
  until_resolved: "until it is resolved",
  "1h": "for an hour",
  until_worse: "until it gets worse",
  for_good: "for good",
} as const;

/** A unit's state as its host tells it. */
export interface UnitState {
  activeState: string;
  subState: string;
  /** For how long it has been in that state, where the host says so. */
  forS: number | null;
}

/** What the person is told at once. */
export function promiseOf({ action, variant }: Press, { source, host }: PressedIncident): string {
  switch (action) {
    case "restart":
      return `Restarting ${source} on ${host}; what comes of it is shown in the message.`;
    case "logs":
      return `Fetching the last ${LOG_LINES} lines of ${source} on ${host}.`;
    case "ignore":
      return `Ignored ${IGNORED[variant ?? "until_resolved"]}.`;
    case "acknowledge":
      return "Acknowledged.";
    case "resolve":
      return "Resolved.";
  }
}

/** How a decision that needs no host stands in the message. */
export function doneInWords({ action, variant, actorName }: Watched): string {
  switch (action) {
    case "ignore":
      return `ignored ${IGNORED[variant ?? "until_resolved"]} by ${actorName}`;
    case "acknowledge":
      return `acknowledged by ${actorName}`;
    default:
      return `resolved by ${actorName}`;
  }
}

/** What did not happen. */
export function notDone({ action }: Pick<Watched, "action">): string {
  return action === "restart" ? "not restarted" : "no logs";
}

/** The end of a decision. */
export function ended(state: Outcome["state"], words: string): Outcome {
  return { state, words, ends: true };
}

/** Whether the command's answer is there, and nobody has said so yet. */
export function isAnswered({ state, ended, command }: Watched): boolean {
  if (command === null || command.status === "pending" || command.status === "sent") return false;
  if (state === "no_answer") return command.isLate;
  return !ended && (state === "requested" || state === "sent") && command.isSent;
}

/** By the command's answer. */
export function outcomeByAnswer(decision: Watched): Outcome {
  const { command, actorName, action } = decision;
  const error = firstLine(command?.error ?? null);
  if (command?.isLate) return outcomeByLateAnswer(decision);
  switch (command?.status) {
    case "done":
      if (action === "logs") return ended("done", `logs fetched for ${actorName}`);
      return {
        state: "verifying",
        words: `restarted by ${actorName}, waiting for a sign that it works`,
        ends: false,
        isCarriedOut: true,
        dueS: CHECKS_S[0],
      };
    case "rejected":
      return ended("refused", `the agent refused: ${error ?? `${targetOf(decision)} is not allowed there`}`);
    case "expired":
      return ended("no_answer", `no answer from the host: it is not known whether ${happened(decision)}`);
    default:
      return ended("failed", `${notDone(decision)}: ${error ?? exitOf(decision)}`);
  }
}

/** Too late to say anything about what it cured. */
function outcomeByLateAnswer(decision: Watched): Outcome {
  const { command, actorName, action, ageS } = decision;
  const after = `the host answered only after ${inSeconds(ageS)}`;
  if (command?.error || (command?.exitCode ?? 0) !== 0) {
    return ended("failed", `${notDone(decision)}: ${firstLine(command?.error ?? null) ?? exitOf(decision)} (${after})`);
  }
  const what = action === "restart" ? `restarted by ${actorName}` : `logs fetched for ${actorName}`;
  return ended("done", `${what}; ${after}`);
}

/** By alerts since a restart; undefined while they say nothing. */
export function outcomeByAlerts(decision: Watched): Outcome | undefined {
  const { state, failedAfterS, recoveredAfterS, actorName } = decision;
  if (state !== "verifying") return undefined;
  if (failedAfterS !== null) return ended("failed_again", `restarted, failed again after ${inSeconds(failedAfterS)}`);
  if (recoveredAfterS === null) return undefined;
  const words = `restarted by ${actorName}, active again after ${inSeconds(recoveredAfterS)}`;
  return ended("verified", seenActive(decision) ?? words);
}

/** What the first check that found it active has said: the agent reports a recovery only once it has lasted. */
function seenActive({ outcome }: Watched): string | undefined {
  return outcome?.includes("active again") ? outcome : undefined;
}

/** By a look at the host; `unit` is undefined where the host said nothing. */
export function outcomeByCheck(decision: Watched, unit: UnitState | undefined): Outcome {
  const elapsedS = decision.elapsedS ?? 0;
  const isLast = elapsedS >= LAST_CHECK_S;
  if (unit === undefined) {
    return isLast
      ? ended("no_word", `no word from the host within ${LAST_CHECK_S} s`)
      : again(decision, decision.outcome);
  }
  const after = inSeconds(elapsedS);
  const shown = `${unit.activeState}/${unit.subState}`;
  if (isActive(unit)) return outcomeOfActive(decision, unit, isLast);
  if (isStarting(unit) && !isLast)
    return again(decision, `restarted by ${decision.actorName}, still starting (${shown})`);
  if (isStarting(unit)) return ended("failed_again", `restarted, not active after ${after} (${shown})`);
  return ended("failed_again", `restarted, failed again after ${after} (${shown})`);
}

/** The first check that found it active says after how long; the last believes it. */
function outcomeOfActive(decision: Watched, { forS }: UnitState, isLast: boolean): Outcome {
  const sinceSentS = decision.command?.sentAgoS ?? decision.elapsedS ?? 0;
  const words = `restarted by ${decision.actorName}, active again after ${inSeconds(sinceSentS - (forS ?? 0))}`;
  const said = seenActive(decision) ?? words;
  return isLast ? ended("verified", said) : again(decision, said);
}

const isActive = ({ activeState }: UnitState) => activeState === "active" || activeState === "reloading";
const isStarting = ({ activeState, subState }: UnitState) =>
  activeState === "activating" && subState !== "auto-restart";

function again(decision: Watched, words: string | null): Outcome {
  const elapsedS = decision.elapsedS ?? 0;
  const dueS = CHECKS_S.find((check) => check > elapsedS + 1) ?? LAST_CHECK_S;
  return { state: "verifying", words, ends: false, checks: decision.checks + 1, dueS };
}

function exitOf({ command }: Watched): string {
  return typeof command?.exitCode === "number" ? `exit status ${command.exitCode}` : "the host says no more";
}

function targetOf({ action, type, source }: Watched): string {
  return `${requestOf(action, { type, source })?.command ?? action}:${source}`;
}

const happened = ({ action }: Watched) => (action === "restart" ? "it restarted" : "there are any logs");

/** A duration as people say it; never less than a second. */
function inSeconds(seconds: number): string {
  return `${Math.max(1, Math.round(seconds))} s`;
}

/** The first line of what a host says, short enough for a message. */
function firstLine(text: string | null): string | undefined {
  const line = text?.trim().split("\n")[0]?.slice(0, 300);
  return line === "" ? undefined : line;
}

/**
 * What service_status printed: {active_state, sub_state, active_since_s, restarts}; undefined when it is nothing like that.
 * `active_since_s` is a duration, or a moment by the host's own clock, which is compared with nothing but that.
 */
export function unitStateOf({ status, output, finished_at }: Command): UnitState | undefined {
  if (status !== "done" || output === null) return undefined;
  const read = fieldsOf(jsonOf(output));
  const activeState = read.active_state;
  if (typeof activeState !== "string") return undefined;
  const subState = typeof read.sub_state === "string" ? read.sub_state : "unknown";
  const words = { activeState: activeState.slice(0, 40), subState: subState.slice(0, 40) };
  return { ...words, forS: durationOf(read.active_since_s, finished_at) };
}

function durationOf(since: unknown, finishedAt: Date | null): number | null {
  if (typeof since !== "number" || !Number.isFinite(since) || since < 0) return null;
  if (since < MOMENT_S_MIN) return since;
  return finishedAt === null ? null : Math.max(0, finishedAt.getTime() / 1000 - since);
}
