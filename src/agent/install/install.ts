import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AllowEntry } from "../../protocol/allow.ts";
import type { RunProcess } from "../run-process.ts";
import { AGENT_UNIT } from "../service-commands.ts";
import { isListed, readIfThere, refuseUnfitHost } from "./host.ts";
import { AGENT_USER, DOCKER_GROUP, JOURNAL_GROUP, PATHS } from "./paths.ts";
import { polkitRule, type UnitRight } from "./polkit-rule.ts";
import { polkitNotes } from "./polkit-version.ts";
import { type AgentSettings, checkRequest, type InstallRequest } from "./request.ts";
import { mergeSettingsFile, readSettingsFile } from "./settings-file.ts";
import { applySteps, type Step } from "./steps.ts";
import { agentUnit, groupsIn, madeBy, userIn } from "./unit.ts";
import { unitRights } from "./unit-rights.ts";

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
    ...startSteps(before.unit !== ""),
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
  const options = [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    PATHS.state,
    "--shell",
    "/usr/sbin/nologin",
  ];
  return [{ kind: "run", words: ["useradd", ...options, user], why: "the agent's user cannot be made" }];
}

function ruleStep(user: string, rights: readonly UnitRight[]): Step {
  if (rights.length === 0) return { kind: "remove", path: PATHS.polkitRule };
  return { kind: "file", path: PATHS.polkitRule, mode: 0o644, text: polkitRule(user, rights) };
}

function startSteps(wasInstalled: boolean): Step[] {
  const why = "the agent does not start";
  const steps: Step[] = [
    { kind: "run", words: ["systemctl", "daemon-reload"], why, onlyIfChanged: true },
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
  if (!groups.includes(JOURNAL_GROUP)) {
    notes.push(`there is no group ${JOURNAL_GROUP} on this host: the agent sees no logs but its own`);
  }
  return notes;
}
