import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";

type Query = Sql | TransactionSql;

/** Tables of figures whose key begins with the minute. */
export type FigureTable = "figures_1m" | "figures_5m" | "figures_1h";

/**
 * Figures of each minute and host as one: of each name the least, the most, and the mean by samples. `rows` has the columns of the
 * tables of figures; more than one of its rows may name the same minute and host.
 */
export function combined(query: Query, rows: PendingQuery<Row[]>) {
  return query`
    select agent_id, minute, max(samples)::int as samples, array_agg(name order by name) as names,
      array_agg(array[least, mean, most]::real[] order by name) as stats
    from (
      select r.agent_id, r.minute, s.name, sum(r.samples) as samples, min(r.stats[s.no::int][1]) as least,
        sum(r.stats[s.no::int][2]::float8 * r.samples) / sum(r.samples) as mean, max(r.stats[s.no::int][3]) as most
      from (${rows}) r cross join lateral unnest(r.names) with ordinality s (name, no)
      group by r.agent_id, r.minute, s.name) g
    group by agent_id, minute`;
}

/** These hosts' rows of a table, for each minute one probe of its index, whatever the planner believes of the table's size. */
export function probed(
  query: Query,
  table: FigureTable,
  keys: { agentIds: readonly string[]; minutes: PendingQuery<Row[]> },
) {
  return query`
    select f.* from unnest(${keys.agentIds as string[]}::uuid[]) k (agent_id) cross join (${keys.minutes}) m (minute)
    cross join lateral (
      select agent_id, minute, samples, names, stats from ${query(table)} where minute = m.minute and agent_id = k.agent_id limit 1) f`;
}

/** Now, in whole Unix minutes, by the database's clock. */
export function minuteNow(query: Query) {
  return query`floor(extract(epoch from now()) / 60)::int`;
}

/** How far figures are rolled up. */
export interface Progress {
  /** The present minute, by the database's clock. */
  nowMinute: number;
  /** Minutes before it, an hour's first, are rolled up. */
  rolledUntil: number;
}

/** What a clock said that was put back since counts as the present hour. */
export async function readProgress(query: Query): Promise<Progress> {
  const [row] = await query<{ nowMinute: number; rolledUntil: number | null }[]>`
    select ${minuteNow(query)} as "nowMinute",
      coalesce((select until_minute from figures_rolled), (select min(minute) / 60 * 60 from figures_1m)) as "rolledUntil"`;
  const { nowMinute = 0, rolledUntil = null } = row ?? {};
  const hour = nowMinute - (nowMinute % 60);
  return { nowMinute, rolledUntil: Math.min(rolledUntil ?? hour, hour) };
}

/**
 * The minute of an incident's first alert (`i` is the incident's row): it alone has no text of its own. It occurred before it was
 * received where its host was away meanwhile; once it is forgotten, the incident's own moment stands for it.
 */
export function firstMinute(query: Query) {
  return query`floor(extract(epoch from coalesce((
    select a.occurred_at from alerts a where a.incident_id = i.id and a.state = 'firing' and a.raw_error is null limit 1),
    i.created_at)) / 60)::int`;
}
