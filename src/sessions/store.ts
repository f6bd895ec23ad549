import type { Sql } from "postgres";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** The SQL of sessions. Their time is the database's, which is the same for all nodes. */
export function createSessionStore(sql: Sql) {
  return {
    async create(secretHash: string, lifetimeMs: number): Promise<void> {
      await sql`
        insert into sessions (secret_hash, expires_at) values (${secretHash}, now() + ${lifetimeMs} * interval '1 ms')`;
    },

    /** When each of those that are not over ends. */
    async find(secretHashes: string[]): Promise<Map<string, Date>> {
      const rows = await sql<{ secretHash: string; expiresAt: Date }[]>`
        select secret_hash as "secretHash", expires_at as "expiresAt" from sessions
        where secret_hash = any(${secretHashes}) and expires_at > now()`;
      return new Map(rows.map(({ secretHash, expiresAt }) => [secretHash, expiresAt]));
    },

    async end(secretHash: string): Promise<void> {
      await sql`delete from sessions where secret_hash = ${secretHash}`;
    },

    /** Deletes some of those that are over; how many. */
    async deleteOver(): Promise<number> {
      const deleted = await sql`
        delete from sessions where secret_hash in (
          select secret_hash from sessions where expires_at <= now() limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

export type SessionStore = ReturnType<typeof createSessionStore>;
