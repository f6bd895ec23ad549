import type { Sql, TransactionSql } from "postgres";

/** "ops sil": who decides now which agents are silent. */
const LOST_LOCK = 0x6f70_7373;
/** Agents that are looked at together: of a large fleet that is gone the rest comes with the next look. */
const AGENTS_MAX = 1_000;
const CHUNK_ROWS = 2_000;

/** How long after the last sign of life, in milliseconds; see silent.ts. */
export interface LostLimits {
  silentAfterMs: number;
  goodbyeMs: number;
}

/** An agent that is silent, or was until a moment ago. Ages are by the database's clock. */
export interface LostAgent {
  agentId: string;
  hostname: string | null;
  lastSeenAt: Date;
  /** Names the silence: exact to the millisecond. */
  silentSince: Date;
  silentMs: number;
  /** Since it was heard of again; null while it is silent. */
  backMs: number | null;
}

/** The SQL of silent agents. */
export function createLostStore(sql: Sql) {
  return {
    /**
     * Of several nodes one decides at a time; the others get undefined. A node without a lease does not know yet whether
     * there was an outage.
     */
    alone<T>(nodeId: string, task: (tx: TransactionSql) => Promise<T>): Promise<T | undefined> {
      return sql.begin(async (tx) => {
        const [row] = await tx<{ may: boolean }[]>`
          select pg_try_advisory_xact_lock(${LOST_LOCK}) and exists (
            select from nodes where id = ${nodeId} and lease_until > now()) as may`;
        return row?.may === true ? task(tx) : undefined;
      }) as Promise<T | undefined>;
    },

    /** Agents that have been silent for too long are so from now on. */
    async declare(tx: TransactionSql, { silentAfterMs, goodbyeMs }: LostLimits): Promise<number> {
      const rows = await tx`
        update agents a set silent_since = date_trunc('milliseconds', s.start)
        from (
          select id, greatest(last_seen_at, (select max(ended_at) from outages),
            goodbye_at + ${goodbyeMs} * interval '1 ms') as start
          from agents
          where deleted_at is null and silent_since is null and status = 'offline' and heartbeats >= 2
            and last_seen_at < now() - ${silentAfterMs} * interval '1 ms'
          order by id limit ${AGENTS_MAX} for no key update skip locked) s
        where a.id = s.id and s.start < now() - ${silentAfterMs} * interval '1 ms'`;
      return rows.count;
    },

    /** All that are silent, those that were heard of again first. */
    async find(tx: TransactionSql): Promise<LostAgent[]> {
      return tx<LostAgent[]>`
        select id as "agentId", hostname, seen as "lastSeenAt", silent_since as "silentSince",
          extract(epoch from now() - silent_since)::float8 * 1000 as "silentMs",
          case when seen > silent_since then
            extract(epoch from now() - case when connected > silent_since then connected else seen end)::float8 * 1000
          end as "backMs"
        from (
          select id, hostname, silent_since, date_trunc('milliseconds', last_seen_at) as seen,
            date_trunc('milliseconds', connected_at) as connected
          from agents where silent_since is not null and deleted_at is null) a
        order by seen > silent_since desc, silent_since desc limit ${AGENTS_MAX}`;
    },

    /** Which of these alerts are stored. */
    async findStored(tx: TransactionSql, uuids: readonly string[]): Promise<Set<string>> {
      const rows = await tx<{ uuid: string }[]>`
        select a.uuid from unnest(${uuids as string[]}::uuid[]) k (uuid)
        cross join lateral (select uuid from alerts where uuid = k.uuid limit 1) a`;
      return new Set(rows.map((row) => row.uuid));
    },

    /** The silence is over, and its recovery is stored. */
    async clear(tx: TransactionSql, agent: Pick<LostAgent, "agentId" | "silentSince">): Promise<void> {
      await tx`
        update agents set silent_since = null where id = ${agent.agentId} and silent_since = ${agent.silentSince}`;
    },

    /**
     * A node that began while another's lease was still good cannot tell at once whether that one lived. Some time later it
     * can: who lived has renewed its lease since. If nobody did, there was an outage until this node's start.
     */
    async noteLonelyStart(nodeId: string, leaseMs: number): Promise<void> {
      await sql`
        insert into outages (kind, ended_at)
        select 'no_node', me.started_at from nodes me
        where me.id = ${nodeId} and not exists (
          select from nodes other where other.id <> me.id and other.started_at < me.started_at
            and other.lease_until >= me.started_at + ${leaseMs} * interval '1 ms')`;
    },

    /** Forgets a chunk of outages that are so old, but never the last one; says how many. */
    async deleteOutages(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from outages where id in (
          select id from outages where ended_at < now() - ${retentionMs} * interval '1 ms'
            and ended_at < (select max(ended_at) from outages) limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

export type LostStore = ReturnType<typeof createLostStore>;
