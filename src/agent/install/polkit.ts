import { type AllowEntry, type CommandName, isAllowed, unitName } from "../../protocol/commands.ts";
import { type Finished, MissingProgramError, type RunProcess } from "../run-process.ts";
import { parseProperties } from "../service-commands.ts";
import { PATHS } from "./unit.ts";

const LIMIT_MS = 20_000;
const WILDCARDS = /[*?]/;

/**
 * The rights that the allow-list needs, for each unit by itself, and what a person should know about them: a pattern stands for those that are on this host now, an alias
 * for the unit behind it as well, since that is the name systemd asks polkit about. Without `run` (in another root) names are
 * taken as they are written.
 */
export async function unitRights(allow: readonly AllowEntry[], run: RunProcess | undefined) {
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

/** What systemd and polkit call what a command does to a unit. */
const VERBS: Partial<Record<CommandName, string>> = {
  restart_service: "restart",
  start_service: "start",
  stop_service: "stop",
};

/** One thing that the agent's user may do to one unit. */
export interface UnitRight {
  readonly verb: string;
  readonly unit: string;
}

/** The verb that an entry needs a right for; undefined where it needs none. */
export function verbOf({ command }: AllowEntry): string | undefined {
  return VERBS[command];
}

/**
 * A rule that lets the agent's user do these things, each named, and nothing else: systemd asks polkit with the verb and the
 * unit's own name. In the JavaScript of old engines, as polkit has it.
 */
export function polkitRule(user: string, rights: readonly UnitRight[]): string {
  const names = [...new Set(rights.map(({ verb, unit }) => `${verb} ${unit}`))].sort();
  return `// Written by \`opspilot agent install\` from OPSPILOT_ALLOW in ${PATHS.settings}, which writes it anew.
polkit.addRule(function (action, subject) {
  var allowed = [
${names
  .map((name) => `    ${JSON.stringify(name)},`)
  .join("\n")
  .replace(/,$/, "")}
  ];
  if (action.id !== "org.freedesktop.systemd1.manage-units" || subject.user !== ${JSON.stringify(user)}) {
    return polkit.Result.NOT_HANDLED;
  }
  var asked = action.lookup("verb") + " " + action.lookup("unit");
  return allowed.indexOf(asked) >= 0 ? polkit.Result.YES : polkit.Result.NOT_HANDLED;
});
`;
}

/** What a rule that was written earlier lets the user do. */
export function rightsIn(rule: string): UnitRight[] {
  return [...rule.matchAll(/^ {4}("(?:[^"\\]|\\.)*"),?$/gm)].map(([, text = '""']) => {
    const [verb = "", unit = ""] = String(JSON.parse(text)).split(" ");
    return { verb, unit };
  });
}

const VERSION_LIMIT_MS = 10_000;
/** The first with rules in JavaScript; Debian 11 and Ubuntu 22.04 have an older one. */
const VERSION_MIN = 0.106;

/** What a person should know of the polkit on this host, which must let the agent's user change units. */
export async function polkitNotes(run: RunProcess): Promise<string[]> {
  const version = await polkitVersion(run);
  if (version !== undefined && version >= VERSION_MIN) return [];
  const found = version === undefined ? "polkit is not on this host" : `polkit on this host is of version ${version}`;
  return [
    `${found}: until it is ${VERSION_MIN} or later, systemd refuses the agent what OPSPILOT_ALLOW lets it change`,
  ];
}

/** 0.105, or 122 as newer ones count; undefined when there is none. */
export async function polkitVersion(run: RunProcess): Promise<number | undefined> {
  try {
    const { stdout } = await run(["pkaction", "--version"], { limitMs: VERSION_LIMIT_MS });
    const version = Number(/version (\d+(?:\.\d+)?)/.exec(stdout)?.[1]);
    return Number.isNaN(version) ? undefined : version;
  } catch (error) {
    if (error instanceof MissingProgramError) return undefined;
    throw error;
  }
}
