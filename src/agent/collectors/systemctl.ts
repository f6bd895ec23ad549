import { OpsPilotError } from "../../lib/errors.ts";
import type { RunProcess } from "../run-process.ts";
import { parseProperties } from "../service-commands.ts";
import type { Verdict } from "./steady.ts";
import { exitCodeOf, isToldAsUnit } from "./systemd-events.ts";

/** systemd does not answer: it does not run here, or does not speak to this user. */
export class SystemdError extends OpsPilotError<"systemd_absent"> {
  constructor(said: string) {
    super("systemd_absent", said);
  }
}

/** A unit's properties by name. */
export type UnitProperties = Readonly<Record<string, string>>;

const LIMIT_MS = 10_000;
/** Names of one command line, which the system bounds. */
const UNITS_AT_ONCE = 200;
/** Several hundred bytes a unit. A cut in the midst would give units the properties of others. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const PROPERTIES = [
  "Id",
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "ExecMainCode",
  "ExecMainStatus",
  "NRestarts",
  "InvocationID",
  "StateChangeTimestampMonotonic",
  "Triggers",
];

/** The names of all units that have failed. */
export async function listFailed(run: RunProcess): Promise<string[]> {
  const words = ["systemctl", "--no-pager", "--no-legend", "--plain", "--full", "--failed", "list-units"];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS, outputBytesMax: OUTPUT_BYTES_MAX });
  if (exitCode !== 0) throw new SystemdError(stderr.trim().split("\n")[0] || `systemctl ended with ${exitCode}`);
  const names = stdout.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "");
  // Before version 246 each line begins with a dot, in spite of --plain on some.
  return names.filter((name) => name.includes(".") && isToldAsUnit(name));
}

/** How these units are, by name; those that systemd does not know are `not-found`. */
export async function showUnits(units: readonly string[], run: RunProcess): Promise<Map<string, UnitProperties>> {
  const shown = new Map<string, UnitProperties>();
  for (let from = 0; from < units.length; from += UNITS_AT_ONCE) {
    const some = units.slice(from, from + UNITS_AT_ONCE);
    const blocks = await showSome(some, run);
    // In order of the names: an alias has another Id.
    for (const [at, unit] of some.entries()) if (blocks[at]) shown.set(unit, blocks[at]);
  }
  return shown;
}

async function showSome(units: readonly string[], run: RunProcess): Promise<UnitProperties[]> {
  const words = ["systemctl", "show", "--no-pager", `--property=${PROPERTIES.join(",")}`, "--", ...units];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS, outputBytesMax: OUTPUT_BYTES_MAX });
  if (exitCode !== 0) throw new SystemdError(stderr.trim().split("\n")[0] || `systemctl ended with ${exitCode}`);
  return stdout
    .trim()
    .split(/\n\s*\n/)
    .map(parseProperties);
}

/** Whether a unit that was broken is well again. What waits for its next automatic restart is not. */
export function verdictOf(unit: UnitProperties | undefined): Verdict {
  if (!unit) return { state: "broken" };
  const identity = [unit.ActiveState, unit.InvocationID, unit.NRestarts, unit.StateChangeTimestampMonotonic].join(" ");
  if (unit.LoadState === "not-found" && unit.ActiveState !== "failed")
    return { state: "well", identity, how: "is no longer there" };
  switch (unit.ActiveState) {
    case "active":
    case "reloading":
    case "refreshing":
      return { state: "well", identity, how: "is active again" };
    case "inactive":
      if (unit.SubState?.includes("auto-restart")) return { state: "broken" };
      return { state: "well", identity, how: unit.Result === "success" ? "ended well, or was stopped" : "was stopped" };
    default:
      return { state: "broken" };
  }
}

/** Numbers of CLD_EXITED, CLD_KILLED and CLD_DUMPED, as `systemctl show` prints them. */
const CODES: Readonly<Record<string, string>> = { "1": "exited", "2": "killed", "3": "dumped" };

/** How a unit that has failed is described, without the journal's help. */
export function failureOf(unit: UnitProperties): { what: string; exitCode: number | undefined } {
  const code = CODES[unit.ExecMainCode ?? ""];
  const exitCode = exitCodeOf(code, unit.ExecMainStatus);
  const process = code === undefined ? "" : `main process exited, code=${code}, status=${unit.ExecMainStatus}; `;
  return { what: `${unit.Id} has failed: ${process}result '${unit.Result}'`, exitCode };
}
