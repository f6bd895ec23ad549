import { matchesGlob } from "../lib/glob.ts";

/** Names of units and containers: no leading dash, nothing a shell would read, so that they can follow `--` as they are. */
export const TARGET_NAME = /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,254}$/;

type CommandField = "service" | "container" | "lines" | "since_s" | "priority" | "pattern" | "failed";

/**
 * The closed vocabulary: what a server may ask of an agent, and nothing else, with what each command takes. Their schemas stand in
 * command-schemas.ts: the page knows the words, and does without the library that checks them.
 */
export const COMMAND_FIELDS = {
  restart_service: ["service"],
  start_service: ["service"],
  stop_service: ["service"],
  service_status: ["service"],
  get_logs: ["service", "lines", "since_s", "priority", "pattern"],
  list_units: ["failed", "pattern"],
  restart_container: ["container"],
  container_logs: ["container", "lines", "since_s", "pattern"],
  container_inspect: ["container"],
  host_report: [],
  agent_facts: [],
  ping: [],
  update_agent: [],
} as const satisfies Record<string, readonly CommandField[]>;

export type CommandName = keyof typeof COMMAND_FIELDS;

/** The vocabulary's words. */
export const COMMAND_NAMES = Object.keys(COMMAND_FIELDS) as CommandName[];

/** True for a word of the vocabulary. */
export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMAND_FIELDS, name);
}

/** True for a name that commands take. */
export function isTargetName(text: string): boolean {
  return TARGET_NAME.test(text);
}

/** So many of the last lines are shown where nobody says how many. */
export const LOG_LINES = 100;
/** And at most; of them a pattern chooses. */
export const LOG_LINES_MAX = 10_000;

/** As the journal ranks its lines, the gravest first; a priority stands for itself and all before it. */
export const LOG_PRIORITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] as const;
export type LogPriority = (typeof LOG_PRIORITIES)[number];

/** What a command acts on, for the rule of one open command per agent, command and target; empty for the host itself. */
export function commandTarget(params: Record<string, unknown>): string {
  const target = params.service ?? params.container ?? "";
  return typeof target === "string" ? target : "";
}

/** What may be done on a host: this command, on what the pattern matches. */
export interface AllowEntry {
  readonly command: CommandName;
  /** `*` stands for any characters, `?` for one; the whole name must match. */
  readonly pattern: string;
}

/** They change nothing. */
export const READ_ONLY_COMMANDS: readonly CommandName[] = [
  "service_status",
  "get_logs",
  "list_units",
  "container_logs",
  "container_inspect",
  "host_report",
  "agent_facts",
  "ping",
];

/** As a word of its own: not even what is allowed by default. */
const NOTHING = "none";
const ENTRIES_MAX = 1000;
const PATTERN_SHAPE = /^[A-Za-z0-9:_.@\\*?-]{1,255}$/;
const WITHOUT_TARGET: readonly CommandName[] = ["list_units", "host_report", "agent_facts", "ping", "update_agent"];

/** What systemd calls its units' kinds; a name without one of these is a service. */
const UNIT_KIND = /\.(service|socket|timer|path|mount|automount|swap|target|slice|scope|device)$/;

/** A unit's whole name: `nginx` and `nginx.service` are one. */
export function unitName(name: string): string {
  return UNIT_KIND.test(name) ? name : `${name}.service`;
}

/**
 * The list that a setting such as `restart_service:nginx,get_logs:web-*` makes, or what is wrong with it. The commands that
 * only look are allowed on everything unless the setting names them (`get_logs:web-*` narrows get_logs to that) or begins
 * anew with the word `none`; all others are opted in one by one.
 */
export function parseAllow(text: string): { entries: AllowEntry[] } | { fault: string } {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length > ENTRIES_MAX) return { fault: `more than ${ENTRIES_MAX} entries` };
  const given: AllowEntry[] = [];
  for (const word of words) {
    if (word === NOTHING) continue;
    const entry = parseEntry(word);
    if (typeof entry === "string") return { fault: entry };
    given.push(entry);
  }
  const named = new Set(given.map(({ command }) => command));
  const rest = words.includes(NOTHING) ? [] : READ_ONLY_COMMANDS.filter((command) => !named.has(command));
  return { entries: [...given, ...rest.map((command) => ({ command, pattern: "*" }))] };
}

const QUOTED_CHARS_MAX = 60;

function parseEntry(word: string): AllowEntry | string {
  const quoted = JSON.stringify(word.slice(0, QUOTED_CHARS_MAX));
  const at = word.indexOf(":");
  const command = at < 0 ? word : word.slice(0, at);
  if (!isCommandName(command)) return `${quoted} names no command; there are ${COMMAND_NAMES.join(", ")}`;
  if (at < 0 && WITHOUT_TARGET.includes(command)) return { command, pattern: "*" };
  if (at < 0) return `${quoted} must say on what: ${command}:NAME, or ${command}:* for everything`;
  const pattern = word.slice(at + 1);
  return PATTERN_SHAPE.test(pattern)
    ? { command, pattern }
    : `${quoted} holds no name or pattern (* and ?) after the colon`;
}

/** An entry as it is written in the setting and told to the server. */
export function allowText({ command, pattern }: AllowEntry): string {
  return `${command}:${pattern}`;
}

/** Whether the command may be run on this target (for a host's own commands the target is empty). */
export function isAllowed(entries: readonly AllowEntry[], command: CommandName, target: string): boolean {
  return entries.some((entry) => entry.command === command && matchesTarget(entry, target));
}

/**
 * The same by an agent's list of `command:pattern` as it was told; what is no such list permits. Other agents than ours may
 * name commands by a pattern, too.
 */
export function allows(told: unknown, command: CommandName, target: string): boolean {
  if (!Array.isArray(told)) return true;
  return told.some((entry) => {
    if (typeof entry !== "string") return false;
    const [name = "", ...pattern] = entry.split(":");
    const isNamed = matchesGlob(name, command);
    return isNamed && (pattern.length === 0 || matchesTarget({ command, pattern: pattern.join(":") }, target));
  });
}

/** Whether the command may be run with these parameters. */
export function mayRun(entries: readonly AllowEntry[], command: CommandName, params: Record<string, unknown>): boolean {
  return isAllowed(entries, command, commandTarget(params));
}

/** True when the command's target is a unit of systemd. */
export function isUnitCommand(command: CommandName): boolean {
  return (COMMAND_FIELDS[command] as readonly string[]).includes("service");
}

/** The unit or container must match. */
function matchesTarget({ command, pattern }: AllowEntry, target: string): boolean {
  return isUnitCommand(command) ? matchesUnit(pattern, target) : matchesGlob(pattern, target);
}

/** Names of services are compared without `.service` unless the pattern ends in a kind. */
export function matchesUnit(pattern: string, unit: string): boolean {
  const name = unitName(unit);
  return matchesGlob(pattern, UNIT_KIND.test(pattern) ? name : name.replace(/\.service$/, ""));
}
