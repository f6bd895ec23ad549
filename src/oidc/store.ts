import type { Sql } from "postgres";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** The SQL of sign-ins whose answer has come. Their time is the database's, which is the same for all nodes. */
export function createOidcStore(sql: Sql) {
  return {
    /** Takes a sign-in's answer, so that nobody else can; whether nobody had, and its time is not over. */
    async take(stateHash: string, endsMs: number): Promise<boolean> {
      const taken = await sql`
        insert into oidc_sign_ins (state_hash, expires_at)
        select ${stateHash}, ends from (select to_timestamp(${endsMs / 1000}::float8) as ends) sign_in where ends > now()
        on conflict do nothing`;
      return taken.count === 1;
    },

    /** Deletes some of those whose answer would be too late by now anyhow; how many. */
    async deleteOver(): Promise<number> {
      const deleted = await sql`
        delete from oidc_sign_ins where state_hash in (
          select state_hash from oidc_sign_ins where expires_at <= now() limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

export type OidcStore = ReturnType<typeof createOidcStore>;
