import { becomeAgent, readInstalledAgent } from "../agent/install/installed.ts";
import { type AgentConfig, type AgentFlags, loadAgentConfig } from "../config/agent.ts";
import type { Surroundings } from "../config/environment.ts";

/** Whom a command about the agent is about. */
export interface Subject {
  readonly config: AgentConfig;
  readonly rule: string | undefined;
  readonly user: string;
}

/** The agent that is installed here, with its settings and as its user, when root asks without naming a server; else whoever asks. */
export function subjectOf(flags: AgentFlags, surroundings: Surroundings): Subject {
  const hasSettings = surroundings.env.OPSPILOT_SERVER || Object.values(flags).some((flag) => flag !== undefined);
  const isOfOneself = surroundings.uid !== 0 || hasSettings;
  const installed = isOfOneself ? undefined : readInstalledAgent();
  if (installed === undefined) {
    const config = loadAgentConfig(flags, surroundings);
    return { config, rule: undefined, user: `user ${surroundings.uid === 0 ? "root" : surroundings.uid}` };
  }
  becomeAgent(installed);
  const env = { PATH: surroundings.env.PATH, ...installed.env };
  const config = loadAgentConfig({}, { env, cwd: "/", uid: installed.uid, home: undefined });
  return { config, rule: installed.rule, user: `the installed service's user ${installed.user}` };
}
