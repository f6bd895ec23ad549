import type { Sql } from "postgres";

/** The SQL of incidents whose sender has a name of its own for each. */
export function createNamedStore(sql: Sql) {
  return {
    /** Of these fingerprints: whose the open one is, and which one ended last; null where there is none. */
    async named(
      fingerprints: readonly string[],
    ): Promise<Map<string, { openAt: string | null; ended: number | null }>> {
      if (fingerprints.length === 0) return new Map();
      const wanted = fingerprints as string[];
      const rows = await sql<{ fingerprint: string; openAt: string | null; ended: number | null }[]>`
        select f.fingerprint, o.agent_id as "openAt", (
          select max(e.id) from incidents e where e.fingerprint = f.fingerprint and e.status = 'resolved') as ended
        from unnest(${wanted}::uuid[]) f(fingerprint) left join incidents o
          on o.fingerprint = f.fingerprint and o.origin = 'integration' and o.status <> 'resolved'`;
      return new Map(rows.map(({ fingerprint, ...found }) => [fingerprint, found]));
    },
  };
}
