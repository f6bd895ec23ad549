import type { Sql } from "postgres";
import type { Role } from "../protocol/roles.ts";
import type { Session } from "./model.ts";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** The SQL of sessions. Their time is the database's, which is the same for all nodes. */
export function createSessionStore(sql: Sql) {
  return {
    async create(secretHash: string, lifetimeMs: number, tokenId: string | null): Promise<void> {
      await sql`
        insert into sessions (secret_hash, expires_at, token_id)
        values (${secretHash}, now() + ${lifetimeMs} * interval '1 ms', ${tokenId})`;
    },

    /** Those that are not over, and whose token is good. */
    async find(secretHashes: string[]): Promise<Map<string, Session>> {
      const rows = await sql<{ hash: string; endsAt: Date; id: string | null; name: string; role: Role }[]>`
        select s.secret_hash as hash, least(s.expires_at, t.until) as "endsAt", s.token_id as id, t.name, t.role
        from sessions s left join access_tokens t on t.id = s.token_id
        where s.secret_hash = any(${secretHashes}) and s.expires_at > now() and (s.token_id is null
          or t.id is not null and t.revoked_at is null and (t.until is null or t.until > now()))`;
      return new Map(
        rows.map(({ hash, endsAt, id, name, role }) => [
          hash,
          { endsAt, token: id === null ? null : { id, name, role } },
        ]),
      );
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
