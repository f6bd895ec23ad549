import type { Sql } from "postgres";

/** "opsa": the first half of the locks' keys; the outlet's name makes the second. */
const LEADER_LOCK = 0x6f70_7361;

/** Takes the outlet's lock for this session, if nobody has it. The server gives it back when the session ends. */
export async function tryLead(session: Sql, outlet: string): Promise<boolean> {
  const [row] = await session<{ taken: boolean }[]>`
    select pg_try_advisory_lock(${LEADER_LOCK}, hashtext(${outlet})) as taken`;
  return row?.taken === true;
}

/** Whether the session is still there. */
export async function probe(session: Sql): Promise<void> {
  await session`select 1`;
}
