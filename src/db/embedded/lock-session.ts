import type { Sql } from "postgres";
import { backoffMs } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { openDatabase } from "../client.ts";
import { SERVE_LOCK } from "../lock-keys.ts";
import type { DatabaseTarget } from "../target.ts";
import { refused } from "./start-failures.ts";

const APPLICATION_PREFIX = "opspilot serve ";

/** How long the session of a killed server may linger. */
const FIRST_TRY_LIMIT_MS = 5_000;
const POLL_MS = 100;
const RETRY = { minMs: 100, maxMs: 5_000 };

/** The lock on the database that says who serves it. */
export interface LockSession {
  /** Safe to call twice. */
  release(): Promise<void>;
}

/** Takes the lock, and takes it again whenever its session was lost. Throws a StartupError that names another holder. */
export async function holdDatabase(target: DatabaseTarget, clock: Clock, log: Log): Promise<LockSession> {
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
    const aborted = new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
    while (!stopping.signal.aborted) {
      await Promise.race([session.lost, aborted]);
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
  return {
    release: async () => {
      stopping.abort();
      await keeping;
      await database.close();
    },
  };
}

async function takeFirst(sql: Sql, clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + FIRST_TRY_LIMIT_MS;
  while (!(await take(sql))) {
    if (clock.monotonicMs() > endMs) throw refused(`the database is served already, by process ${await holder(sql)}`);
    await clock.sleep(POLL_MS);
  }
}

async function take(sql: Sql): Promise<boolean> {
  const rows = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${SERVE_LOCK}::bigint) as taken`;
  return rows[0]?.taken === true;
}

async function holder(sql: Sql): Promise<string> {
  const rows = await sql<{ name: string }[]>`
    select application_name as name from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objsubid = 1
      and ((classid::bigint << 32) | objid::bigint) = ${SERVE_LOCK}::bigint`;
  return rows[0]?.name.replace(APPLICATION_PREFIX, "") ?? "unknown";
}
