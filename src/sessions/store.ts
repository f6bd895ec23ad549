import type { Sql } from "postgres";
import type { Role } from "../protocol/roles.ts";
import type { Person, Session, SessionOwner } from "./model.ts";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** Whose session it is to be: of a token, of ADMIN_TOKEN (null), or of a person, with the id of no token. */
export interface SessionStart {
  readonly tokenId: string | null;
  readonly person: Person | null;
}

interface Row {
  readonly hash: string;
  readonly endsAt: Date;
  readonly tokenId: string | null;
  readonly name: string;
  readonly role: Role;
  readonly isPerson: boolean;
}

/** The SQL of sessions. Their time is the database's, which is the same for all nodes. */
export function createSessionStore(sql: Sql) {
  return {
    async create(secretHash: string, lifetimeMs: number, { tokenId, person }: SessionStart): Promise<void> {
      await sql`
        insert into sessions (secret_hash, expires_at, token_id, person_name, person_role)
        values (${secretHash}, now() + ${lifetimeMs} * interval '1 ms', ${tokenId}, ${person?.name ?? null},
          ${person?.role ?? null})`;
    },

    /** Those that are not over, and whose token is good. */
    async find(secretHashes: string[]): Promise<Map<string, Session>> {
      const rows = await sql<Row[]>`
        select s.secret_hash as hash, least(s.expires_at, t.until) as "endsAt", s.token_id as "tokenId",
          coalesce(s.person_name, t.name) as name, coalesce(s.person_role, t.role) as role,
          s.person_name is not null as "isPerson"
        from sessions s left join access_tokens t on t.id = s.token_id
        where s.secret_hash = any(${secretHashes}) and s.expires_at > now()
          and (s.token_id is null or s.person_name is not null
            or t.id is not null and t.revoked_at is null and (t.until is null or t.until > now()))`;
      return new Map(rows.map((row) => [row.hash, { endsAt: row.endsAt, owner: ownerOf(row) }]));
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

function ownerOf({ tokenId, name, role, isPerson }: Row): SessionOwner {
  if (isPerson) return { by: "oidc", name, role };
  return tokenId === null ? { by: "admin" } : { by: "token", id: tokenId, name, role };
}

export type SessionStore = ReturnType<typeof createSessionStore>;
