import { keepHead } from "../../protocol/text.ts";
import type { KnownContainer } from "./docker-known.ts";
import type { ContainerState } from "./docker-state.ts";
import type { Failure } from "./episodes.ts";

/** What is wrong with a container. `what` ends the sentence "container web (nginx) …". */
export interface ContainerFault extends Pick<Failure, "severity" | "exitCode" | "times"> {
  readonly kind: "died" | "unhealthy" | "not started";
  readonly what: string;
  /** It stays so until it runs again, whatever its exit code. */
  readonly takenDownWith?: "engine" | "machine";
}

/** What is known beside the container's own state. */
export interface Circumstances {
  readonly known: KnownContainer | undefined;
  /** Unix milliseconds up to which all was heard; undefined when nobody has listened here before. */
  readonly sinceMs: number | undefined;
  /** The engine itself has ended meanwhile. */
  readonly wasEngineAway: boolean;
  /** The machine has: nothing that ran is left then. */
  readonly wasMachineAway: boolean;
  /** Containers outlive their engine. */
  readonly isLiveRestore: boolean;
  /** Undefined where the engine does not know. */
  readonly wasEndedByPerson: boolean | undefined;
  readonly isPodman: boolean;
}

const OUTPUT_BYTES_MAX = 500;
/** By SIGINT, SIGKILL and SIGTERM: how a container ends that somebody stops, and one that is killed. */
const KILLED = [130, 137, 143];
/** After a start of the machine Podman 4 takes some that ran for new. */
const ENDED = ["exited", "stopped", "created"];

/** True for an exit code that may come of a stop as well as of a killing. */
export function isKilledCode(exitCode: number): boolean {
  return KILLED.includes(exitCode);
}

/** With the beginning of what the check printed. */
export function unhealthyText(output: string): string {
  return `is unhealthy${output === "" ? "" : `: ${keepHead(output, OUTPUT_BYTES_MAX)}`}`;
}

/** The same whether its event was heard or its state was found: repetitions are known by their text. */
export function endText(exitCode: number, isOutOfMemory: boolean): string {
  return `${isOutOfMemory ? "was killed for lack of memory (OOMKilled)" : "died"} with exit code ${exitCode}`;
}

/** With the engine's reason, where it keeps one. */
export function startText(error: string): string {
  return `could not be started${error === "" ? "" : `: ${keepHead(error, OUTPUT_BYTES_MAX)}`}`;
}

/** Its engine has started it again as often as its owner allows. */
export function hasGivenUp({ restarts, restartsMax }: ContainerState): boolean {
  return restartsMax > 0 && restarts >= restartsMax;
}

/** What a container's state means whose events nobody heard; undefined for nothing, or nothing new. */
export function faultOf(state: ContainerState, circumstances: Circumstances): ContainerFault | undefined {
  if (hasEndedWithMachine(state, circumstances)) return takenDownFault(state, "machine");
  switch (state.status) {
    case "running":
      return faultOfRunning(state, circumstances);
    case "restarting":
      return died(state, `${endText(state.exitCode, false)}, and is started again`);
    case "created":
      return isNews(state.createdAtMs, circumstances) ? notStarted(state) : undefined;
    case "dead":
      return died(state, endText(state.exitCode, state.isOutOfMemory));
    case "exited":
    case "stopped":
      return faultOfEnded(state, circumstances);
    default:
      return undefined;
  }
}

/** It ran when the machine ended, and does not since. */
function hasEndedWithMachine({ status }: ContainerState, { known, wasMachineAway }: Circumstances): boolean {
  const ran = known?.state === "running" || known?.state === "taken down";
  return wasMachineAway && ran && ENDED.includes(status);
}

function faultOfRunning(state: ContainerState, { known }: Circumstances): ContainerFault | undefined {
  if (state.health === "unhealthy")
    return { kind: "unhealthy", what: unhealthyText(state.healthOutput), severity: "warning" };
  const times = known === undefined ? 0 : state.restarts - known.restarts;
  if (times <= 0 || known?.startedAt === state.startedAt) return undefined;
  return { kind: "died", what: "died while nobody listened, and was started again", severity: "critical", times };
}

function faultOfEnded(state: ContainerState, circumstances: Circumstances): ContainerFault | undefined {
  const { known, isLiveRestore } = circumstances;
  const { exitCode, isOutOfMemory, error } = state;
  const wasTakenDown = known?.state === "taken down";
  if (!wasTakenDown && !isUnheardEnd(state, circumstances)) return undefined;
  if (error !== "") return notStarted(state);
  if (exitCode !== 0 && isOutOfMemory) return died(state, endText(exitCode, true));
  const mayBeTakenDown = wasTakenDown || (circumstances.wasEngineAway && known?.state === "running" && !isLiveRestore);
  if (mayBeTakenDown && (exitCode === 0 || isKilledCode(exitCode))) return takenDownFault(state, "engine");
  if (exitCode === 0 || wasWanted(state, circumstances)) return undefined;
  return died(state, endText(exitCode, false));
}

/** Its end is none of those that were heard. */
function isUnheardEnd(state: ContainerState, circumstances: Circumstances): boolean {
  const { known } = circumstances;
  if (known === undefined) return isNews(state.finishedAtMs, circumstances);
  return known.state === "running" || (known.startedAt !== "" && known.startedAt !== state.startedAt);
}

function isNews(atMs: number, { sinceMs }: Circumstances): boolean {
  return sinceMs !== undefined && atMs > sinceMs;
}

/** Its engine, or the machine, has ended it, and has not started it again. Podman does not know then how it ended. */
export function takenDownFault(state: ContainerState, takenDownWith: "engine" | "machine"): ContainerFault {
  if (takenDownWith === "engine")
    return {
      ...died(state, `ended with its engine (exit code ${state.exitCode}), and was not started again`),
      takenDownWith,
    };
  const what = "ended with the machine, and was not started again";
  return { kind: "died", what, severity: "critical", takenDownWith };
}

/** An engine starts again what ended by itself, if that is its owner's wish, and leaves alone what somebody stopped. */
function wasWanted(state: ContainerState, { wasEndedByPerson, isPodman }: Circumstances): boolean {
  const { exitCode } = state;
  if (wasEndedByPerson !== undefined) return wasEndedByPerson;
  if (!isKilledCode(exitCode) || hasGivenUp(state)) return false;
  return isPodman || state.restartsMax > 0;
}

function notStarted({ exitCode, error }: ContainerState): ContainerFault | undefined {
  if (error === "") return undefined;
  return { kind: "not started", what: startText(error), severity: "critical", exitCode };
}

function died({ exitCode }: ContainerState, what: string): ContainerFault {
  return { kind: "died", what, severity: "critical", exitCode };
}
