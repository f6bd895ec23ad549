import { existsSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, StartupError } from "../../lib/errors.ts";
import { readIfThere } from "./host.ts";
import { PATHS } from "./paths.ts";
import { readSettingsFile } from "./settings-file.ts";
import { groupsIn, userIn } from "./unit.ts";

/** What the agent's unit on this host makes of a process. */
export interface InstalledAgent {
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
