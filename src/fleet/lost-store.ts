import type { Sql, TransactionSql } from "postgres";
import { LockKey } from "../db/lock-keys.ts";
import { alone, findStored } from "./teller-store.ts";

/** Agents that are looked at together: of a large fleet that is gone the rest comes with the next look. */
export const LOST_AGENTS_MAX = 1_000;
const CHUNK_ROWS = 2_000;

/** How long after the last sign of life, in milliseconds; see lost.ts. */
export interface LostLimits {
  lostAfterMs: number;
  goodbyeMs: number;
}

/** An agent that is lost, or was until a moment ago. Ages are by the database's clock. */
export interface LostAgent {
  agentId: string;
  hostname: string | null;
  lastSeenAt: Date;
  /** Names the loss: exact to the millisecond. */
  lostSince: Date;
  lostMs: number;
  /** Since it was heard of again; null while it is lost. */
  backMs: number | null;
}

/** The SQL of lost agents. */
export function createLostStore(sql: Sql) {
  /** When an agent counts as lost from; a clean goodbye and an outage put it off. */
  const lostFrom = ({ goodbyeMs }: LostLimits) => sql`
    greatest(last_seen_at, (select max(ended_at) from outages), goodbye_at + ${goodbyeMs} * interval '1 ms')`;
  const isMissed = sql`deleted_at is null and lost_since is null and status = 'offline' and heartbeats >= 2`;

  return {
    alone: <T>(nodeId: string, task: (tx: TransactionSql) => Promise<T>) =>
      alone(sql, { key: LockKey.lost, nodeId }, task),
    findStored,

    /** In how many milliseconds the next agent counts as lost, null when none is missed; and whether any is lost now. */
    async findDue(limits: LostLimits): Promise<{ dueMs: number | null; isAnyLost: boolean }> {
      const [row] = await sql<{ dueMs: number | null; isAnyLost: boolean }[]>`
        select extract(epoch from min(${lostFrom(limits)}) filter (where ${isMissed}) - now())::float8 * 1000
            + ${limits.lostAfterMs}::float8 as "dueMs",
          coalesce(bool_or(lost_since is not null), false) as "isAnyLost"
        from agents where deleted_at is null and (lost_since is not null or status = 'offline')`;
      return row ?? { dueMs: null, isAnyLost: false };
    },

    /** Agents that have not been heard of for too long are lost from now on. */
    async declare(tx: TransactionSql, limits: LostLimits): Promise<number> {
      const { lostAfterMs } = limits;
      const rows = await tx`
        update agents a set lost_since = date_trunc('milliseconds', s.start)
        from (
          select id, ${lostFrom(limits)} as start from agents
          where ${isMissed} and last_seen_at < now() - ${lostAfterMs} * interval '1 ms'
          order by id limit ${LOST_AGENTS_MAX} for no key update skip locked) s
        where a.id = s.id and s.start < now() - ${lostAfterMs} * interval '1 ms'`;
      return rows.count;
    },

    /** All that are lost, those that were heard of again first. */
    async find(tx: TransactionSql): Promise<LostAgent[]> {
      return tx<LostAgent[]>`
        select id as "agentId", hostname, seen as "lastSeenAt", lost_since as "lostSince",
          extract(epoch from now() - lost_since)::float8 * 1000 as "lostMs",
          case when seen > lost_since then
            extract(epoch from now() - case when connected > lost_since then connected else seen end)::float8 * 1000
          end as "backMs"
        from (
          select id, hostname, lost_since, date_trunc('milliseconds', last_seen_at) as seen,
            date_trunc('milliseconds', connected_at) as connected
          from agents where lost_since is not null and deleted_at is null) a
        order by seen > lost_since desc, lost_since desc limit ${LOST_AGENTS_MAX}`;
    },

    /** These agents are lost no more, and their recoveries are stored. A row that is written just now comes with the next look. */
    async clear(tx: TransactionSql, agents: readonly Pick<LostAgent, "agentId" | "lostSince">[]): Promise<void> {
      await tx`
        update agents set lost_since = null
        where id in (
          select a.id
          from unnest(${agents.map(({ agentId }) => agentId)}::uuid[], ${agents.map(({ lostSince }) => lostSince.getTime())}::float8[])
            t (id, lost_since)
          join agents a on a.id = t.id and a.lost_since = to_timestamp(t.lost_since / 1000)
          order by a.id for no key update of a skip locked)`;
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
