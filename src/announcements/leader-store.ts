/**
 * Of several nodes one leads an outlet: it alone decides and posts there, so that a storm is counted once, the outlet's pace is
 * kept and messages keep their order. Who leads holds a lock of a database session; the others wait in it. When the session ends,
 * by a stop, a crash or a cut connection, the server gives the lock to the next. Each lead has a number, and what is written under
 * an older one does not count: a leader that has not heard yet that its session ended changes nothing.
 */
import type { Sql } from "postgres";
import type { Database } from "../db/client.ts";
import { LEAD_LOCK_KEY } from "../db/lock-keys.ts";
import type { Clock } from "../lib/clock.ts";
import { withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Running } from "../lib/loops.ts";

const AGAIN_MS = 1_000;
const CHECK_INTERVAL_MS = 15_000;
const ANSWER_LIMIT_MS = 5_000;

export interface LeaderDeps {
  outlet: string;
  /** By which it is checked that the server still knows the session, whose connection may be dead without a word. */
  sql: Sql;
  /** One connection that is a session, past a transaction pooler; without a limit, since it waits for the lock on purpose. */
  createSession: Database["createSession"];
  /** What the leader does, until `lost` (do nothing more) or `stopping` (finish what is under way) aborts. */
  lead: (lead: number, lost: AbortSignal, stopping: AbortSignal) => Promise<void>;
  clock: Clock;
  log: Log;
}

/** Stands by for the lead, takes it when it is free, and gives it back at the stop. */
export function startLeader(deps: LeaderDeps): Running {
  const { outlet, sql, clock, log } = deps;
  const stopping = new AbortController();
  const late = (error: unknown) =>
    log.debug({ error: errorMessage(error), outlet }, "a leader's session answered late");
  const ask = <T>(work: Promise<T>) => withDeadline(work, ANSWER_LIMIT_MS, "a leader's session", late);

  /** Until the server knows the session no more; it may then have given the lead to another. */
  async function watch(pid: number, lost: AbortController, done: AbortSignal): Promise<void> {
    const either = AbortSignal.any([lost.signal, done]);
    while (!either.aborted) {
      await clock.sleep(CHECK_INTERVAL_MS, either);
      if (either.aborted) return;
      const isThere = await ask(isInLine(sql, pid)).catch(() => false);
      if (isThere || either.aborted) continue;
      log.warn({ outlet }, "the session by which an outlet is led was lost");
      lost.abort();
    }
  }

  /** Waits for the lead; true when it is ours. */
  async function standBy(session: Sql, over: AbortSignal): Promise<boolean> {
    const given = Promise.withResolvers<boolean>();
    if (over.aborted) return false;
    over.addEventListener("abort", () => given.resolve(false), { once: true });
    waitForLead(session, outlet).then(() => given.resolve(true), given.reject);
    return (await given.promise) && !over.aborted;
  }

  async function takePart(session: Sql, lost: AbortController): Promise<void> {
    const pid = await ask(prepareSession(session));
    const done = new AbortController();
    const watching = watch(pid, lost, done.signal);
    try {
      if (!(await standBy(session, AbortSignal.any([lost.signal, stopping.signal])))) return;
      const lead = await ask(raiseLead(session, outlet));
      log.debug({ outlet, lead }, "leads an outlet");
      await deps.lead(lead, lost.signal, stopping.signal);
    } finally {
      done.abort();
      await watching;
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const lost = new AbortController();
      const session = deps.createSession({
        applicationName: `opspilot ${outlet}`,
        statementLimitMs: 0,
        // Only a session that listens is never closed for being idle.
        onNotify: () => undefined,
        onClose: () => lost.abort(),
      });
      try {
        await takePart(session, lost);
      } catch (error) {
        log.warn({ error: errorMessage(error), outlet }, "an outlet could not be led");
      }
      await session.end({ timeout: 0 });
      await clock.sleep(AGAIN_MS, stopping.signal);
    }
  }

  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

/**
 * Makes a session one that may be idle for as long as it leads, and whose death the server notices while it waits for the lock;
 * returns its process.
 */
async function prepareSession(session: Sql): Promise<number> {
  const [row] = await session<{ pid: number }[]>`
    select pg_backend_pid() as pid, set_config('idle_session_timeout', '0', false),
      set_config('client_connection_check_interval', '5s', false)`;
  return row?.pid ?? 0;
}

/**
 * Waits until nobody else leads the outlet. The server gives the lock back when the session ends. In another schema of the database
 * there may be another OpsPilot.
 */
export async function waitForLead(session: Sql, outlet: string): Promise<void> {
  await session`
    select pg_advisory_lock(${LEAD_LOCK_KEY}, hashtext(${outlet} || case current_schema() when 'public' then '' else current_schema() end))`;
}

/** Whether the server still knows that session, with the lock or waiting for it. */
async function isInLine(sql: Sql, pid: number): Promise<boolean> {
  const rows = await sql`select from pg_locks where locktype = 'advisory' and pid = ${pid} limit 1`;
  return rows.length > 0;
}

/** Begins a lead: its number, larger than that of all before. Only the session that holds the lock does. */
export async function raiseLead(session: Sql, outlet: string): Promise<number> {
  const [row] = await session<{ lead: number }[]>`
    insert into outlets (outlet, lead) values (${outlet}, 1)
    on conflict (outlet) do update set lead = outlets.lead + 1, taken_at = now() returning lead::int`;
  return row?.lead ?? 0;
}
