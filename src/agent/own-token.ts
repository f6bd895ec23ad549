import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { AgentConfig } from "../config/agent.ts";
import { syncPathNow } from "../lib/durable.ts";
import { errorCode } from "../lib/errors.ts";
import { AGENT_TOKEN_PREFIX, isSecretToken, newSecretToken } from "../lib/secret-token.ts";
import { cannotUse, statePaths } from "./state-dir.ts";

/** What an agent proves itself with. */
export interface AgentCredentials {
  readonly token: string;
  /** By this the server makes the token known, where it is not; null where somebody has done that. */
  readonly enrolment: string | null;
}

/**
 * The token that the settings give; else one that the agent makes for itself, once, and keeps in its directory, so that each host of
 * an image has its own. Throws a StartupError when it cannot be kept: the next start would be another host.
 */
export function credentialsOf({
  token,
  enrolToken,
  stateDir,
}: Pick<AgentConfig, "token" | "enrolToken" | "stateDir">): AgentCredentials {
  if (token !== "" || enrolToken === null) return { token, enrolment: null };
  const { ownToken: path } = statePaths(stateDir);
  try {
    return { token: readToken(path) ?? keep(path, newSecretToken(AGENT_TOKEN_PREFIX)), enrolment: enrolToken };
  } catch (error) {
    throw cannotUse(stateDir, error);
  }
}

function readToken(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return isSecretToken(text, AGENT_TOKEN_PREFIX) ? text : undefined;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Before the server hears of it: one that is lost in a power cut would cost a use of the enrolment token. */
function keep(path: string, token: string): string {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600 });
  syncPathNow(`${path}.new`);
  renameSync(`${path}.new`, path);
  syncPathNow(directory);
  return token;
}
