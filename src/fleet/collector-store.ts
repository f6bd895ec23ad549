import type { Sql, TransactionSql } from "postgres";
import { tellOf } from "../db/changes.ts";
import { LockKey } from "../db/lock-keys.ts";
import type { CollectorReport } from "../protocol/frames.ts";
import { alone, findStored } from "./teller-store.ts";

/** Collectors that are looked at together: the rest comes with the next look. */
export const BLIND_MAX = 1_000;

/** What an agent says of all its collectors. */
export interface CollectorsUpdate {
  agentId: string;
  /** Since it was heard of. */
  ageMs: number;
  reports: Readonly<Record<string, CollectorReport>>;
}

/** See blind.ts. */
export interface BlindLimits {
  blindAfterMs: number;
  /** For so long the agent must have been connected. */
  connectedMs: number;
}

/** A collector that is blind, or was until a moment ago. Ages are by the database's clock. */
export interface BlindCollector {
  agentId: string;
  hostname: string | null;
  name: string;
  state: CollectorReport["state"] | "off";
  /** Since then it cannot see. */
  since: Date;
  why: string | null;
  /** Names the blindness: exact to the millisecond. */
  blindSince: Date;
  blindMs: number;
  /** Since it ended; null while it lasts. */
  overMs: number | null;
}

/** What a look without a lock finds. */
export interface BlindOutlook {
  /** In how many milliseconds the next collector counts as blind; null when none is about to. */
  dueMs: number | null;
  isAnyOver: boolean;
  /** The same as long as the same ones are blind. */
  blind: string;
}

/** The SQL of what collectors see. */
export function createCollectorStore(sql: Sql) {
  const isBlind = sql`c.state = 'cannot' and not c.is_told`;
  const from = sql`
    collectors c join agents a on a.id = c.agent_id
    where a.deleted_at is null and (c.state = 'cannot' or c.blind_since is not null)`;
  const isUntold = sql`${isBlind} and c.blind_since is null and a.status = 'online'`;
  const blindFrom = ({ blindAfterMs, connectedMs }: BlindLimits) => sql`
    greatest(c.since + ${blindAfterMs} * interval '1 ms', a.connected_at + ${connectedMs} * interval '1 ms')`;

  return {
    /** What did not change stays as it is. Of whom the agent no longer speaks is off. */
    async write(updates: readonly CollectorsUpdate[]): Promise<void> {
      const rows = updates.flatMap(({ agentId, ageMs, reports }) =>
        Object.entries(reports).map(([name, report]) => ({ agentId, ageMs, name, ...report })),
      );
      await sql`
        with said as (
          select t.agent_id, t.name, t.state, now() - t.for_ms * interval '1 ms' as since, t.why, t.gave_up::jsonb as gave_up,
            t.is_told = 1 as is_told
          from unnest(${rows.map((row) => row.agentId)}::uuid[], ${rows.map((row) => row.name)}::text[],
            ${rows.map((row) => row.state)}::text[], ${rows.map((row) => row.for_s * 1000 + row.ageMs)}::float8[],
            ${rows.map((row) => row.why ?? null)}::text[], ${rows.map((row) => JSON.stringify(row.gave_up ?? []))}::text[],
            ${rows.map((row) => Number(row.told === true))}::int[]) t (agent_id, name, state, for_ms, why, gave_up, is_told)
          join agents a on a.id = t.agent_id and a.deleted_at is null),
        off as (
          update collectors c set state = 'off', since = now(), why = null, gave_up = '[]', is_told = false
          where c.agent_id = any(${updates.map(({ agentId }) => agentId)}::uuid[]) and c.state <> 'off'
            and not exists (select from said s where s.agent_id = c.agent_id and s.name = c.name)
          returning c.agent_id),
        stored as (
        insert into collectors as c (agent_id, name, state, since, why, gave_up, is_told)
        select agent_id, name, state, since, why, gave_up, is_told from said order by agent_id, name
        on conflict (agent_id, name) do update set state = excluded.state, why = excluded.why, gave_up = excluded.gave_up,
          is_told = excluded.is_told,
          since = case when c.state = excluded.state then least(c.since, excluded.since) else excluded.since end
        where (c.state, c.why, c.gave_up, c.is_told)
          is distinct from (excluded.state, excluded.why, excluded.gave_up, excluded.is_told)
        returning c.agent_id),
        changed as (select agent_id as id from off union select agent_id from stored)
        ${tellOf(sql, "agents", "changed")}`;
    },

    async findDue(limits: BlindLimits): Promise<BlindOutlook> {
      const [row] = await sql<BlindOutlook[]>`
        select extract(epoch from min(${blindFrom(limits)}) filter (where ${isUntold}) - now())::float8 * 1000 as "dueMs",
          coalesce(bool_or(c.blind_since is not null and not (${isBlind})), false) as "isAnyOver",
          concat_ws(' ', count(c.blind_since), sum(extract(epoch from c.blind_since))) as blind
        from ${from}`;
      return row ?? { dueMs: null, isAnyOver: false, blind: "" };
    },

    alone: <T>(nodeId: string, task: (tx: TransactionSql) => Promise<T>) =>
      alone(sql, { key: LockKey.blind, nodeId }, task),
    findStored,

    /** Collectors that cannot see for too long are blind from now on. */
    async declare(tx: TransactionSql, limits: BlindLimits): Promise<number> {
      const rows = await tx`
        update collectors b set blind_since = date_trunc('milliseconds', now())
        from (
          select c.agent_id, c.name from ${from} and ${isUntold} and ${blindFrom(limits)} <= now()
          order by c.agent_id, c.name limit ${BLIND_MAX} for no key update of c skip locked) s
        where b.agent_id = s.agent_id and b.name = s.name`;
      return rows.count;
    },

    /** All that are blind, those that see again first. */
    async find(tx: TransactionSql): Promise<BlindCollector[]> {
      return tx<BlindCollector[]>`
        select c.agent_id as "agentId", a.hostname, c.name, c.state, c.since, c.why, c.blind_since as "blindSince",
          extract(epoch from now() - c.blind_since)::float8 * 1000 as "blindMs",
          case when c.state <> 'cannot' then extract(epoch from now() - greatest(c.since, c.blind_since))::float8 * 1000
            when c.is_told then 0::float8 end as "overMs"
        from ${from} and c.blind_since is not null
        order by not (${isBlind}) desc, c.blind_since desc limit ${BLIND_MAX}`;
    },

    /** These are blind no more, and their recoveries are stored. A row that is written just now comes with the next look. */
    async clear(tx: TransactionSql, some: readonly Pick<BlindCollector, "agentId" | "name" | "blindSince">[]) {
      await tx`
        update collectors b set blind_since = null
        from (
          select c.agent_id, c.name
          from unnest(${some.map(({ agentId }) => agentId)}::uuid[], ${some.map(({ name }) => name)}::text[],
            ${some.map(({ blindSince }) => blindSince.getTime())}::float8[]) t (agent_id, name, blind_since)
          join collectors c on c.agent_id = t.agent_id and c.name = t.name
            and c.blind_since = to_timestamp(t.blind_since / 1000)
          order by c.agent_id, c.name for no key update of c skip locked) s
        where b.agent_id = s.agent_id and b.name = s.name`;
    },
  };
}

export type CollectorStore = ReturnType<typeof createCollectorStore>;
