import type { Sql, TransactionSql } from "postgres";
import type { IncidentWriter } from "../incidents/model.ts";
import { alarmOf, type JobState } from "./machine.ts";
import type { JobSpec, Schedule, Trouble } from "./model.ts";

/** A job as its row has it, and the database's clock, Unix milliseconds. */
export interface StoredJob {
  readonly id: string;
  readonly name: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  readonly isPaused: boolean;
  readonly turn: number;
  readonly endedRun: string | null;
  readonly lastPingMs: number | null;
  readonly lastDurationMs: number | null;
  readonly nowMs: number;
}

/** What is noted with a new state. */
export interface Noted {
  readonly pingMs?: number;
  readonly durationMs?: number | null;
  readonly endedRun?: string | null;
}

interface Row {
  id: string;
  name: string;
  schedule: Schedule;
  graceMs: number;
  limitMs: number | null;
  isPaused: boolean;
  turn: number;
  dueMs: number;
  startedMs: number | null;
  trouble: Trouble | null;
  isAlarmed: boolean;
  endedRun: string | null;
  lastPingMs: number | null;
  lastDurationMs: number | null;
  nowMs: number;
}

/** The SQL of jobs. Their time is the database's, which is the same for all nodes. */
export function createJobStore(sql: Sql, audit: Pick<IncidentWriter, "note">) {
  const begin = <T>(work: (tx: TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>;
  const ms = (column: string) => sql`(extract(epoch from ${sql(column)}) * 1000)::float8`;
  const instant = (value: number | null) => (value === null ? null : new Date(value));
  const jobs = sql`
    select j.integration_id as id, i.name, j.schedule, j.grace_ms::float8 as "graceMs", j.limit_ms::float8 as "limitMs",
      j.is_paused as "isPaused", j.turn::float8 as turn, ${ms("due_at")} as "dueMs", ${ms("started_at")} as "startedMs", j.trouble,
      j.is_alarmed as "isAlarmed", j.ended_run as "endedRun", ${ms("last_ping_at")} as "lastPingMs",
      j.last_duration_ms::float8 as "lastDurationMs", (extract(epoch from now()) * 1000)::float8 as "nowMs"
    from cron_jobs j join integrations i on i.id = j.integration_id and i.revoked_at is null`;

  return {
    /** The database's clock, Unix milliseconds. */
    async nowMs(query: Sql | TransactionSql): Promise<number> {
      const [row] = await query<{ nowMs: number }[]>`select (extract(epoch from now()) * 1000)::float8 as "nowMs"`;
      return row?.nowMs ?? 0;
    },

    async add(tx: TransactionSql, id: string, spec: JobSpec, state: JobState): Promise<void> {
      await tx`
        insert into cron_jobs (integration_id, schedule, grace_ms, limit_ms, due_at, alarm_at)
        values (${id}, ${tx.json(spec.schedule as never)}, ${spec.graceMs}, ${spec.limitMs}, ${instant(state.dueMs)},
          ${instant(alarmOf(spec, state)?.atMs ?? null)})`;
    },

    async find(ids: readonly string[]): Promise<StoredJob[]> {
      if (ids.length === 0) return [];
      const rows = await sql<Row[]>`${jobs} where j.integration_id = any(${ids as string[]}::uuid[])`;
      return rows.map(jobOf);
    },

    /** Those whose alarm is due, the oldest first, and milliseconds until the next one's; null where none is waited for. */
    async due(max: number): Promise<{ found: StoredJob[]; nextMs: number | null }> {
      const rows = await sql<Row[]>`${jobs} where j.alarm_at <= now() order by j.alarm_at limit ${max}`;
      const [next] = await sql<{ ms: number | null }[]>`
        select (extract(epoch from min(alarm_at) - now()) * 1000)::float8 as ms from cron_jobs where alarm_at > now()`;
      return { found: rows.map(jobOf), nextMs: next?.ms ?? null };
    },

    /** Keeps the new state; false where another one came between. */
    async keep({ id, spec, turn }: StoredJob, state: JobState, noted: Noted): Promise<boolean> {
      const { pingMs, durationMs, endedRun } = noted;
      const kept = await sql`
        update cron_jobs set turn = turn + 1, due_at = ${instant(state.dueMs)}, started_at = ${instant(state.startedMs)},
          trouble = ${state.trouble}, is_alarmed = ${state.isAlarmed},
          alarm_at = case when is_paused then null else ${instant(alarmOf(spec, state)?.atMs ?? null)}::timestamptz end,
          last_ping_at = coalesce(${instant(pingMs ?? null)}::timestamptz, last_ping_at),
          last_duration_ms = ${durationMs === undefined ? sql`last_duration_ms` : durationMs},
          ended_run = ${endedRun === undefined ? sql`ended_run` : endedRun}
        where integration_id = ${id} and turn = ${turn}`;
      return kept.count === 1;
    },

    /** Those whose alarm came in the last `sinceMs` get their grace anew: nobody could hear them. Null: whenever it came. */
    async forgive(sinceMs: number | null): Promise<number> {
      const missed = await sql`
        update cron_jobs set alarm_at = now() + make_interval(secs => grace_ms / 1000.0)
        where alarm_at <= now() and (${sinceMs === null} or alarm_at > now() - make_interval(secs => ${(sinceMs ?? 0) / 1000}::float8))`;
      return missed.count;
    },

    /** False when there is no such job. */
    async pause(job: StoredJob, isPaused: boolean, state: JobState, actor: string): Promise<boolean> {
      return begin(async (tx) => {
        const set = await tx`
          update cron_jobs set turn = turn + 1, is_paused = ${isPaused}, due_at = ${instant(state.dueMs)}, started_at = null,
            is_alarmed = false, alarm_at = ${isPaused ? null : instant(alarmOf(job.spec, state)?.atMs ?? null)}
          where integration_id = ${job.id}`;
        if (set.count === 0) return false;
        const kind = isPaused ? "integration.paused" : "integration.resumed";
        await audit.note(tx, [{ kind, actor, data: { integration_id: job.id, name: job.name } }]);
        return true;
      });
    },
  };
}

export type JobStore = ReturnType<typeof createJobStore>;

function jobOf(row: Row): StoredJob {
  const { id, name, schedule, graceMs, limitMs, dueMs, startedMs, trouble, isAlarmed, ...rest } = row;
  const spec = { schedule, graceMs, limitMs };
  return { id, name, spec, state: { dueMs, startedMs, trouble, isAlarmed }, ...rest };
}
