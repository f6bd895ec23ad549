import type { Sql, TransactionSql } from "postgres";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Role } from "../protocol/roles.ts";
import type { AccessToken, NewAccessToken } from "./model.ts";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;
const UNIQUE_VIOLATION = "23505";

/** A token's last use, which was so long ago. */
export interface Use {
  readonly tokenId: string;
  readonly ageMs: number;
  readonly address: string;
}

/** The SQL of access tokens. Their time is the database's, which is the same for all nodes; `audit` keeps who made or revoked them. */
export function createAccessStore(sql: Sql, audit: Pick<IncidentWriter, "note">) {
  const begin = <T>(work: (tx: TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>;
  const columns = sql`id, name, role, created_at, created_by, until as expires_at, last_used_at, last_used_from`;
  const isGood = sql`revoked_at is null and (until is null or until > now())`;

  return {
    /** Those of these hashes whose token is good. */
    async find(hashes: string[]): Promise<Map<string, { id: string; name: string; role: Role }>> {
      const rows = await sql<{ hash: string; id: string; name: string; role: Role }[]>`
        select token_hash as hash, id, name, role from access_tokens where token_hash = any(${hashes}) and ${isGood}`;
      return new Map(rows.map(({ hash, ...token }) => [hash, token]));
    },

    async list(limit: number, cursor: string | undefined): Promise<AccessToken[]> {
      return sql<AccessToken[]>`
        select ${columns} from access_tokens
        where ${isGood} and (${cursor === undefined} or (created_at, id) < (
          select created_at, id from access_tokens where id = ${cursor ?? null}::uuid))
        order by created_at desc, id desc limit ${limit}`;
    },

    /** One that has expired leaves its name to the next. */
    async create(
      token: NewAccessToken & { id: string; hash: string },
      max: number,
      actor: string,
    ): Promise<AccessToken | "name_taken" | "too_many_tokens"> {
      const { id, hash, name, role, expiresAt } = token;
      try {
        return await begin(async (tx) => {
          await tx`
            update access_tokens set revoked_at = now()
            where lower(name) = lower(${name}) and revoked_at is null and until <= now()`;
          const [made] = await tx<AccessToken[]>`
            insert into access_tokens (id, name, role, token_hash, created_by, until)
            select ${id}, ${name}, ${role}, ${hash}, ${actor}, ${expiresAt}
            where (select count(*) from access_tokens where ${isGood}) < ${max}::int returning ${columns}`;
          if (!made) return "too_many_tokens";
          const data = { token_id: id, name, role, expires_at: expiresAt };
          await audit.note(tx, [{ kind: "token.created", actor, data }]);
          return made;
        });
      } catch (error) {
        if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return "name_taken";
        throw error;
      }
    },

    async revoke(id: string, actor: string): Promise<boolean> {
      return begin(async (tx) => {
        const [revoked] = await tx<{ name: string; role: Role }[]>`
          update access_tokens set revoked_at = now() where id = ${id} and ${isGood} returning name, role`;
        if (!revoked) return false;
        await audit.note(tx, [{ kind: "token.revoked", actor, data: { token_id: id, ...revoked } }]);
        return true;
      });
    },

    async writeUses(uses: readonly Use[]): Promise<void> {
      await sql`
        update access_tokens t set last_used_at = now() - u.age_ms * interval '1 ms', last_used_from = u.address
        from unnest(${uses.map(({ tokenId }) => tokenId)}::uuid[], ${uses.map(({ ageMs }) => ageMs)}::float8[],
          ${uses.map(({ address }) => address)}::text[]) u (id, age_ms, address)
        where t.id = u.id and (t.last_used_at is null or t.last_used_at < now() - u.age_ms * interval '1 ms')`;
    },

    /** Forgets some of those that have long been no good; how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from access_tokens where id in (
          select id from access_tokens
          where least(revoked_at, until) < now() - ${retentionMs} * interval '1 ms' limit ${CHUNK_ROWS}
          for update skip locked)`;
      return deleted.count;
    },
  };
}

export type AccessStore = ReturnType<typeof createAccessStore>;
