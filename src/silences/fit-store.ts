import type { PendingQuery, Row, Sql } from "postgres";
import { likeOf } from "../lib/glob.ts";
import type { Silence, SilenceFit } from "./model.ts";

/** Open incidents that are looked through at most: a tenth of a second. */
const LOOK_MAX = 100_000;
/** What is shown of them. */
const NEWEST = 5;

type Subject = Pick<Silence, "agent" | "type" | "source" | "fingerprint">;

/** The SQL of what silences speak of: the same rule as the service's, over all open incidents in one pass. */
export function createFitStore(sql: Sql, lookMax = LOOK_MAX) {
  const all = (conditions: readonly (PendingQuery<Row[]> | undefined)[]) =>
    conditions.reduce<PendingQuery<Row[]>>((whole, one) => (one ? sql`${whole} and ${one}` : whole), sql`true`);
  const like = (column: PendingQuery<Row[]>, pattern: string | null) =>
    pattern === null ? undefined : sql`${column} like ${likeOf(pattern)}`;

  /** One problem, which an index finds. */
  function isOfProblem({ agent, type, source, fingerprint }: Subject): PendingQuery<Row[]> {
    if (fingerprint === null) return sql`true`;
    return sql`i.agent_id = ${agent}::uuid and i.type = ${type} and i.source = ${source} and i.fingerprint = ${fingerprint}`;
  }

  function fits({ agent, type, source, fingerprint }: Subject): PendingQuery<Row[]> {
    if (fingerprint !== null) return sql`true`;
    const pattern = agent === null ? null : likeOf(agent.toLowerCase());
    const ofAgent =
      pattern === null
        ? undefined
        : sql`i.agent_id in (
            select a.id from agents a where a.id::text like ${pattern} or lower(coalesce(a.hostname, '')) like ${pattern})`;
    return all([like(sql`i.type`, type), like(sql`i.source`, source), ofAgent]);
  }

  return {
    async find(subject: Subject): Promise<SilenceFit> {
      const [row] = await sql<{ looked: number; total: number; ids: number[] }[]>`
        with looked as materialized (
          select i.id, ${fits(subject)} as fits from incidents i
          where i.status <> 'resolved' and ${isOfProblem(subject)} limit ${lookMax + 1})
        select count(*)::int as looked, (count(*) filter (where fits))::int as total,
          array(select id from looked where fits order by id desc limit ${NEWEST}) as ids from looked`;
      const { looked = 0, total = 0, ids = [] } = row ?? {};
      return { total, is_exact: looked <= lookMax, newest: await shown(ids) };
    },
  };

  async function shown(ids: readonly number[]): Promise<SilenceFit["newest"]> {
    return sql<SilenceFit["newest"]>`
      select i.id, i.agent_id, coalesce(a.hostname, a.id::text) as host, i.type, i.source
      from incidents i join agents a on a.id = i.agent_id where i.id = any(${ids as number[]}::int[]) order by i.id desc`;
  }
}

export type FitStore = ReturnType<typeof createFitStore>;
