import { type AllowEntry, allowText, READ_ONLY_COMMANDS } from "../../protocol/allow.ts";
import type { DockerApi } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import { rightsIn, type UnitRight, verbOf } from "../install/polkit-rule.ts";
import { polkitVersion } from "../install/polkit-version.ts";
import { unitRights } from "../install/unit-rights.ts";
import { MissingProgramError, type RunProcess } from "../run-process.ts";
import { parseProperties } from "../service-commands.ts";
import type { Finding } from "./finding.ts";

const LIMIT_MS = 10_000;
/** What systemctl says where another program is process 1. */
const NO_SYSTEMD = "has not been booted with systemd";

export interface CommandChecksDeps {
  readonly allow: readonly AllowEntry[];
  readonly run: RunProcess;
  readonly docker: DockerApi;
  /** Root needs nobody's leave. */
  readonly isRoot: boolean;
  /** What the polkit rule of `agent install` says; undefined when this user may not read it. */
  readonly rule: string | undefined;
}

/** For each allowed command whether it can be done on this host, and what stands in the way. Runs nothing that changes anything. */
export async function checkCommands(deps: CommandChecksDeps): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const entry of deps.allow) findings.push({ name: allowText(entry), ...(await checkEntry(entry, deps)) });
  return findings;
}

type Judgement = Omit<Finding, "name">;

const ok = (detail: string): Judgement => ({ state: "ok", detail });
const no = (detail: string): Judgement => ({ state: "no", detail });

async function checkEntry(entry: AllowEntry, deps: CommandChecksDeps): Promise<Judgement> {
  try {
    return await (verbOf(entry) === undefined ? checkLook(entry, deps) : checkChange(entry, deps));
  } catch (error) {
    if (error instanceof MissingProgramError || (error instanceof DockerError && error.reason === "absent")) {
      return absent(entry, error.message);
    }
    if (error instanceof DockerError) return no(error.message);
    throw error;
  }
}

/** A host without Docker, or without systemd, lacks nothing, unless somebody counts on it. */
function absent({ command, pattern }: AllowEntry, detail: string): Judgement {
  const isDefault = READ_ONLY_COMMANDS.includes(command) && pattern === "*";
  return { state: isDefault ? "absent" : "no", detail };
}

async function checkLook(entry: AllowEntry, { run, docker }: CommandChecksDeps): Promise<Judgement> {
  switch (entry.command) {
    case "service_status":
      return checkSystemd(entry, run);
    case "get_logs":
      return checkJournal(entry, run);
    case "restart_container":
    case "container_logs":
      return ok(`Docker answers (API ${await docker.version()})`);
    default:
      return ok("needs nothing");
  }
}

async function checkSystemd(entry: AllowEntry, run: RunProcess): Promise<Judgement> {
  const { exitCode, stdout, stderr } = await run(["systemctl", "show", "--property=Version"], { limitMs: LIMIT_MS });
  const { Version: version } = parseProperties(stdout);
  if (exitCode === 0 && version) return ok(`systemd ${version} answers`);
  const said = firstLine(stderr) || "systemd does not answer";
  return said.includes(NO_SYSTEMD) ? absent(entry, said) : no(said);
}

/** Messages of process 1 are the system's: who sees one may see all. */
async function checkJournal(entry: AllowEntry, run: RunProcess): Promise<Judgement> {
  const words = ["journalctl", "--no-pager", "--lines=1", "--output=cat", "_PID=1"];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS });
  if (/insufficient permissions|not seeing messages/i.test(stderr)) {
    return no(
      "this user may not read the journal: add it to the group systemd-journal, as `opspilot agent install` does",
    );
  }
  if (exitCode !== 0) return no(firstLine(stderr) || "the journal cannot be read");
  const isEmpty = stdout.trim() === "" || stdout.includes("-- No entries --");
  return isEmpty ? absent(entry, "the journal has no entry of the system") : ok("the journal can be read");
}

async function checkChange(entry: AllowEntry, deps: CommandChecksDeps): Promise<Judgement> {
  const { rights } = await unitRights([entry], deps.run);
  if (rights.length === 0) return no("no service of this host has such a name");
  const missing = await missingUnit(rights, deps.run);
  if (missing !== undefined) return no(missing);
  if (deps.isRoot) return ok("root needs no leave");
  const version = await polkitVersion(deps.run);
  if (version === undefined) return no("polkit is not on this host, so that only root may do this");
  if (deps.rule === undefined)
    return { state: "unknown", detail: "whether polkit lets it can be told by root alone: sudo opspilot agent check" };
  return judgeRights(rights, deps.rule);
}

function judgeRights(rights: readonly UnitRight[], rule: string): Judgement {
  const given = new Set(rightsIn(rule).map(rightText));
  const lacking = rights.map(rightText).filter((right) => !given.has(right));
  if (lacking.length === 0) return ok(`polkit lets it ${rights.map(rightText).join(", ")}`);
  return no(`the polkit rule lacks ${lacking.join(", ")}: run \`opspilot agent install\` again`);
}

function rightText({ verb, unit }: UnitRight): string {
  return `${verb} ${unit}`;
}

async function missingUnit(rights: readonly UnitRight[], run: RunProcess): Promise<string | undefined> {
  const units = [...new Set(rights.map(({ unit }) => unit))];
  const words = ["systemctl", "show", "--no-pager", "--property=Id,LoadState", "--", ...units];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS });
  if (exitCode !== 0) return firstLine(stderr) || "systemd does not answer";
  const absent = stdout
    .split("\n\n")
    .map(parseProperties)
    .filter(({ LoadState }) => LoadState === "not-found");
  return absent.length === 0 ? undefined : `there is no unit ${absent.map(({ Id }) => Id).join(", ")} on this host`;
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}
