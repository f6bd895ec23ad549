import type { Sql } from "postgres";

/** Incidents of one transaction: short enough to hold no alert up. */
const CHUNK_ROWS = 200;
/** "ops qui": who resolves by quiet now. */
const QUIET_LOCK = 0x6f70_7371;

/** The SQL of incidents that nobody hears of any more. */
export function createQuietStore(sql: Sql) {
  return {
    /**
     * Resolves a chunk of what had no alert for `quietMs`, and says how many; 0, too, while another node does so. The agents'
     * locks keep their alerts out meanwhile, and the age is looked at again under them. An agent's silence is one alert,
     * however long it lasts: its incident is not quiet before the agent is back.
     */
    async resolveChunk(quietMs: number, reason: string): Promise<number> {
      return (await sql.begin(async (tx) => {
        const [lock] = await tx<{ is: boolean }[]>`select pg_try_advisory_xact_lock(${QUIET_LOCK}) as is`;
        if (lock?.is !== true) return 0;
        const quiet = await tx<{ id: number; agent: string }[]>`
          select i.id, i.agent_id::text as agent from incidents i join agents a on a.id = i.agent_id
          where i.status <> 'resolved' and i.last_seen_at < now() - ${quietMs} * interval '1 ms'
            and not (i.type = 'host' and i.source = 'agent' and a.silent_since is not null and a.deleted_at is null)
          order by i.id limit ${CHUNK_ROWS}`;
        if (quiet.length === 0) return 0;
        await tx`
          select pg_advisory_xact_lock(hashtextextended(agent, 0))
          from (select distinct agent from unnest(${quiet.map(({ agent }) => agent)}::text[]) agent order by agent) agents`;
        const resolved = await tx`
          with resolved as (
            update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), reason = ${reason}::text
            where id = any(${quiet.map(({ id }) => id)}::int[]) and status <> 'resolved'
              and last_seen_at < now() - ${quietMs} * interval '1 ms' returning id, agent_id)
          insert into events (kind, actor, agent_id, incident_id, data)
          select 'resolved', 'system', agent_id, id, jsonb_build_object('reason', ${reason}::text) from resolved`;
        return resolved.count;
      })) as number;
    },
  };
}

export type QuietStore = ReturnType<typeof createQuietStore>;
