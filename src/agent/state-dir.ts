import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, errorMessage, StartupError } from "../lib/errors.ts";
import { type FileLock, lockDescription, tryLock } from "../lib/file-lock.ts";

/** What lies in the agent's own directory. */
export function statePaths(stateDir: string) {
  return {
    lock: join(stateDir, "agent.lock"),
    spool: join(stateDir, "spool"),
    commands: join(stateDir, "commands"),
    inbox: join(stateDir, "inbox"),
    collectors: join(stateDir, "collectors"),
    connection: join(stateDir, "connection.json"),
  };
}

/** The directory is held by an agent that runs. */
export class StateDirTakenError extends StartupError {
  constructor(stateDir: string, holder: string) {
    super(`an agent runs here already: ${stateDir} is held by process ${holder || "unknown"}`, ExitCode.config);
  }
}

/** Makes the directory when it is not there, and holds it until the lock is released or this process ends. */
export function claimStateDir(stateDir: string): FileLock {
  const { lock: path } = statePaths(stateDir);
  const lock = tryClaim(stateDir, path);
  if (!lock) throw new StateDirTakenError(stateDir, lockDescription(path));
  lock.describe(`${process.pid}\n`);
  return lock;
}

function tryClaim(stateDir: string, path: string): FileLock | undefined {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    return tryLock(path);
  } catch (error) {
    throw cannotUse(stateDir, error);
  }
}

/** For a person: which directory, why, and what to do. */
export function cannotUse(dir: string, error: unknown): StartupError {
  const message = `${dir} cannot be used (${errorMessage(error)}); set OPSPILOT_DATA_DIR (or --data-dir) to a directory of this user`;
  return new StartupError(message, ExitCode.cannotCreate, { cause: error });
}

/** The process of the agent that holds the directory now, if one does. Takes no lock: one that is just starting would be refused. */
export function runningAgentPid(stateDir: string): number | undefined {
  const { lock } = statePaths(stateDir);
  const pid = existsSync(lock) ? Number(lockDescription(lock)) : Number.NaN;
  return pid > 0 && pid !== process.pid && existsSync(`/proc/${pid}`) ? pid : undefined;
}
