import { resolve } from "node:path";
import { installService, uninstallService } from "../agent/install/install.ts";
import { createProcessRunner } from "../agent/run-process.ts";
import { AGENT_SETTINGS, type AgentFlags, givenBy } from "../config/agent.ts";
import { isExecutable, readSurroundings, type Surroundings } from "../config/environment.ts";
import { Mistakes } from "../config/settings.ts";
import { readKind } from "../config/sources.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";

/** Flags of `agent install`, with those of the agent's settings. */
interface InstallFlags extends Pick<AgentFlags, "server" | "token" | "tokenFile" | "enrolToken" | "allow" | "ca"> {
  readonly docker?: boolean;
  readonly group?: readonly string[];
  readonly user?: string;
  readonly root?: string;
  readonly dryRun?: true;
}

/** Flags of `agent uninstall`. */
interface UninstallFlags extends Pick<InstallFlags, "root" | "dryRun"> {
  readonly purge?: true;
}

/** Where root's programs are, which are not on the path of everyone who becomes root. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes the agent a service of this host. */
export async function installAgent(flags: InstallFlags): Promise<number> {
  const surroundings = readSurroundings();
  await installService(
    {
      settings: settingsOf(flags, surroundings),
      docker: flags.docker,
      groups: flags.group,
      user: flags.user,
      ...placeOf(flags, surroundings),
    },
    { ...toolsOf(surroundings), executable: ownExecutable() },
  );
  if (!flags.dryRun) tell("Look at it by: systemctl status opspilot-agent; opspilot agent check");
  return ExitCode.ok;
}

/** Takes it away again. */
export async function uninstallAgent(flags: UninstallFlags): Promise<number> {
  const surroundings = readSurroundings();
  const request = { purge: flags.purge === true, ...placeOf(flags, surroundings) };
  await uninstallService(request, toolsOf(surroundings));
  return ExitCode.ok;
}

/** Flags, then what surrounds this command: of the agent, and of proxies, which a service would not see. */
function settingsOf(flags: InstallFlags, surroundings: Surroundings): Record<string, string | undefined> {
  const mistakes = new Mistakes();
  const raw = readKind(AGENT_SETTINGS, { given: givenBy(flags), envFile: undefined }, surroundings, mistakes);
  mistakes.throwIfAny();
  const settings: Record<string, string | undefined> = Object.fromEntries(
    Object.entries(raw).filter(([name]) => /^OPSPILOT_|_PROXY$/i.test(name) && name !== "OPSPILOT_DATA_DIR"),
  );
  if (settings.OPSPILOT_CA) settings.OPSPILOT_CA = resolve(surroundings.cwd, settings.OPSPILOT_CA);
  // A token of before would be preferred, and shown to a server that may be another.
  if (settings.OPSPILOT_ENROL_TOKEN) settings.OPSPILOT_TOKEN ??= "";
  // Tokens themselves are copied: the agent's user could not read the files.
  for (const name of ["OPSPILOT_TOKEN", "OPSPILOT_ENROL_TOKEN"])
    if (settings[name] !== undefined) settings[`${name}_FILE`] = "";
  return settings;
}

function placeOf({ root, dryRun }: Pick<InstallFlags, "root" | "dryRun">, { cwd }: Surroundings) {
  return {
    root: root === undefined ? "" : resolve(cwd, root),
    isThisSystem: root === undefined,
    isDryRun: dryRun === true,
  };
}

function toolsOf({ env, uid }: Surroundings) {
  const searchPath = env.PATH ? `${env.PATH}:${SYSTEM_PATH}` : SYSTEM_PATH;
  return { run: createProcessRunner({ searchPath, clock: createSystemClock() }), tell, uid };
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

function ownExecutable(): string {
  if (isExecutable()) return process.execPath;
  throw new StartupError(
    "only the executable can be installed, and this is a source checkout: `bun run build`, then `dist/opspilot agent install …`",
    ExitCode.usage,
  );
}
