import type { Sql, TransactionSql } from "postgres";
import { tellChanged } from "../db/changes.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Enrolment } from "./model.ts";

/** Rows of one DELETE. */
const CHUNK_ROWS = 1_000;

/** The enrolment token has no use left: nothing of the transaction is kept. */
class NoUseLeft extends Error {}

async function findAgent(tx: TransactionSql, tokenHash: string): Promise<string | undefined> {
  const [known] = await tx<{ id: string }[]>`
    select id from agents where token_hash = ${tokenHash} and deleted_at is null`;
  return known?.id;
}

/** The SQL of enrolment tokens; `audit` keeps who made or revoked them, and which hosts came by them. */
export function createEnrolmentStore(sql: Sql, audit: Pick<IncidentWriter, "note">) {
  const begin = <T>(work: (tx: TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>;
  const columns = sql`id, uses_max as uses, uses_max - uses as uses_left, until, created_at, created_by`;
  const isGood = sql`revoked_at is null and until > now() and uses < uses_max`;

  return {
    /** Those of these hashes whose token has a use left. */
    async findGood(hashes: string[]): Promise<Set<string>> {
      const rows = await sql<{ hash: string }[]>`
        select token_hash as hash from enrolments where token_hash = any(${hashes}) and ${isGood}`;
      return new Set(rows.map(({ hash }) => hash));
    },

    /** Makes the agent by one use of the enrolment token, unless another node has just done so; undefined where no use is left. */
    async enrol(agent: { id: string; tokenHash: string }, enrolmentHash: string): Promise<string | undefined> {
      try {
        return await begin(async (tx) => {
          const [made] = await tx<{ id: string }[]>`
            insert into agents (id, token_hash) values (${agent.id}, ${agent.tokenHash})
            on conflict (token_hash) do nothing returning id`;
          if (!made) return await findAgent(tx, agent.tokenHash);
          const [used] = await tx<{ id: string }[]>`
            update enrolments set uses = uses + 1 where token_hash = ${enrolmentHash} and ${isGood} returning id`;
          if (!used) throw new NoUseLeft();
          const data = { enrolment_id: used.id };
          await audit.note(tx, [{ kind: "agent.enrolled", actor: "agent", agentId: made.id, data }]);
          await tellChanged(tx, "agents", [made.id]);
          return made.id;
        });
      } catch (error) {
        if (error instanceof NoUseLeft) return undefined;
        throw error;
      }
    },

    async list(limit: number, cursor: string | undefined): Promise<Enrolment[]> {
      return sql<Enrolment[]>`
        select ${columns} from enrolments
        where ${isGood} and (${cursor === undefined} or (created_at, id) < (
          select created_at, id from enrolments where id = ${cursor ?? null}::uuid))
        order by created_at desc, id desc limit ${limit}`;
    },

    async create(
      { id, hash, uses, until }: { id: string; hash: string; uses: number; until: Date },
      actor: string,
    ): Promise<Enrolment> {
      return begin(async (tx) => {
        const [made] = await tx<Enrolment[]>`
          insert into enrolments (id, token_hash, uses_max, until, created_by)
          values (${id}, ${hash}, ${uses}, ${until}, ${actor}) returning ${columns}`;
        await audit.note(tx, [{ kind: "enrolment.created", actor, data: { enrolment_id: id, uses, until } }]);
        return made as Enrolment;
      });
    },

    async revoke(id: string, actor: string): Promise<boolean> {
      return begin(async (tx) => {
        const revoked = await tx`update enrolments set revoked_at = now() where id = ${id} and ${isGood}`;
        if (revoked.count === 0) return false;
        await audit.note(tx, [{ kind: "enrolment.revoked", actor, data: { enrolment_id: id } }]);
        return true;
      });
    },

    /** Forgets some of those that ended long ago; how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from enrolments where id in (
          select id from enrolments where until < now() - ${retentionMs} * interval '1 ms'
          limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

export type EnrolmentStore = ReturnType<typeof createEnrolmentStore>;
