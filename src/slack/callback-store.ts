import type { Sql } from "postgres";

/** Remembers which callbacks were taken, over all nodes and restarts. */
export interface CallbackStore {
  /** Whether it is new; from now on it is not. What was seen more than 10 minutes ago is forgotten: its signature is stale. */
  remember(digest: string): Promise<boolean>;
}

/** The SQL of seen callbacks. */
export function createCallbackStore(sql: Sql): CallbackStore {
  return {
    async remember(digest) {
      await sql`delete from slack_callbacks where seen_at < now() - interval '10 minutes'`;
      const rows = await sql`
        insert into slack_callbacks (digest) values (${digest}) on conflict do nothing returning digest`;
      return rows.length > 0;
    },
  };
}
