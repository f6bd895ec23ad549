import type { Sql } from "postgres";
import { LEAD_LOCK_KEY } from "../db/lock-keys.ts";

/**
 * Makes a session one that may be idle for as long as it leads, and whose death the server notices while it waits for the lock;
 * returns its process.
 */
export async function prepareSession(session: Sql): Promise<number> {
  const [row] = await session<{ pid: number }[]>`
    select pg_backend_pid() as pid, set_config('idle_session_timeout', '0', false),
      set_config('client_connection_check_interval', '5s', false)`;
  return row?.pid ?? 0;
}

/** Waits until nobody else leads the outlet. The server gives the lock back when the session ends. */
export async function waitForLead(session: Sql, outlet: string): Promise<void> {
  await session`select pg_advisory_lock(${LEAD_LOCK_KEY}, hashtext(${outlet}))`;
}

/** Whether the server still knows that session, with the lock or waiting for it. */
export async function isInLine(sql: Sql, pid: number): Promise<boolean> {
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
