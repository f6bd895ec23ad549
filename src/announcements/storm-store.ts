import type { Sql, TransactionSql } from "postgres";

/** New incidents a minute that get a message each. */
export const STORM_LIMIT = 20;
const STORM_WINDOW_S = 60;

type Query = Sql | TransactionSql;

/** The SQL of storms: a storm is a row of kind digest that has not ended. */
export function createStormStore() {
  return {
    /** The digest of the storm that goes on; undefined in quiet times. */
    async findOpen(query: Query, outlet: string): Promise<number | undefined> {
      const [row] = await query<{ id: number }[]>`
        select id::int from announcements
        where outlet = ${outlet} and kind = 'digest' and subject = '' and closed_at is null and not content ? 'ended_at'
        order by id desc limit 1`;
      return row?.id;
    },

    /** Messages of their own that this minute's incidents have had. */
    async countRecent(query: Query, outlet: string): Promise<number> {
      const [row] = await query<{ count: number }[]>`
        select count(*)::int as count from announcements
        where outlet = ${outlet} and kind = 'incident' and subject = '' and state <> 'withheld'
          and created_at > now() - make_interval(secs => ${STORM_WINDOW_S})`;
      return row?.count ?? 0;
    },

    async begin(query: Query, outlet: string): Promise<number> {
      const why = `more than ${STORM_LIMIT} new incidents within a minute`;
      const [row] = await query<{ id: number }[]>`
        insert into announcements (kind, outlet, state, why, content)
        values ('digest', ${outlet}, 'waiting', ${why}, '{}') returning id::int`;
      if (row === undefined) throw new Error("an insert returned no row");
      return row.id;
    },

    /** Ends storms after a minute that was within the limit. */
    async endOver(query: Query): Promise<void> {
      await query`
        update announcements d set content = d.content || jsonb_build_object('ended_at', now()), next_attempt_at = least(next_attempt_at, now())
        where d.kind = 'digest' and d.subject = '' and d.closed_at is null and not d.content ? 'ended_at'
          and d.created_at < now() - make_interval(secs => ${STORM_WINDOW_S})
          and (select count(*) from announcements a
            where a.outlet = d.outlet and a.kind = 'incident' and a.subject = ''
              and (a.state <> 'withheld' or a.digest_id is not null)
              and a.created_at > now() - make_interval(secs => ${STORM_WINDOW_S})) <= ${STORM_LIMIT}`;
    },
  };
}

export type StormStore = ReturnType<typeof createStormStore>;
