import type { Sql } from "postgres";

/** Strangers can begin sign-ins: beyond it the oldest go. */
const ROWS_MAX = 10_000;
/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** A sign-in that is under way. */
export interface OpenSignIn {
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
}

/** The SQL of sign-ins that are under way. Their time is the database's, which is the same for all nodes. */
export function createOidcStore(sql: Sql) {
  return {
    async begin(keys: { stateHash: string; browserHash: string }, one: OpenSignIn, lifetimeMs: number): Promise<void> {
      await sql`
        with excess as (
          delete from oidc_sign_ins where state_hash in (
            select state_hash from oidc_sign_ins order by expires_at desc offset ${ROWS_MAX - 1} limit ${CHUNK_ROWS}
            for update skip locked))
        insert into oidc_sign_ins (state_hash, browser_hash, nonce, verifier, return_to, expires_at)
        values (${keys.stateHash}, ${keys.browserHash}, ${one.nonce}, ${one.verifier}, ${one.returnTo},
          now() + ${lifetimeMs} * interval '1 ms')`;
    },

    /** Takes it, so that nobody else can; undefined where this browser has none with this state, or no longer. */
    async take(keys: { stateHash: string; browserHash: string }): Promise<OpenSignIn | undefined> {
      const [taken] = await sql<(OpenSignIn & { isOpen: boolean })[]>`
        delete from oidc_sign_ins where state_hash = ${keys.stateHash} and browser_hash = ${keys.browserHash}
        returning nonce, verifier, return_to as "returnTo", expires_at > now() as "isOpen"`;
      return taken?.isOpen ? taken : undefined;
    },

    /** Deletes some of those that nobody came back to; how many. */
    async deleteOver(): Promise<number> {
      const deleted = await sql`
        delete from oidc_sign_ins where state_hash in (
          select state_hash from oidc_sign_ins where expires_at <= now() limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

export type OidcStore = ReturnType<typeof createOidcStore>;
