import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { ExitCode, errorMessage, StartupError } from "../lib/errors.ts";
import { type FileLock, lockDescription, tryLock } from "../lib/file-lock.ts";
import type { Log } from "../lib/log.ts";

/** What lies in the agent's own directory. */
export function statePaths(stateDir: string) {
  return {
    lock: join(stateDir, "agent.lock"),
    spool: join(stateDir, "spool"),
    commands: join(stateDir, "commands"),
    inbox: join(stateDir, "inbox"),
    collectors: join(stateDir, "collectors"),
    connection: join(stateDir, "connection.json"),
    ownToken: join(stateDir, "token"),
    /** Written when the server asks for an update, which root's part of the installation sees to. */
    updateRequest: join(stateDir, "update.request"),
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
  let lock: FileLock | undefined;
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    lock = tryLock(path);
  } catch (error) {
    throw cannotUse(stateDir, error);
  }
  if (!lock) throw new StateDirTakenError(stateDir, lockDescription(path));
  lock.describe(`${process.pid}\n`);
  return lock;
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

/** How the connection of a running agent is, for `opspilot agent check`, which must not open a second one. */
interface ConnectionStatus {
  readonly isConnected: boolean;
  /** Since when, Unix milliseconds. */
  readonly atMs: number;
  /** Why it is not. */
  readonly detail: string;
  /** The trial of a new version (see update/trial.ts) in which the server has welcomed it. */
  readonly trial?: string;
}

const DETAIL_CHARS_MAX = 500;

/**
 * Writes it down; the moment of the first failure stays while it goes on. `trialId` is kept with it from the first welcome on. Never throws:
 * it only helps a person, and a new version whose welcome cannot be written down is undone.
 */
export function createConnectionStatus(path: string, clock: Clock, log: Log, trialId?: string) {
  let last: ConnectionStatus | undefined;
  let wasWelcomed = trialId !== undefined && readConnectionStatus(path)?.trial === trialId;

  function write(isConnected: boolean, detail: string): void {
    const isSame = last !== undefined && last.isConnected === isConnected;
    if (isSame && last?.detail === detail) return;
    const trial = wasWelcomed && trialId !== undefined ? { trial: trialId } : {};
    last = { isConnected, detail, atMs: isSame && last ? last.atMs : clock.now(), ...trial };
    try {
      writeFileSync(`${path}.new`, JSON.stringify(last), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "the state of the connection cannot be written down");
    }
  }

  return {
    /** In this trial, by this process or one before. */
    wasWelcomed: (): boolean => wasWelcomed,
    connected(): void {
      wasWelcomed = true;
      write(true, "");
    },
    ended: (why: string): void => write(false, why.slice(0, DETAIL_CHARS_MAX)),
  };
}

export type ConnectionStatusFile = ReturnType<typeof createConnectionStatus>;

/** What a running agent wrote; undefined when there is nothing, or nothing that can be read. */
export function readConnectionStatus(path: string): ConnectionStatus | undefined {
  try {
    const { isConnected, atMs, detail, trial } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    if (typeof isConnected !== "boolean" || typeof atMs !== "number") return undefined;
    return { isConnected, atMs, detail: String(detail), ...(typeof trial === "string" ? { trial } : {}) };
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
