import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { AgentConfig } from "../config/agent.ts";
import { syncPathNow } from "../lib/durable.ts";
import { errorCode } from "../lib/errors.ts";
import { cannotUse, statePaths } from "./state-dir.ts";

/** What an agent proves itself with. */
export interface AgentCredentials {
  readonly token: string;
  /** By this the server makes the token known, where it is not; null where somebody has done that. */
  readonly enrolment: string | null;
}

/** 256 random bits, with the prefix of those that a server makes. */
const TOKEN_BYTES = 32;
const TOKEN_PREFIX = "opa_";
const TOKEN = /^opa_[A-Za-z0-9_-]{43}$/;

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
    return { token: readToken(path) ?? keep(path, newToken()), enrolment: enrolToken };
  } catch (error) {
    throw cannotUse(stateDir, error);
  }
}

function readToken(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return TOKEN.test(text) ? text : undefined;
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

function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  return TOKEN_PREFIX + bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
