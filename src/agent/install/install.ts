import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type AgentConfig, loadAgentConfig } from "../../config/agent.ts";
import { ConfigError, Mistakes } from "../../config/settings.ts";
import type { AllowEntry } from "../../protocol/commands.ts";
import type { RunProcess } from "../run-process.ts";
import { AGENT_UNIT } from "../service-commands.ts";
import { updatePaths } from "../update/trial.ts";
import { isListed, mergeSettingsFile, readIfThere, readSettingsFile, refuseUnfitHost } from "./installed.ts";
import { polkitNotes, polkitRule, type UnitRight, unitRights } from "./polkit.ts";
import { applySteps, type Step } from "./steps.ts";
import { AGENT_USER, agentUnit, DOCKER_GROUP, groupsIn, JOURNAL_GROUP, madeBy, PATHS, userIn } from "./unit.ts";
import { mayUpdate, startUpdateWatch, updateUnitRemoval, updateUnitSteps } from "./update-units.ts";

export interface InstallDeps {
  readonly run: RunProcess;
  /** A line for the person. */
  readonly tell: (line: string) => void;
  /** The file that runs now. */
  readonly executable: string;
  readonly uid: number;
}

/**
 * Makes the agent a service of this host that starts with the machine. Safe to repeat: what an earlier installation was
 * told, and is not told otherwise now, stays. Throws a StartupError that says what is wrong or missing.
 */
export async function installService(request: InstallRequest, deps: InstallDeps): Promise<void> {
  const { root, isThisSystem } = request;
  const { run, tell } = deps;
  refuseUnfitHost(request, deps.uid);
  const before = { settings: readIfThere(join(root, PATHS.settings)), unit: readIfThere(join(root, PATHS.unit)) };
  const settings = { ...readSettingsFile(before.settings), ...defined(request.settings) };
  const { allow, server } = checkRequest(settings, request);
  const { rights, notes } = await unitRights(allow, isThisSystem ? run : undefined);
  const service = serviceOf(request, before.unit);
  const steps: Step[] = [
    ...userSteps(service.user, root),
    { kind: "executable", path: PATHS.executable, from: deps.executable },
    ...settingsSteps(before.settings, request, server.ca),
    { kind: "file", path: PATHS.unit, mode: 0o644, text: agentUnit(service) },
    ruleStep(service.user, rights),
    ...(mayUpdate(allow) ? updateUnitSteps() : updateUnitRemoval(existsSync(join(root, PATHS.updateWatch)))),
    ...startSteps(before.unit !== "", mayUpdate(allow)),
  ];
  await applySteps(steps, { ...request, run, tell });
  notes.push(...notesOf(service.groups, allow));
  if (rights.length > 0 && isThisSystem) notes.push(...(await polkitNotes(run)));
  for (const note of notes) tell(`note: ${note}`);
}

function defined(settings: AgentSettings): AgentSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** The agent's user could not read certificates in somebody's home: it gets a copy. */
function settingsSteps(before: string, { settings }: InstallRequest, ca: string | null): Step[] {
  const isGiven = ca !== null && settings.OPSPILOT_CA !== undefined;
  const text = mergeSettingsFile(before, isGiven ? { ...settings, OPSPILOT_CA: PATHS.ca } : settings);
  const copy: Step = { kind: "file", path: PATHS.ca, mode: 0o644, text: ca ?? "" };
  return [...(isGiven ? [copy] : []), { kind: "file", path: PATHS.settings, mode: 0o600, text }];
}

function serviceOf({ user, groups, docker, root, isThisSystem }: InstallRequest, unit: string) {
  const earlier = groupsIn(unit).filter((group) => group !== JOURNAL_GROUP && group !== DOCKER_GROUP);
  const usesDocker = docker ?? groupsIn(unit).includes(DOCKER_GROUP);
  const journal = isListed("group", JOURNAL_GROUP, root) || !isThisSystem ? [JOURNAL_GROUP] : [];
  const name = user ?? userIn(unit) ?? AGENT_USER;
  const made = madeBy(unit);
  return {
    user: name,
    groups: [...journal, ...(usesDocker ? [DOCKER_GROUP] : []), ...(groups?.length ? groups : earlier)],
    made: {
      executable: made.executable || !existsSync(join(root, PATHS.executable)),
      user: (made.user && name === userIn(unit)) || !isListed("passwd", name, root),
    },
  };
}

function userSteps(user: string, root: string): Step[] {
  if (isListed("passwd", user, root)) return [];
  const places = ["--home-dir", PATHS.state, "--shell", "/usr/sbin/nologin"];
  const words = ["useradd", "--system", "--user-group", "--no-create-home", ...places, user];
  return [{ kind: "run", words, why: "the agent's user cannot be made" }];
}

function ruleStep(user: string, rights: readonly UnitRight[]): Step {
  if (rights.length === 0) return { kind: "remove", path: PATHS.polkitRule };
  return { kind: "file", path: PATHS.polkitRule, mode: 0o644, text: polkitRule(user, rights) };
}

function startSteps(wasInstalled: boolean, isUpdatable: boolean): Step[] {
  const why = "the agent does not start";
  const steps: Step[] = [
    { kind: "run", words: ["systemctl", "daemon-reload"], why, onlyIfChanged: true },
    ...(isUpdatable ? [startUpdateWatch()] : []),
    { kind: "run", words: ["systemctl", "enable", "--now", AGENT_UNIT], why },
  ];
  // One that runs already takes new settings only so.
  if (wasInstalled) steps.push({ kind: "run", words: ["systemctl", "restart", AGENT_UNIT], why, onlyIfChanged: true });
  return steps;
}

/** What a person should know who reads no unit files. */
function notesOf(groups: readonly string[], allow: readonly AllowEntry[]): string[] {
  const notes: string[] = [];
  if (groups.includes(DOCKER_GROUP)) {
    notes.push(
      "the agent is in the group docker, which is as good as root on this host (--no-docker takes it out again)",
    );
  } else if (allow.some(({ command }) => command === "restart_container")) {
    notes.push("restart_container is allowed, but the agent may not use Docker without --docker");
  }
  if (mayUpdate(allow)) {
    notes.push("update_agent is allowed: whoever controls the server can run anything as root on this host");
  }
  if (!groups.includes(JOURNAL_GROUP)) {
    notes.push(`there is no group ${JOURNAL_GROUP} on this host: the agent sees no logs but its own`);
  }
  return notes;
}

const DISABLE = ["systemctl", "disable", "--now", AGENT_UNIT];

/** What is asked for. */
export interface UninstallRequest extends Pick<InstallRequest, "root" | "isThisSystem" | "isDryRun"> {
  /** Also what was not delivered yet, and what ran. */
  readonly purge: boolean;
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
    ...(unit === "" ? [] : [{ kind: "run", words: DISABLE, why: "the agent does not stop", mayFail: true } as const]),
    ...updateUnitRemoval(existsSync(join(root, PATHS.updateWatch))),
    { kind: "remove", path: PATHS.unit },
    { kind: "remove", path: PATHS.polkitRule },
    { kind: "remove", path: PATHS.settings },
    { kind: "remove", path: PATHS.ca },
    ...(isAgentsAlone(root) ? remove(PATHS.settingsDir) : []),
    ...(made.executable && !isExecutableShared ? remove(PATHS.executable) : []),
    ...(isExecutableShared ? [] : leftByUpdates()),
    ...(isStateKept ? [] : remove(PATHS.state)),
    { kind: "run", words: ["systemctl", "daemon-reload"], why: "systemd was not told", onlyIfChanged: true },
    ...(isUserOurs && !isStateKept ? userRemovalSteps(user) : []),
  ];
  const isChanged = await applySteps(steps, { ...request, run, tell });
  if (!isChanged) tell("nothing to remove: the agent is not installed here");
  if (isStateKept) tell(keptState(isUserOurs ? user : undefined));
  if (made.executable && isExecutableShared) tell(`kept: ${PATHS.executable}, which opspilot.service uses`);
}

function remove(path: string): Step[] {
  return [{ kind: "remove", path }];
}

function leftByUpdates(): Step[] {
  const { previous, next, trial } = updatePaths(PATHS.executable);
  return [previous, next, trial].flatMap(remove);
}

function userRemovalSteps(user: string): Step[] {
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

/** Settings by name; an empty one takes the line out of the file, an undefined one changes nothing. */
export type AgentSettings = Readonly<Record<string, string | undefined>>;

/** What is asked for; what is not given stays as an earlier installation has it. */
export interface InstallRequest {
  readonly settings: AgentSettings;
  readonly docker?: boolean;
  /** More groups for the agent, such as adm for files in /var/log. */
  readonly groups?: readonly string[];
  readonly user?: string;
  /** Before every path; empty for this host. */
  readonly root: string;
  /** Whether programs may be run for it: useradd, systemctl. */
  readonly isThisSystem: boolean;
  readonly isDryRun: boolean;
}

const ACCOUNT = /^[a-z_][a-z0-9_-]{0,31}$/i;

/** systemd would read what follows a line break as another setting. */
const ONE_LINE = /^[^\0\r\n]*$/;

/** The settings as the agent will read them. Throws a ConfigError with every mistake in them and in the rest of the request. */
function checkRequest(settings: AgentSettings, request: InstallRequest): AgentConfig {
  const mistakes = new Mistakes();
  for (const [name, value] of Object.entries(settings))
    if (value !== undefined && !ONE_LINE.test(value)) mistakes.add(name, "expected one line");
  checkAccounts(request, mistakes);
  const config = readAsAgent(settings, request.root, mistakes);
  if (config === undefined || mistakes.found.length > 0) throw new ConfigError(mistakes.found);
  return config;
}

function readAsAgent(settings: AgentSettings, root: string, mistakes: Mistakes): AgentConfig | undefined {
  const ca = settings.OPSPILOT_CA === PATHS.ca ? join(root, PATHS.ca) : settings.OPSPILOT_CA;
  try {
    // The installed agent has no other surroundings than these: no .env, and nobody's home.
    return loadAgentConfig(
      {},
      { env: { ...settings, OPSPILOT_CA: ca }, cwd: PATHS.settingsDir, uid: 0, home: undefined },
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { setting, message } of error.mistakes) mistakes.add(setting, message);
    return undefined;
  }
}

function checkAccounts({ user, groups = [], docker, root }: InstallRequest, mistakes: Mistakes): void {
  if (user !== undefined && !ACCOUNT.test(user)) mistakes.add("--user", "expected a user's name");
  for (const group of groups)
    if (!isGroup(group, root))
      mistakes.add("--group", `there is no group ${JSON.stringify(group.slice(0, 60))} on this host`);
  if (docker && !isGroup(DOCKER_GROUP, root))
    mistakes.add("--docker", "there is no group docker on this host: install Docker first");
}

function isGroup(name: string, root: string): boolean {
  return ACCOUNT.test(name) && isListed("group", name, root);
}
