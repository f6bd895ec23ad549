import { type AllowEntry, isAllowed, unitName } from "../../protocol/allow.ts";
import { type Finished, MissingProgramError, type RunProcess } from "../run-process.ts";
import { parseProperties } from "../service-commands.ts";
import { type UnitRight, verbOf } from "./polkit-rule.ts";

const LIMIT_MS = 20_000;
const WILDCARDS = /[*?]/;

/** The rights that the allow-list needs, and what a person should know about them. */
export interface Rights {
  readonly rights: UnitRight[];
  readonly notes: string[];
}

/**
 * The units that the list lets the agent change, one by one: a pattern stands for those that are on this host now, an alias
 * for the unit behind it as well, since that is the name systemd asks polkit about. Without `run` (in another root) names are
 * taken as they are written.
 */
export async function unitRights(allow: readonly AllowEntry[], run: RunProcess | undefined): Promise<Rights> {
  const entries = allow.filter((entry) => verbOf(entry) !== undefined);
  const names = run && entries.some(({ pattern }) => WILDCARDS.test(pattern)) ? await serviceNames(run) : [];
  const rights: UnitRight[] = [];
  const notes: string[] = [];
  for (const entry of entries) {
    const verb = verbOf(entry) ?? "";
    const isPattern = WILDCARDS.test(entry.pattern);
    const units = isPattern
      ? names.filter((name) => isAllowed([entry], entry.command, name))
      : await namesOf(entry, run);
    rights.push(...units.map((unit) => ({ verb, unit })));
    if (isPattern) notes.push(noteOf(entry, units));
  }
  return { rights, notes };
}

function noteOf({ command, pattern }: AllowEntry, units: readonly string[]): string {
  const now = units.length === 0 ? "no service of this host" : `${units.length} services of this host`;
  return `${command}:${pattern} stands for ${now} now; run \`opspilot agent install\` again when there are others`;
}

async function namesOf({ pattern }: AllowEntry, run: RunProcess | undefined): Promise<string[]> {
  const unit = unitName(pattern);
  const shown = run && (await stdoutOf(run, ["systemctl", "show", "--no-pager", "--property=Id", "--", unit]));
  const id = shown && parseProperties(shown).Id;
  return id && id !== unit ? [unit, id] : [unit];
}

async function serviceNames(run: RunProcess): Promise<string[]> {
  const options = ["--no-pager", "--no-legend", "--plain", "--all", "--type=service"];
  const loaded = await stdoutOf(run, ["systemctl", "list-units", ...options]);
  const files = await stdoutOf(run, ["systemctl", "list-unit-files", "--no-pager", "--no-legend", "--type=service"]);
  const names = `${loaded}\n${files}`.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "");
  // A template ("getty@.service") is no unit yet.
  return [...new Set(names)].filter((name) => name.endsWith(".service") && !name.endsWith("@.service")).sort();
}

async function stdoutOf(run: RunProcess, words: readonly string[]): Promise<string> {
  try {
    const finished: Finished = await run(words, { limitMs: LIMIT_MS, outputBytesMax: 4 * 1024 * 1024 });
    return finished.stdout;
  } catch (error) {
    if (error instanceof MissingProgramError) return "";
    throw error;
  }
}
