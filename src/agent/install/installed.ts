import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, errorCode, StartupError } from "../../lib/errors.ts";
import type { AgentSettings } from "./install.ts";
import type { StepsOptions } from "./steps.ts";
import { groupsIn, PATHS, userIn } from "./unit.ts";

/** Made by systemd when it has started the machine (see sd_booted(3)). */
const SYSTEMD_RUNS = "/run/systemd/system";

/** What a file holds; nothing when it is not there. Throws a StartupError when it is, but cannot be read. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw new StartupError(`${path} cannot be read (${errorCode(error)})`, ExitCode.failure, { cause: error });
  }
}

/** Refuses where the rest could only fail: another user than root, or a host without systemd. */
export function refuseUnfitHost(place: Omit<StepsOptions, "run" | "tell">, uid: number): void {
  if (!place.isThisSystem || place.isDryRun) return;
  if (uid !== 0)
    throw new StartupError("this changes the system: run it as root (sudo opspilot agent …)", ExitCode.failure);
  if (!existsSync(join(place.root, SYSTEMD_RUNS))) {
    throw new StartupError(
      `this host was not started by systemd (there is no ${SYSTEMD_RUNS}), so there is nothing to install a unit into. ` +
        "Have whatever starts services here run `opspilot agent` with OPSPILOT_SERVER and OPSPILOT_TOKEN set",
      ExitCode.unavailable,
    );
  }
}

/** Whether the name stands in the user list, or the group list, of the system under `root`. */
export function isListed(list: "passwd" | "group", name: string, root: string): boolean {
  return readIfThere(join(root, "/etc", list))
    .split("\n")
    .some((line) => line.startsWith(`${name}:`));
}

const HEADER = `# Settings of the OpsPilot agent on this host: NAME=value. After a change: opspilot agent install
# OPSPILOT_ALLOW says what the server may have done here, such as restart_service:nginx,get_logs:*
# (commands that only look are allowed unless it names them, or begins with none).
`;

/** systemd reads a value in double quotes as the agent itself does; what needs none gets none. */
const PLAIN = /^[A-Za-z0-9_./:@,*?+=~%^-]*$/;

/** The settings that a file holds; lines that are none are passed over. */
export function readSettingsFile(text: string): Record<string, string> {
  const pairs = text.split("\n").flatMap((line): [string, string][] => {
    const [, name, value] = /^\s*([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, unquoted(value.trim())]];
  });
  return Object.fromEntries(pairs);
}

/** The file with these settings: lines that stand there already keep their place, others and comments stay as they are. */
export function mergeSettingsFile(text: string, settings: AgentSettings): string {
  const left = new Map(Object.entries(settings).filter(([, value]) => value !== undefined));
  const lines = (text === "" ? HEADER : text).trimEnd().split("\n");
  const kept = lines.flatMap((line) => {
    const name = /^\s*([A-Z][A-Z0-9_]*)=/.exec(line)?.[1];
    const value = name === undefined ? undefined : left.get(name);
    if (name === undefined || value === undefined) return [line];
    left.delete(name);
    return value === "" ? [] : [lineOf(name, value)];
  });
  const added = [...left].flatMap(([name, value]) => (value ? [lineOf(name, value)] : []));
  return `${[...kept, ...added].join("\n")}\n`;
}

function lineOf(name: string, value: string): string {
  return `${name}=${PLAIN.test(value) ? value : quoted(value)}`;
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\$`]/g, "\\$&")}"`;
}

function unquoted(value: string): string {
  const inner = /^"(.*)"$/.exec(value)?.[1];
  return inner === undefined ? value.replace(/^'(.*)'$/, "$1") : inner.replaceAll(/\\(["\\$`])/g, "$1");
}

/** What the agent's unit on this host makes of a process. */
interface InstalledAgent {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** All of its groups, by number. */
  readonly groups: readonly number[];
  /** Its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The polkit rule; empty when there is none. */
  readonly rule: string;
}

/** The agent that is installed on the system under `root`, or undefined. For root: others may not read all of it. */
export function readInstalledAgent(root = ""): InstalledAgent | undefined {
  if (!existsSync(join(root, PATHS.unit))) return undefined;
  const unit = readIfThere(join(root, PATHS.unit));
  const user = userIn(unit) ?? "root";
  const settings = readSettingsFile(readIfThere(join(root, PATHS.settings)));
  const rule = readIfThere(join(root, PATHS.polkitRule));
  return { user, ...accountOf(user, groupsIn(unit), root), env: { OPSPILOT_DATA_DIR: PATHS.state, ...settings }, rule };
}

/** As systemd does it: the user's own groups, and those that the unit adds. */
function accountOf(
  user: string,
  named: readonly string[],
  root: string,
): Pick<InstalledAgent, "uid" | "gid" | "groups"> {
  const [uid, gid] =
    fieldsOf(join(root, "/etc/passwd"), (name) => name === user)[0]
      ?.slice(2, 4)
      .map(Number) ?? [];
  if (uid === undefined || gid === undefined) {
    throw new StartupError(
      `there is no user ${user}, as whom ${PATHS.unit} runs the agent: install it again`,
      ExitCode.failure,
    );
  }
  const isOurs = (name: string, members: string) => named.includes(name) || members.split(",").includes(user);
  const groups = fieldsOf(join(root, "/etc/group"), (name, rest) => isOurs(name, rest[2] ?? "")).map(([, , id]) =>
    Number(id),
  );
  return { uid, gid, groups: [...new Set([gid, ...groups])] };
}

function fieldsOf(path: string, isWanted: (name: string, rest: readonly string[]) => boolean): string[][] {
  const lines = readIfThere(path)
    .split("\n")
    .map((line) => line.split(":"));
  return lines.filter(([name = "", ...rest]) => isWanted(name, rest));
}

/** Makes this process, which is root's, one of the agent's user, for good: what it then sees is what the agent sees. */
export function becomeAgent({ uid, gid, groups }: InstalledAgent): void {
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}
