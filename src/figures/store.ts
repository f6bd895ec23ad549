import type { Sql } from "postgres";
import { writeArray } from "../db/arrays.ts";
import { combined, type FigureTable, firstMinute, minuteNow, probed, readProgress } from "./combine-store.ts";

/** One host's figures of one minute. */
export interface FigureRow {
  agentId: string;
  samples: number;
  names: readonly string[];
  /** For each name the least, the mean and the most. */
  stats: readonly (readonly number[])[];
}

/** What is stored of one step of one host. */
export interface StoredFigures {
  minute: number;
  names: string[];
  stats: number[][];
}

/** Minutes of one host, `toMinute` not included; both on a step. */
export interface MinuteRange {
  agentId: string;
  fromMinute: number;
  toMinute: number;
}

/** Minutes before and after an incident's first alert that are kept with it. */
export const AROUND_MINUTES = 30;

/** The SQL that writes and reads figures; upkeep-store.ts has what keeps their tables small. */
export function createFigureStore(sql: Sql) {
  return {
    /**
     * Writes figures of one minute, the one that was so long ago, and merges them with what other nodes wrote of it. Says what time
     * it is by the database's clock, Unix milliseconds. What that clock calls the future was written before it was put back: looked
     * for by the last minute alone, since the planner would read the whole table. Rows are written in order, so that no two nodes wait for each other.
     */
    async write(ageMs: number, rows: readonly FigureRow[]): Promise<number> {
      const [row] = await sql<{ now: number }[]>`
        with at as (
          select least(floor(extract(epoch from now() - ${ageMs} * interval '1 ms') / 60)::int, ${minuteNow(sql)}) as minute),
        ahead as (
          delete from figures_1m where minute > ${minuteNow(sql)} and (select max(minute) from figures_1m) > ${minuteNow(sql)}),
        late as (update figures_rolled set until_minute = at.minute / 60 * 60 from at where until_minute > at.minute),
        written as (
          insert into figures_1m as f (agent_id, minute, samples, names, stats)
          select t.agent_id, (select minute from at), t.samples, t.names::text[], t.stats::real[]
          from unnest(${rows.map(({ agentId }) => agentId)}::uuid[], ${rows.map(({ samples }) => samples)}::int[],
            ${rows.map(({ names }) => writeArray(names, String))}::text[],
            ${rows.map(({ stats }) => writeArray(stats, String))}::text[]) t (agent_id, samples, names, stats)
          join agents a on a.id = t.agent_id and a.deleted_at is null
          order by t.agent_id
          on conflict (minute, agent_id) do update set (samples, names, stats) = (
            select c.samples, c.names, c.stats from (${combined(
              sql,
              sql`
              select f.agent_id, f.minute, f.samples, f.names, f.stats
              union all select excluded.agent_id, excluded.minute, excluded.samples, excluded.names, excluded.stats`,
            )}) c))
        select extract(epoch from now())::float8 * 1000 as now`;
      return row?.now ?? 0;
    },

    progress: () => readProgress(sql),

    /** Minutes as they were written. */
    readMinutes: ({ agentId, fromMinute, toMinute }: MinuteRange): Promise<StoredFigures[]> => sql<StoredFigures[]>`
      select minute, names, stats
      from (${probed(sql, "figures_1m", { agentIds: [agentId], minutes: series(fromMinute, toMinute, 1) })}) f`,

    /** Steps of so many minutes; those that are not rolled up yet are made of their minutes. */
    readSteps(
      { agentId, fromMinute, toMinute }: MinuteRange,
      { table, minutes, rolledUntil }: { table: FigureTable; minutes: number; rolledUntil: number },
    ): Promise<StoredFigures[]> {
      const agentIds = [agentId];
      const rolled = series(fromMinute, Math.min(toMinute, rolledUntil), minutes);
      const young = series(Math.max(fromMinute, rolledUntil), toMinute, 1);
      const rows = sql`
        select f.agent_id, f.minute / ${minutes}::int * ${minutes}::int as minute, f.samples, f.names, f.stats
        from (${probed(sql, "figures_1m", { agentIds, minutes: young })}) f`;
      return sql<StoredFigures[]>`
        select minute, names, stats from (${probed(sql, table, { agentIds, minutes: rolled })}) f
        union all select minute, names, stats from (${combined(sql, rows)}) c`;
    },

    /** Around which minute of which host an incident's figures are; undefined when there is no such incident. */
    async findWindow(incidentId: number): Promise<{ agentId: string; minute: number } | undefined> {
      const [row] = await sql<{ agentId: string; minute: number }[]>`
        select i.agent_id as "agentId", coalesce(w.minute, ${firstMinute(sql)}) as minute
        from incidents i left join figure_windows w on w.incident_id = i.id where i.id = ${incidentId}`;
      return row;
    },

    /** Minutes that are kept with incidents, and those that are not that old yet. */
    readKept: ({ agentId, fromMinute, toMinute }: MinuteRange): Promise<StoredFigures[]> => sql<StoredFigures[]>`
      select minute, names, stats from figures_kept
      where agent_id = ${agentId} and minute >= ${fromMinute} and minute < ${toMinute}
      union all select minute, names, stats
      from (${probed(sql, "figures_1m", { agentIds: [agentId], minutes: series(fromMinute, toMinute, 1) })}) f`,
  };

  function series(fromMinute: number, toMinute: number, minutes: number) {
    return sql`select generate_series(${fromMinute}::int, ${toMinute - 1}::int, ${minutes}::int)`;
  }
}

export type FigureStore = ReturnType<typeof createFigureStore>;
