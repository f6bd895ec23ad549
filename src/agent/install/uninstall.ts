import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AGENT_UNIT } from "../service-commands.ts";
import { isListed, readIfThere, refuseUnfitHost } from "./host.ts";
import type { InstallDeps } from "./install.ts";
import { AGENT_USER, PATHS } from "./paths.ts";
import { applySteps, type Step } from "./steps.ts";
import { madeBy, userIn } from "./unit.ts";

/** What is asked for. */
export interface UninstallRequest {
  /** Also what was not delivered yet, and what ran. */
  readonly purge: boolean;
  readonly root: string;
  readonly isThisSystem: boolean;
  readonly isDryRun: boolean;
}

/**
 * Undoes what `installService` did, and only that: an executable or a user that was there before stays, and so does an
 * executable that a server uses. Asks nothing, and is safe to repeat.
 */
export async function uninstallService(
  request: UninstallRequest,
  deps: Pick<InstallDeps, "run" | "tell" | "uid">,
): Promise<void> {
  const { root, purge } = request;
  const { run, tell } = deps;
  refuseUnfitHost(request, deps.uid);
  const unit = readIfThere(join(root, PATHS.unit));
  const made = madeBy(unit);
  const user = userIn(unit) ?? AGENT_USER;
  // After an uninstallation that kept the state nothing but the user's name tells whose it is.
  const isUserOurs = made.user || (unit === "" && isListed("passwd", AGENT_USER, root));
  const isStateKept = !purge && hasState(root);
  const isExecutableShared = existsSync(join(root, PATHS.serverUnit));
  const steps: Step[] = [
    ...stopSteps(unit !== ""),
    { kind: "remove", path: PATHS.unit },
    { kind: "remove", path: PATHS.polkitRule },
    { kind: "remove", path: PATHS.settings },
    { kind: "remove", path: PATHS.ca },
    ...(isAgentsAlone(root) ? remove(PATHS.settingsDir) : []),
    ...(made.executable && !isExecutableShared ? remove(PATHS.executable) : []),
    ...(isStateKept ? [] : remove(PATHS.state)),
    { kind: "run", words: ["systemctl", "daemon-reload"], why: "systemd was not told", onlyIfChanged: true },
    ...(isUserOurs && !isStateKept ? userSteps(user) : []),
  ];
  const isChanged = await applySteps(steps, { ...request, run, tell });
  if (!isChanged) tell("nothing to remove: the agent is not installed here");
  if (isStateKept) tell(keptState(isUserOurs ? user : undefined));
  if (made.executable && isExecutableShared) tell(`kept: ${PATHS.executable}, which opspilot.service uses`);
}

function remove(path: string): Step[] {
  return [{ kind: "remove", path }];
}

function stopSteps(isInstalled: boolean): Step[] {
  if (!isInstalled) return [];
  return [
    {
      kind: "run",
      words: ["systemctl", "disable", "--now", AGENT_UNIT],
      why: "the agent does not stop",
      mayFail: true,
    },
  ];
}

function userSteps(user: string): Step[] {
  return [{ kind: "run", words: ["userdel", user], why: "the agent's user cannot be removed", mayFail: true }];
}

function keptState(user: string | undefined): string {
  const what = `${PATHS.state} (alerts that were not delivered, results of commands)`;
  const owner = user === undefined ? "" : ` and the user ${user}, whose it is`;
  return `kept: ${what}${owner}; \`opspilot agent uninstall --purge\` removes that too`;
}

function hasState(root: string): boolean {
  const path = join(root, PATHS.state);
  return existsSync(path) && readdirSync(path).length > 0;
}

/** True when the directory has nothing but what is the agent's. */
function isAgentsAlone(root: string): boolean {
  const directory = join(root, PATHS.settingsDir);
  const own: readonly string[] = [PATHS.settings, PATHS.ca];
  return existsSync(directory) && readdirSync(directory).every((name) => own.includes(join(PATHS.settingsDir, name)));
}
