import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import { LockKey } from "../db/lock-keys.ts";
import {
  combined,
  type FigureTable,
  firstMinute,
  minuteNow,
  type Progress,
  probed,
  readProgress,
} from "./combine-store.ts";
import { AROUND_MINUTES } from "./store.ts";

/** An hour's minutes of so many hosts are rolled up by one statement: a fifth of a second's work. */
const ROLLED_AGENTS = 250;
/** Rows of one DELETE: short enough to hold nothing up. */
const CHUNK_ROWS = 2_000;
/** Hosts whose figures are forgotten by one statement: each has some thousand steps that are probed for. */
const FORGOTTEN_AGENTS = 20;
/** After this the last minutes of an hour are written; one that comes later has its hour rolled up again. */
const GRACE_MINUTES = 5;
const MINUTES_KEPT = 3 * 60;
const FIVES_KEPT = 24 * 60;
/** What is rolled up once an hour may be so much older than it is kept. */
const LATE_MINUTES = 2 * 60;
/** Upkeep comes once an hour; of a host that was removed longer ago it goes with its age. */
const DELETED_HOURS = 3;

/**
 * The SQL that rolls figures up and forgets them, in bounded statements. Of several nodes one does so at a time: what one finds
 * the other at, it leaves to that. So no minute goes between an incident and the window that would keep it.
 */
export function createUpkeepStore(sql: Sql) {
  return {
    progress: () => readProgress(sql),

    /** Rolls up the next hour that is over; false when there is none. */
    async rollHour(): Promise<boolean> {
      const isDone = await alone(sql, async (tx) => {
        const hour = await nextHour(tx, await readProgress(tx));
        if (hour === undefined) return false;
        for (let agents = await agentsOf(tx, hour); agents.length > 0; agents = await agentsOf(tx, hour, agents.at(-1)))
          await rollUp(tx, hour, agents);
        await tx`
          insert into figures_rolled (id, until_minute) values (1, ${hour + 60})
          on conflict (id) do update set until_minute = excluded.until_minute`;
        return true;
      });
      return isDone === true;
    },

    /** Forgets minutes that are rolled up and older than three hours; those around incidents are kept with these. */
    async prune1m(signal: AbortSignal): Promise<void> {
      await alone(sql, async (tx) => {
        await addWindows(tx);
        const old = () => tx`
          select minute, agent_id from figures_1m
          where minute < least(${minuteNow(tx)} - ${MINUTES_KEPT}::int, coalesce((select until_minute from figures_rolled), 0))
          order by minute, agent_id limit ${CHUNK_ROWS}`;
        while (!signal.aborted && (await forgetMinutes(tx, old())) > 0);
      });
    },

    prune5m: (signal: AbortSignal) => prune(sql, signal, { table: "figures_5m", minutes: FIVES_KEPT }),
    prune1h: (signal: AbortSignal, retentionMs: number) =>
      prune(sql, signal, { table: "figures_1h", minutes: minutesOf(retentionMs) }),

    /** Hosts that were removed of late lose their figures, but for those around incidents, which stay. */
    async forgetAgents(signal: AbortSignal, retentionMs: number): Promise<void> {
      await alone(sql, async (tx) => {
        let agentIds = await deletedAgents(tx);
        if (agentIds.length > 0) await addWindows(tx);
        while (!signal.aborted && agentIds.length > 0) {
          await forgetMinutes(tx, everyStep(tx, agentIds, { table: "figures_1m", minutes: MINUTES_KEPT, step: 1 }));
          await forgetSteps(tx, agentIds, { table: "figures_5m", minutes: FIVES_KEPT, step: 5 });
          await forgetSteps(tx, agentIds, { table: "figures_1h", minutes: minutesOf(retentionMs), step: 60 });
          agentIds = await deletedAgents(tx, agentIds.at(-1));
        }
      });
    },

    /** Of a chunk of incidents that are gone: minutes that no other incident of their host keeps. Says how many incidents. */
    async forgetIncidents(retentionMs: number): Promise<number> {
      const forgotten = await alone(sql, async (tx) => {
        const [row] = await tx<{ rows: number }[]>`
          with gone as (
            delete from figure_windows where incident_id in (
              select w.incident_id from figure_windows w
              where w.minute < ${minuteNow(tx)} - ${Math.floor(retentionMs / 60_000)}::int
                and not exists (select from incidents i where i.id = w.incident_id)
              limit ${CHUNK_ROWS})
            returning incident_id, agent_id, minute),
          their_minutes as (
            delete from figures_kept k using gone g
            where k.agent_id = g.agent_id and ${isAround(tx, "k", "g")}
              and not exists (
                select from figure_windows w where w.agent_id = k.agent_id and ${isAround(tx, "k", "w")}
                  and w.incident_id not in (select incident_id from gone)))
          select count(*)::int as rows from gone`;
        return row?.rows ?? 0;
      });
      return forgotten ?? 0;
    },
  };
}

/** Undefined while another node is at it. */
function alone<T>(sql: Sql, work: (tx: TransactionSql) => Promise<T>): Promise<T | undefined> {
  return sql.begin(async (tx) => {
    // Each row is found by one probe of an index, or as the first of it: the planner's guesses are of no use.
    const [lock] = await tx<{ is: boolean }[]>`
      select pg_try_advisory_xact_lock(${LockKey.figures}) as is, set_config('enable_seqscan', 'off', true),
        set_config('jit', 'off', true)`;
    return lock?.is === true ? work(tx) : undefined;
  }) as Promise<T | undefined>;
}

/** The first that has minutes to be rolled up, where it is over. */
async function nextHour(tx: TransactionSql, { nowMinute, rolledUntil }: Progress): Promise<number | undefined> {
  const [row] = await tx<{ hour: number | null }[]>`
    select min(minute) / 60 * 60 as hour from figures_1m where minute >= ${rolledUntil}`;
  const hour = row?.hour ?? nowMinute;
  return hour + 60 + GRACE_MINUTES <= nowMinute ? hour : undefined;
}

/** Hosts that were heard of since this hour began: no others have figures of it. */
async function agentsOf(tx: TransactionSql, hour: number, after?: string): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    select id from agents
    where deleted_at is null and last_seen_at >= to_timestamp(${hour}::int * 60.0) - interval '1 minute'
      and (${after === undefined} or id > ${after ?? null}::uuid)
    order by id limit ${ROLLED_AGENTS}`;
  return rows.map(({ id }) => id);
}

/** Made anew of all minutes that there are: it bears to be done twice. */
async function rollUp(tx: TransactionSql, hour: number, agentIds: readonly string[]): Promise<void> {
  const minutes = tx`select generate_series(${hour}::int, ${hour + 59}::int)`;
  const stepped = (step: number) => tx`
    select agent_id, minute / ${step}::int * ${step}::int as minute, samples, names, stats from minutes`;
  const isNewer = tx`
    on conflict (minute, agent_id) do update set samples = excluded.samples, names = excluded.names, stats = excluded.stats`;
  await tx`
    with minutes as materialized (${probed(tx, "figures_1m", { agentIds, minutes })}),
    fives as (
      insert into figures_5m (agent_id, minute, samples, names, stats)
      select * from (${combined(tx, stepped(5))}) c order by minute, agent_id ${isNewer})
    insert into figures_1h (agent_id, minute, samples, names, stats)
    select * from (${combined(tx, stepped(60))}) c order by minute, agent_id ${isNewer}`;
}

/** Says around which minute the figures of incidents are kept, of those that may have minutes here. */
async function addWindows(tx: TransactionSql): Promise<void> {
  const addChunk = () => tx`
    insert into figure_windows (incident_id, agent_id, minute)
    select i.id, i.agent_id, ${firstMinute(tx)} from incidents i
    where i.created_at >= (select to_timestamp((min(minute) - ${AROUND_MINUTES}::int) * 60.0) from figures_1m)
      and not exists (select from figure_windows w where w.incident_id = i.id)
    order by i.id limit ${CHUNK_ROWS}`;
  while ((await addChunk()).count > 0);
}

/** Takes out the minutes that `which` names, and keeps those around incidents with these. Says how many went. */
async function forgetMinutes(tx: TransactionSql, which: PendingQuery<Row[]>): Promise<number> {
  const [row] = await tx<{ rows: number }[]>`
    with old as (
      delete from figures_1m where (minute, agent_id) in (${which}) returning agent_id, minute, samples, names, stats),
    kept as (
      insert into figures_kept (agent_id, minute, samples, names, stats)
      select o.agent_id, o.minute, o.samples, o.names, o.stats from old o
      where exists (select from figure_windows w where w.agent_id = o.agent_id and ${isAround(tx, "o", "w")})
      on conflict (agent_id, minute) do nothing)
    select count(*)::int as rows from old`;
  return row?.rows ?? 0;
}

/** Whether the figures' minute is one of those that are kept around the window's. */
function isAround(tx: TransactionSql, figures: string, window: string) {
  const [at, of] = [tx(`${figures}.minute`), tx(`${window}.minute`)];
  return tx`${of} between ${at} - ${AROUND_MINUTES}::int and ${at} + ${AROUND_MINUTES}::int`;
}

/** What is too old, and what lies ahead of a clock that was put back. */
async function prune(sql: Sql, signal: AbortSignal, { table, minutes }: { table: FigureTable; minutes: number }) {
  await alone(sql, async (tx) => {
    const forgetChunk = () => tx`
      delete from ${tx(table)} where (minute, agent_id) in (
        (select minute, agent_id from ${tx(table)} where minute < ${minuteNow(tx)} - ${minutes}::int
        order by minute, agent_id limit ${CHUNK_ROWS})
        union all (select minute, agent_id from ${tx(table)} where minute > ${minuteNow(tx)}
        order by minute, agent_id limit ${CHUNK_ROWS}))`;
    while (!signal.aborted && (await forgetChunk()).count > 0);
  });
}

async function deletedAgents(tx: TransactionSql, after?: string): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    select id from agents
    where deleted_at > now() - make_interval(hours => ${DELETED_HOURS}) and (${after === undefined} or id > ${after ?? null}::uuid)
    order by id limit ${FORGOTTEN_AGENTS}`;
  return rows.map(({ id }) => id);
}

/** A tier, and how far back and in which steps it has figures, in minutes. */
interface Tier {
  table: FigureTable;
  minutes: number;
  step: number;
}

async function forgetSteps(tx: TransactionSql, agentIds: readonly string[], tier: Tier): Promise<void> {
  await tx`delete from ${tx(tier.table)} where (minute, agent_id) in (${everyStep(tx, agentIds, tier)})`;
}

/** Where these hosts have figures. */
function everyStep(tx: TransactionSql, agentIds: readonly string[], { table, minutes, step }: Tier) {
  const hour = tx`${minuteNow(tx)} / 60 * 60`;
  const all = tx`
    select generate_series(${hour} - (${minutes + LATE_MINUTES}::int / 60 * 60), ${hour} + 59, ${step}::int)`;
  return tx`select minute, agent_id from (${probed(tx, table, { agentIds, minutes: all })}) k`;
}

function minutesOf(ms: number): number {
  return Math.ceil(ms / 60_000);
}
