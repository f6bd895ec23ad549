import { stripControls } from "../lib/controls.ts";
import type { CommandParams } from "../protocol/command-schemas.ts";
import { matchesUnit } from "../protocol/commands.ts";
import { type CommandTools, done, type Outcome } from "./command-model.ts";
import { outcomeOf } from "./service-commands.ts";

const LIMIT_MS = 20_000;
/** What systemctl may say of a host with thousands of units. */
const READ_BYTES_MAX = 2 * 2 ** 20;
const UNITS_MAX = 300;
/** What people and programs run; devices, slices and scopes are asked for by a pattern. */
const KINDS = "--type=service,socket,timer,mount,swap,path";

/** The host's units, one a line: name, load state, active state, sub state, description. Failed ones stand first. */
export async function listUnits(params: CommandParams<"list_units">, tools: CommandTools): Promise<Outcome> {
  const { failed = false, pattern } = params;
  const shape = ["--no-pager", "--no-legend", "--plain", "--full"];
  const which = [failed ? "--failed" : "--all", ...(pattern === undefined ? [KINDS] : [])];
  const words = ["systemctl", ...shape, ...which, "list-units"];
  const finished = await tools.run(words, {
    limitMs: LIMIT_MS,
    signal: tools.signal,
    outputBytesMax: READ_BYTES_MAX,
  });
  const outcome = outcomeOf(finished, "systemctl list-units", LIMIT_MS);
  if (outcome.status !== "done") return outcome;
  const units = stripControls(finished.stdout).split("\n").map(oneSpaced).filter(isUnit);
  return done(shown(units.filter((line) => pattern === undefined || matchesUnit(pattern, nameIn(line)))));
}

function shown(units: readonly string[]): string {
  if (units.length === 0) return "none";
  const inOrder = units.toSorted((one, other) => Number(isFailed(other)) - Number(isFailed(one)));
  const more = units.length > UNITS_MAX ? [`[... ${units.length - UNITS_MAX} units left out ...]`] : [];
  return [...inOrder.slice(0, UNITS_MAX), ...more].join("\n");
}

const oneSpaced = (line: string) => line.trim().replaceAll(/\s+/g, " ");
const isUnit = (line: string) => /^\S+ \S+ \S+ \S+/.test(line);
const nameIn = (line: string) => line.split(" ", 1)[0] ?? "";
const isFailed = (line: string) => line.split(" ", 3)[2] === "failed";
