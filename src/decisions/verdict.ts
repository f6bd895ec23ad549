/**
 * What becomes of a decision, decided without a database: facts in, change out. In this order:
 *
 *   an alert of the same problem that occurred after it was carried out    → failed again
 *   the agent's recovery report since the command was sent                 → verified
 *   the unit's own state, asked for 5, 15 and 60 s after                   → verified at the last, if it is active
 *   nothing by then                                                        → no word from the host, which resolves nothing
 *
 * A recovery may be reported before the command has returned, and counts.
 */
import { requestOf } from "../protocol/actions.ts";
import type { Change, Watched } from "./store.ts";
import { firstLine, inSeconds, notDone } from "./words.ts";

/** When the host is asked, seconds after it was carried out; the last decides. */
export const CHECKS_S = [5, 15, 60] as const;
const LAST_CHECK_S = 60;

/** A unit's state as its host tells it. */
export interface UnitState {
  activeState: string;
  subState: string;
  /** For how long it has been in that state, where the host says so. */
  forS: number | null;
}

/** Whether the command's answer is there, and nobody has said so yet. */
export function isAnswered({ state, ended, command }: Watched): boolean {
  if (command === null || command.status === "pending" || command.status === "sent") return false;
  if (state === "no_answer") return command.isLate;
  return !ended && (state === "requested" || state === "sent") && command.isSent;
}

/** What the command's answer makes of it. */
export function answerOf(decision: Watched): Change {
  const { command, actorName, action } = decision;
  const error = firstLine(command?.error ?? null);
  if (command?.isLate) return lateAnswerOf(decision);
  switch (command?.status) {
    case "done":
      if (action === "logs") return ended("done", `logs fetched for ${actorName}`);
      return {
        state: "verifying",
        outcome: `restarted by ${actorName}, waiting for a sign that it works`,
        ends: false,
        isCarriedOut: true,
        checks: 0,
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
function lateAnswerOf(decision: Watched): Change {
  const { command, actorName, action, ageS } = decision;
  const after = `the host answered only after ${inSeconds(ageS)}`;
  if (command?.error || (command?.exitCode ?? 0) !== 0) {
    return ended("failed", `${notDone(decision)}: ${firstLine(command?.error ?? null) ?? exitOf(decision)} (${after})`);
  }
  const what = action === "restart" ? `restarted by ${actorName}` : `logs fetched for ${actorName}`;
  return ended("done", `${what}; ${after}`);
}

/** What alerts make of a restart; undefined while they say nothing. */
export function verdictOf(decision: Watched): Change | undefined {
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

/** What a check makes of it; `unit` is undefined where the host said nothing. */
export function checkedOf(decision: Watched, unit: UnitState | undefined): Change {
  const elapsedS = decision.elapsedS ?? 0;
  const isLast = elapsedS >= LAST_CHECK_S;
  if (unit === undefined) {
    return isLast
      ? ended("no_word", `no word from the host within ${LAST_CHECK_S} s`)
      : again(decision, decision.outcome);
  }
  const after = inSeconds(elapsedS);
  const shown = `${unit.activeState}/${unit.subState}`;
  if (isActive(unit)) return activeOf(decision, unit, isLast);
  if (isStarting(unit) && !isLast)
    return again(decision, `restarted by ${decision.actorName}, still starting (${shown})`);
  if (isStarting(unit)) return ended("failed_again", `restarted, not active after ${after} (${shown})`);
  return ended("failed_again", `restarted, failed again after ${after} (${shown})`);
}

/** The first check that found it active says after how long; the last believes it. */
function activeOf(decision: Watched, { forS }: UnitState, isLast: boolean): Change {
  const sinceSentS = decision.command?.sentAgoS ?? decision.elapsedS ?? 0;
  const words = `restarted by ${decision.actorName}, active again after ${inSeconds(sinceSentS - (forS ?? 0))}`;
  const outcome = seenActive(decision) ?? words;
  return isLast ? ended("verified", outcome) : again(decision, outcome);
}

const isActive = ({ activeState }: UnitState) => activeState === "active" || activeState === "reloading";
const isStarting = ({ activeState, subState }: UnitState) =>
  activeState === "activating" && subState !== "auto-restart";

function again(decision: Watched, outcome: string | null): Change {
  const elapsedS = decision.elapsedS ?? 0;
  const dueS = CHECKS_S.find((check) => check > elapsedS + 1) ?? LAST_CHECK_S;
  return { state: "verifying", outcome, ends: false, checks: decision.checks + 1, dueS };
}

/** The end of a decision. */
export function ended(state: Change["state"], outcome: string): Change {
  return { state, outcome, ends: true };
}

function exitOf({ command }: Watched): string {
  return typeof command?.exitCode === "number" ? `exit status ${command.exitCode}` : "the host says no more";
}

function targetOf({ action, type, source }: Watched): string {
  return `${requestOf(action, { type, source })?.command ?? action}:${source}`;
}

const happened = ({ action }: Watched) => (action === "restart" ? "it restarted" : "there are any logs");
