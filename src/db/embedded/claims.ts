import { join } from "node:path";
import type { Sql } from "postgres";
import { backoffMs, type Clock, whenAborted } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type FileLock, lockDescription, tryLock } from "../../lib/file-lock.ts";
import type { Log } from "../../lib/log.ts";
import { openDatabase } from "../client.ts";
import { SERVE_LOCK } from "../lock-keys.ts";
import type { DatabaseTarget } from "../target.ts";
import { processStartTime } from "./processes.ts";
import { cannotCreate, refused } from "./start-failures.ts";

/** Unpacking and initdb on a slow disk, or the recovery after a crash. */
const START_WAIT_MS = 330_000;
const FILE_POLL_MS = 25;
/** How long the lock, or the session, of a killed server may linger. */
const LINGER_LIMIT_MS = 5_000;

/**
 * Who may do what in a data directory, by locks on three files in it:
 *  - `serve.lock`: the server, for as long as it lives; it alone supervises and stops the postmaster.
 *  - `start.lock`: whoever looks for, makes, starts or stops the postmaster, for that time only.
 *  - `use.lock`: shared by the other commands, so that the one that started a postmaster does not stop it under another.
 */
export function createClaims(dataDir: string, clock: Clock) {
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
      await clock.sleep(FILE_POLL_MS);
    }
  }

  /** What a killed server was about to start may hold its lock for a moment longer than itself. */
  async function takeServe(): Promise<FileLock> {
    const endMs = clock.monotonicMs() + LINGER_LIMIT_MS;
    for (;;) {
      const lock = tryLock(paths.serve);
      if (lock) return lock;
      const { name, isHere } = readHolder(paths.serve);
      if (isHere || clock.monotonicMs() > endMs) throw refused(`${dataDir} is served already, by ${name}`);
      await clock.sleep(FILE_POLL_MS);
    }
  }

  return {
    /** Throws a StartupError that names the server that is there. */
    serve: async () => {
      const lock = await takeServe();
      lock.describe(`${process.pid} ${processStartTime(process.pid) ?? ""}\n`);
      return lock;
    },
    /** Whether a server is there. */
    isServed: () => isTaken(paths.serve),
    /** Whether another command uses the database; the own lock must have been released. */
    isUsed: () => isTaken(paths.use),
    /** Runs `task` alone; whoever else does so now is waited for. */
    alone: async <T>(task: () => Promise<T>) => {
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

export type Claims = ReturnType<typeof createClaims>;

function isTaken(path: string): boolean {
  const lock = tryLock(path);
  lock?.release();
  return lock === undefined;
}

/** The process's start time tells whether the number still means the one that wrote it. */
function readHolder(path: string): { name: string; isHere: boolean } {
  const [pid = "", startTime] = lockDescription(path).split(" ");
  const isHere = pid !== "" && processStartTime(Number(pid)) === startTime;
  const where = isHere ? "" : ", which is not on this machine or in another container";
  return { name: `process ${pid || "unknown"}${where}`, isHere };
}

const APPLICATION_PREFIX = "opspilot serve ";

const SESSION_POLL_MS = 100;
const RETRY = { minMs: 100, maxMs: 5_000 };

/**
 * Takes the lock that says who serves the database, and takes it again whenever its session was lost. Resolves with what
 * lets go of it, which is safe to call twice; throws a StartupError that names another holder.
 */
export async function holdDatabase(target: DatabaseTarget, clock: Clock, log: Log): Promise<() => Promise<void>> {
  const database = openDatabase({ target, log });
  const stopping = new AbortController();
  let session = openSession();

  function openSession(): { sql: Sql; lost: Promise<void> } {
    const lost = Promise.withResolvers<void>();
    const sql = database.createSession({
      applicationName: `${APPLICATION_PREFIX}${process.pid}`,
      // Only a session that listens is never closed for being idle.
      onNotify: () => undefined,
      onClose: lost.resolve,
    });
    return { sql, lost: lost.promise };
  }

  async function takeAgain(): Promise<void> {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      await clock.sleep(backoffMs(attempt, RETRY), stopping.signal);
      if (stopping.signal.aborted) return;
      session = openSession();
      try {
        if (await take(session.sql)) return;
        log.error("another process has taken the lock of the database");
      } catch (error) {
        log.debug({ reason: errorMessage(error) }, "the lock of the database cannot be taken yet");
      }
      await session.sql.end({ timeout: 0 });
    }
  }

  async function keep(): Promise<void> {
    const stopped = whenAborted(stopping.signal);
    while (!stopping.signal.aborted) {
      await Promise.race([session.lost, stopped]);
      await session.sql.end({ timeout: 0 });
      await takeAgain();
    }
  }

  try {
    await takeFirst(session.sql, clock);
  } catch (error) {
    await database.close();
    throw error;
  }
  const keeping = keep();
  return async () => {
    stopping.abort();
    await keeping;
    await database.close();
  };
}

async function takeFirst(sql: Sql, clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + LINGER_LIMIT_MS;
  while (!(await take(sql))) {
    if (clock.monotonicMs() > endMs) throw refused(`the database is served already, by process ${await holder(sql)}`);
    await clock.sleep(SESSION_POLL_MS);
  }
}

async function take(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${SERVE_LOCK}::bigint) as taken`;
  return row?.taken === true;
}

async function holder(sql: Sql): Promise<string> {
  const rows = await sql<{ name: string }[]>`
    select application_name as name from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objsubid = 1
      and ((classid::bigint << 32) | objid::bigint) = ${SERVE_LOCK}::bigint`;
  return rows[0]?.name.replace(APPLICATION_PREFIX, "") ?? "unknown";
}
