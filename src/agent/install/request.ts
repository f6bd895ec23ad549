import { join } from "node:path";
import { type AgentConfig, loadAgentConfig } from "../../config/agent.ts";
import { ConfigError, Mistakes } from "../../config/mistakes.ts";
import { isListed } from "./host.ts";
import { DOCKER_GROUP, PATHS } from "./paths.ts";

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
export function checkRequest(settings: AgentSettings, request: InstallRequest): AgentConfig {
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
