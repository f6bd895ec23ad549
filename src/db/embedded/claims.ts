import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { type FileLock, lockDescription, tryLock } from "../../lib/file-lock.ts";
import { processStartTime } from "./processes.ts";
import { cannotCreate, refused } from "./start-failures.ts";

/** Unpacking and initdb on a slow disk, or the recovery after a crash. */
const START_WAIT_MS = 330_000;
const POLL_MS = 25;

/**
 * Who may do what in a data directory, by locks on three files in it:
 *  - `serve.lock`: the server, for as long as it lives; it alone supervises and stops the postmaster.
 *  - `start.lock`: whoever looks for, makes, starts or stops the postmaster, for that time only.
 *  - `use.lock`: shared by the other commands, so that the one that started a postmaster does not stop it under another.
 */
export interface Claims {
  /** Throws a StartupError that names the server that is there. */
  serve(): FileLock;
  /** Whether a server is there. */
  isServed(): boolean;
  /** Runs `task` alone; whoever else does so now is waited for. */
  alone<T>(task: () => Promise<T>): Promise<T>;
  use(): FileLock;
  /** Whether another command uses the database; the own lock must have been released. */
  isUsed(): boolean;
}

/** The locks of this data directory; nothing is taken yet. */
export function createClaims(dataDir: string, clock: Clock): Claims {
  const paths = {
    serve: join(dataDir, "serve.lock"),
    start: join(dataDir, "start.lock"),
    use: join(dataDir, "use.lock"),
  };

  async function takeStart(): Promise<FileLock> {
    const endMs = clock.monotonicMs() + START_WAIT_MS;
    for (;;) {
      const lock = tryLock(paths.start);
      if (lock) return lock;
      if (clock.monotonicMs() > endMs) throw cannotCreate(`another process has held ${paths.start} for too long`);
      await clock.sleep(POLL_MS);
    }
  }

  return {
    serve: () => {
      const lock = tryLock(paths.serve);
      if (!lock) throw refused(`${dataDir} is served already, by ${describeHolder(paths.serve)}`);
      lock.describe(`${process.pid} ${processStartTime(process.pid) ?? ""}\n`);
      return lock;
    },
    isServed: () => isTaken(paths.serve),
    isUsed: () => isTaken(paths.use),
    alone: async (task) => {
      const lock = await takeStart();
      try {
        return await task();
      } finally {
        lock.release();
      }
    },
    use: () => {
      const lock = tryLock(paths.use, "shared");
      if (!lock) throw cannotCreate(`${paths.use} cannot be locked`);
      return lock;
    },
  };
}

function isTaken(path: string): boolean {
  const lock = tryLock(path);
  lock?.release();
  return lock === undefined;
}

/** The process's start time tells whether the number still means the one that wrote it. */
function describeHolder(path: string): string {
  const [pid = "", startTime] = lockDescription(path).split(" ");
  const isHere = pid !== "" && processStartTime(Number(pid)) === startTime;
  return isHere
    ? `process ${pid}`
    : `process ${pid || "unknown"}, which is not on this machine or in another container`;
}
