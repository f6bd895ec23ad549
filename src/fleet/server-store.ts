import type { Sql } from "postgres";
import { SERVER_AGENT_ID } from "../protocol/server-agent.ts";

/** No token has this hash. */
const NO_TOKEN = "the server itself";

/** The SQL of the server's own incidents, which stand as those of any host that is gone. */
export function createServerStore(sql: Sql) {
  return {
    /** Makes the row, which has the name of the machine. */
    async prepare(hostname: string): Promise<void> {
      await sql`
        insert into agents (id, token_hash, hostname, deleted_at) values (${SERVER_AGENT_ID}, ${NO_TOKEN}, ${hostname}, now())
        on conflict (id) do update set hostname = excluded.hostname where agents.hostname is distinct from excluded.hostname`;
    },

    /** The sources of which an incident of the server's own is open. */
    async openSources(): Promise<string[]> {
      const rows = await sql<{ source: string }[]>`
        select distinct source from incidents
        where agent_id = ${SERVER_AGENT_ID} and origin = 'server' and status <> 'resolved'`;
      return rows.map(({ source }) => source);
    },
  };
}

export type ServerStore = ReturnType<typeof createServerStore>;
