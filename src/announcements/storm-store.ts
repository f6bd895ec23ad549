/**
 * A storm: more new incidents a minute than anybody reads one by one. The first of a minute get a message each; the rest are told
 * together in the storm's one message, a row of kind storm. It is over after a minute within the limit.
 */
import type { Sql, TransactionSql } from "postgres";
import type { Mute, Muter } from "../incidents/model.ts";

/** New incidents a minute that get a message each. */
const STORM_LIMIT = 20;
const STORM_WINDOW_S = 60;

const WHY_TOGETHER = `one of more than ${STORM_LIMIT} new incidents a minute: told in one message for all of them`;

type Query = Sql | TransactionSql;

/** Mutes what is told in a storm's message. The last of all muters: it counts what is left. */
export const stormMuter: Muter = {
  name: "storms",
  async mutes(tx, incidents, outlet) {
    let { stormId, recent } = await findState(tx, outlet);
    if (stormId !== null && (await endStorms(tx, outlet))) stormId = null;
    const room = stormId === null ? Math.max(0, STORM_LIMIT - recent) : 0;
    const together = incidents.slice(room);
    if (together.length === 0) return new Map<number, Mute>();
    stormId ??= await beginStorm(tx, outlet);
    const mute = { why: WHY_TOGETHER, stormId };
    return new Map(together.map(({ id }) => [id, mute]));
  },
};

/** The storm that goes on, if there is one, and how many messages of their own the last minute's incidents have had. */
async function findState(query: Query, outlet: string): Promise<{ stormId: number | null; recent: number }> {
  const [row] = await query<{ stormId: number | null; recent: number }[]>`
    select (select max(id) from announcements
        where outlet = ${outlet} and kind = 'storm' and subject = '' and closed_at is null and not content ? 'ended_at')::int as "stormId",
      (select count(*) from announcements
        where outlet = ${outlet} and kind = 'incident' and subject = '' and state <> 'withheld'
          and decided_at > now() - make_interval(secs => ${STORM_WINDOW_S}))::int as recent`;
  return row ?? { stormId: null, recent: 0 };
}

async function beginStorm(query: Query, outlet: string): Promise<number> {
  const why = `more than ${STORM_LIMIT} new incidents within a minute`;
  const [row] = await query<{ id: number }[]>`
    insert into announcements (kind, outlet, state, why, content)
    values ('storm', ${outlet}, 'waiting', ${why}, '{}') returning id::int`;
  if (row === undefined) throw new Error("an insert returned no row");
  return row.id;
}

/** Ends the outlet's storm after a minute that was within the limit; true when it did. */
export async function endStorms(query: Query, outlet: string): Promise<boolean> {
  const ended = await query`
    update announcements s set content = s.content || jsonb_build_object('ended_at', now()), shown_revision = null,
      next_attempt_at = least(next_attempt_at, now())
    where s.outlet = ${outlet} and s.kind = 'storm' and s.subject = '' and s.closed_at is null and not s.content ? 'ended_at'
      and ${endsAt(query, outlet)} <= now()`;
  return ended.count > 0;
}

/** Seconds until the outlet's storm is over if nothing more comes; null when there is none. */
export async function stormEndsInS(query: Query, outlet: string): Promise<number | null> {
  const [row] = await query<{ inS: number }[]>`
    select extract(epoch from ${endsAt(query, outlet)} - now())::float8 as "inS" from announcements s
    where s.outlet = ${outlet} and s.kind = 'storm' and s.subject = '' and s.closed_at is null and not s.content ? 'ended_at'
    order by s.id desc limit 1`;
  return row?.inS ?? null;
}

/** When the last minute of `s` will be within the limit: a minute after the one too many. */
function endsAt(query: Query, outlet: string) {
  return query`greatest(s.created_at, (
    select a.decided_at from announcements a
    where a.outlet = ${outlet} and a.kind = 'incident' and a.subject = '' and (a.state <> 'withheld' or a.storm_id is not null)
      and a.decided_at > now() - make_interval(secs => ${STORM_WINDOW_S})
    order by a.decided_at desc offset ${STORM_LIMIT} limit 1)) + make_interval(secs => ${STORM_WINDOW_S})`;
}
