import type { Sql } from "postgres";

/** The SQL of incidents whose sender has a name of its own for each. */
export function createNamedStore(sql: Sql) {
  return {
    /** Whose the open ones of these fingerprints are. */
    async openNamed(fingerprints: readonly string[]): Promise<Map<string, string>> {
      if (fingerprints.length === 0) return new Map();
      const rows = await sql<{ fingerprint: string; agentId: string }[]>`
        select fingerprint, agent_id as "agentId" from incidents
        where fingerprint = any(${fingerprints as string[]}::uuid[]) and origin = 'integration' and status <> 'resolved'`;
      return new Map(rows.map(({ fingerprint, agentId }) => [fingerprint, agentId]));
    },
  };
}
