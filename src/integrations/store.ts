import type { Sql, TransactionSql } from "postgres";
import type { JobSpec } from "../cron/model.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Integration, Sender, WantedIntegration } from "./model.ts";

const UNIQUE_VIOLATION = "23505";

interface StoreDeps {
  sql: Sql;
  /** Keeps who made or revoked them. */
  audit: Pick<IncidentWriter, "note">;
  /** Makes the row that holds the incidents which are of no host. */
  addHolder: (tx: TransactionSql, id: string, name: string) => Promise<void>;
  /** Makes a job's row. */
  addJob: (tx: TransactionSql, id: string, spec: JobSpec) => Promise<void>;
}

/** The SQL of integrations. Their time is the database's, which is the same for all nodes. */
export function createIntegrationStore({ sql, audit, addHolder, addJob }: StoreDeps) {
  const begin = <T>(work: (tx: TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>;
  const columns = sql`id, kind, name, created_at, created_by, last_used_at`;

  return {
    /** Those of these hashes whose token is good. That they were used is kept by the minute. */
    async find(hashes: string[]): Promise<Map<string, Sender>> {
      const rows = await sql<(Sender & { hash: string })[]>`
        with used as (
          update integrations set last_used_at = now()
          where token_hash = any(${hashes}) and revoked_at is null
            and (last_used_at is null or last_used_at < now() - interval '1 minute'))
        select token_hash as hash, id, kind, name from integrations
        where token_hash = any(${hashes}) and revoked_at is null`;
      return new Map(rows.map(({ hash, ...sender }) => [hash, sender]));
    },

    async list(limit: number, cursor: string | undefined): Promise<Integration[]> {
      return sql<Integration[]>`
        select ${columns} from integrations
        where revoked_at is null and (${cursor === undefined} or (created_at, id) < (
          select created_at, id from integrations where id = ${cursor ?? null}::uuid))
        order by created_at desc, id desc limit ${limit}`;
    },

    async create(
      wanted: WantedIntegration & { id: string; hash: string },
      max: number,
      actor: string,
    ): Promise<Integration | "name_taken" | "too_many_integrations"> {
      const { id, hash, kind, name, job } = wanted;
      try {
        return await begin(async (tx) => {
          const [made] = await tx<Integration[]>`
            insert into integrations (id, kind, name, token_hash, created_by)
            select ${id}, ${kind}, ${name}, ${hash}, ${actor}
            where (select count(*) from integrations where revoked_at is null) < ${max}::int returning ${columns}`;
          if (!made) return "too_many_integrations";
          await addHolder(tx, id, name);
          if (job !== undefined) await addJob(tx, id, job);
          await audit.note(tx, [{ kind: "integration.created", actor, data: { integration_id: id, kind, name } }]);
          return made;
        });
      } catch (error) {
        if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return "name_taken";
        throw error;
      }
    },

    async rotate(id: string, hash: string, actor: string): Promise<Integration | undefined> {
      return begin(async (tx) => {
        const [row] = await tx<Integration[]>`
          update integrations set token_hash = ${hash} where id = ${id} and revoked_at is null returning ${columns}`;
        if (!row) return undefined;
        const data = { integration_id: id, kind: row.kind, name: row.name };
        await audit.note(tx, [{ kind: "integration.rotated", actor, data }]);
        return row;
      });
    },

    async revoke(id: string, actor: string): Promise<boolean> {
      return begin(async (tx) => {
        const [row] = await tx<{ kind: string; name: string }[]>`
          update integrations set revoked_at = now() where id = ${id} and revoked_at is null returning kind, name`;
        if (!row) return false;
        await audit.note(tx, [{ kind: "integration.revoked", actor, data: { integration_id: id, ...row } }]);
        return true;
      });
    },
  };
}

export type IntegrationStore = ReturnType<typeof createIntegrationStore>;
