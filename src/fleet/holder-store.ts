import type { Sql, TransactionSql } from "postgres";

/** The SQL by which incidents that no agent sends belong to somebody all the same. */
export function createHolderStore(sql: Sql) {
  return {
    /**
     * Makes a row that holds incidents of no host, by this name. It is deleted from its beginning, so that it is in no list and no count,
     * is never missed, and nobody can connect as it: no token has its hash.
     */
    async add(tx: TransactionSql, id: string, name: string): Promise<void> {
      await tx`
        insert into agents (id, token_hash, hostname, deleted_at) values (${id}, ${`integration ${id}`}, ${name}, now())`;
    },

    /** The agents of hosts, by name in small letters; of two with the same name the one that was heard last. */
    async hosts(): Promise<Map<string, string>> {
      const rows = await sql<{ name: string; id: string }[]>`
        select lower(hostname) as name, id from agents where deleted_at is null and hostname is not null
        order by last_seen_at nulls first`;
      return new Map(rows.map(({ name, id }) => [name, id]));
    },
  };
}
