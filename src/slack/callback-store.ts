import type { Sql } from "postgres";
import type { BlockActions } from "./callback.ts";

/** Who takes a press has this long; then another may. */
const CLAIM_SECONDS = 15;
const CLAIM_MAX = 20;

/** A press that is kept until something came of it. */
export interface KeptPress {
  readonly hash: string;
  readonly press: BlockActions;
  readonly ageS: number;
}

/** The SQL of Slack's callbacks, over all nodes and restarts. */
export function createCallbackStore(sql: Sql) {
  return {
    /**
     * Keeps a callback, with what was pressed, where that is anything; false when it was taken before. What was seen more than 10
     * minutes ago and is handled is forgotten: its signature is stale.
     */
    async keep(hash: string, press: BlockActions | undefined): Promise<boolean> {
      await sql`delete from slack_callbacks where seen_at < now() - interval '10 minutes' and due_at is null`;
      const payload = press === undefined ? null : sql.json(press as never);
      const kept = await sql`
        insert into slack_callbacks (hash, payload, due_at)
        values (${hash}, ${payload}, case when ${press !== undefined}::boolean then now() + make_interval(secs => ${CLAIM_SECONDS}) end)
        on conflict do nothing returning hash`;
      return kept.count > 0;
    },

    /** Something came of it. */
    async settle(hash: string): Promise<void> {
      await sql`update slack_callbacks set payload = null, due_at = null where hash = ${hash}`;
    },

    /** Takes what is due, for this caller alone for a while; and the milliseconds until more is due, null where there is none. */
    async claimDue(): Promise<{ taken: KeptPress[]; nextMs: number | null }> {
      const [row] = await sql<{ taken: KeptPress[]; nextMs: number | null }[]>`
        with taken as (
          update slack_callbacks set due_at = now() + make_interval(secs => ${CLAIM_SECONDS})
          where hash in (
            select hash from slack_callbacks where due_at <= now() order by due_at limit ${CLAIM_MAX} for update skip locked)
          returning hash, payload as press, extract(epoch from now() - seen_at)::float8 as "ageS")
        select (select coalesce(jsonb_agg(taken), '[]') from taken) as taken,
          (select extract(epoch from min(due_at) - clock_timestamp())::float8 * 1000 from slack_callbacks
            where due_at is not null and hash not in (select hash from taken)) as "nextMs"`;
      return row ?? { taken: [], nextMs: null };
    },
  };
}

export type CallbackStore = ReturnType<typeof createCallbackStore>;
