import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import { Counter, Gauge, type Registry } from "prom-client";
import { LockKey, lockAgents } from "../db/lock-keys.ts";
import type { Clock } from "../lib/clock.ts";
import type { Loop, Loops, Running } from "../lib/loops.ts";
import { durationText } from "../lib/units.ts";
import { SERVER_AGENT_ID } from "../protocol/server-agent.ts";
import type { IncidentWriter } from "./model.ts";

type Fragment = PendingQuery<Row[]>;

const RETENTION_INTERVAL_MS = 3_600_000;
/** The shortest AUTO_RESOLVE is a minute. */
const QUIET_INTERVAL_MS = 15_000;

const HELD_INTERVAL_MS = { min: 500, max: 30_000 };

/** Deletes a chunk of what is older than so many milliseconds, and says how many rows that took; 0: nothing is left. */
export type Deletion = (retentionMs: number) => Promise<number>;

/** After each chunk so many times as long as it took: alerts, which come all the time, have the database for themselves meanwhile. */
const REST_FACTOR = 5;
/** One that waited for something took long for another reason. */
const REST_MS_MAX = 2_000;

/** Forgets what is older than RETENTION, once an hour. Several nodes may do so at once: rows taken by one are skipped. */
export function startRetention(
  deps: { loops: Loops; clock: Clock; registry: Registry },
  deletions: readonly Deletion[],
  retentionMs: number,
): Loop {
  const { loops, clock, registry } = deps;
  const metrics = createRetentionMetrics(registry);
  return loops.start({
    name: "retention",
    everyMs: RETENTION_INTERVAL_MS,
    restsFirst: true,
    turnLimitMs: RETENTION_INTERVAL_MS,
    failed: "old rows could not be deleted",
    turn: async (signal) => {
      const rows = await forgetOld(clock, deletions, retentionMs, signal);
      if (!signal.aborted) metrics.ran(rows);
      return undefined;
    },
  });
}

function createRetentionMetrics(registry: Registry) {
  const registers = [registry];
  const last = new Gauge({
    name: "opspilot_retention_last_run_timestamp_seconds",
    help: "When this node last deleted all that is older than RETENTION",
    registers,
  });
  // Until the first run there is no time of it.
  last.remove();
  const deleted = new Counter({
    name: "opspilot_retention_deleted_rows_total",
    help: "Rows that were deleted since they were older than RETENTION",
    registers,
  });
  return {
    ran(rows: number): void {
      last.setToCurrentTime();
      deleted.inc(rows);
    },
  };
}

/** Deletes all that is old, in small steps with rests between, until the signal aborts; says how many rows that took. */
export async function forgetOld(
  clock: Clock,
  deletions: readonly Deletion[],
  retentionMs: number,
  signal: AbortSignal,
): Promise<number> {
  let total = 0;
  for (const deletion of deletions) {
    for (let count = -1; count !== 0 && !signal.aborted; total += count) {
      const startMs = clock.monotonicMs();
      count = await deletion(retentionMs);
      const restMs = Math.min(REST_MS_MAX, REST_FACTOR * (clock.monotonicMs() - startMs));
      if (count > 0) await clock.sleep(restMs, signal);
    }
  }
  return total;
}

/** Resolves incidents that have had no alert for AUTO_RESOLVE; null: none. Of several nodes one does so at a time. */
export function startAutoResolve(loops: Loops, store: QuietStore, autoResolveMs: number | null): Running {
  if (autoResolveMs === null) return { stop: async () => undefined };
  return loops.start({
    name: "quiet incidents",
    everyMs: QUIET_INTERVAL_MS,
    restsFirst: true,
    failed: "quiet incidents could not be resolved",
    turn: async (signal) => {
      await resolveQuiet(store, autoResolveMs, signal);
      return undefined;
    },
  });
}

/** Resolves what flapped once its recovery has held for the window: then it is over. Of several nodes one does so at a time. */
export function startHeld(loops: Loops, store: QuietStore, windowMs: number): Running {
  return loops.start({
    name: "held recoveries",
    everyMs: Math.min(HELD_INTERVAL_MS.max, Math.max(HELD_INTERVAL_MS.min, windowMs / 10)),
    restsFirst: true,
    failed: "incidents whose recovery has held could not be resolved",
    turn: async (signal) => {
      const reason = `resolved by the agent, and it has held for ${durationText(windowMs)}`;
      while (!signal.aborted && (await store.resolveHeld(windowMs, reason)) > 0);
      return undefined;
    },
  });
}

/** Resolves all that are quiet, a chunk at a time, until the signal aborts; says how many. */
export async function resolveQuiet(store: QuietStore, autoResolveMs: number, signal: AbortSignal): Promise<number> {
  const reason = `resolved by quiet: no alert for ${durationText(autoResolveMs)}`;
  let total = 0;
  for (let count = -1; count !== 0 && !signal.aborted; total += count)
    count = await store.resolveChunk(autoResolveMs, reason);
  return total;
}

/** Rows that are looked at for one DELETE: short enough to hold nothing up. An incident has lines and alerts of its own. */
const CHUNK = { alerts: 1_000, events: 1_000, incidents: 200 } as const;

/**
 * The SQL that forgets. Each call looks at a chunk of the oldest rows by number, deletes what of it is older than `retentionMs`, and says
 * at how many it looked; the next call goes on behind them. 0 where none of a chunk is from so long ago: what follows is younger. Rows are
 * numbered as they come, so none is looked for beyond those that are old, and none that is gone is passed again and again.
 */
export function createRetentionStore(sql: Sql) {
  type Table = keyof typeof CHUNK;
  const passed: Record<Table, number> = { alerts: 0, events: 0, incidents: 0 };

  /** `time` is when the row came; `isOver` says of those of that age which are to go. */
  async function forget(
    table: Table,
    time: string,
    isOver: Fragment,
    since: Fragment,
    theirs = sql``,
  ): Promise<number> {
    const [row] = await sql<{ last: number | null; old: number }[]>`
      with looked as materialized (
        select id, ${sql(time)} < ${since} as is_old from ${sql(table)} where id > ${passed[table]} order by id limit ${CHUNK[table]}),
      gone as (
        delete from ${sql(table)} where id in (
          select t.id from looked join ${sql(table)} t on t.id = looked.id where looked.is_old and ${isOver} for update of t skip locked)
        returning id)
      ${theirs}
      select max(id)::float8 as last, (count(*) filter (where is_old))::int as old from looked`;
    const { last = null, old = 0 } = row ?? {};
    passed[table] = old === 0 ? 0 : (last ?? 0);
    return old;
  }

  const ago = (retentionMs: number) => sql`now() - ${retentionMs} * interval '1 ms'`;

  return {
    /** Alerts, and resolutions that closed nothing: those of incidents that are to go are the most of them. */
    deleteAlerts: (retentionMs: number): Promise<number> =>
      forget("alerts", "received_at", sql`true`, ago(retentionMs)),

    /** Incidents whose last alert is that old, with their timeline, and what is left of their alerts. */
    deleteIncidents: (retentionMs: number): Promise<number> =>
      forget(
        "incidents",
        "created_at",
        sql`t.last_seen_at < ${ago(retentionMs)} and t.updated_at < ${ago(retentionMs)}`,
        ago(retentionMs),
        sql`, their_alerts as (delete from alerts using gone where alerts.incident_id = gone.id),
          their_events as (delete from events using gone where events.incident_id = gone.id)`,
      ),

    /** Lines of the audit trail that are no part of an incident's timeline. */
    deleteEvents: (retentionMs: number): Promise<number> =>
      forget("events", "at", sql`t.incident_id is null`, ago(retentionMs)),
  };
}

/** Incidents of one transaction: short enough to hold no alert up. */
const QUIET_CHUNK_ROWS = 200;

/** Which incidents are meant: a condition on `i` and its agent `a`. */
type Fits = (query: Sql | TransactionSql) => Fragment;

/** The SQL of incidents that nobody hears of any more, and of those that nobody hears of again. */
export function createQuietStore(sql: Sql, writer: Pick<IncidentWriter, "setStatus">) {
  /**
   * Resolves a chunk of what fits, and says how many; 0, too, while another node does so. The agents' locks keep their alerts out
   * meanwhile, and it is looked again under them. Most looks find nothing, and take no lock.
   */
  async function resolve(fits: Fits, reason: string): Promise<number> {
    if ((await find(sql, fits)).length === 0) return 0;
    return (await sql.begin(async (tx) => {
      const [lock] = await tx<{ is: boolean }[]>`select pg_try_advisory_xact_lock(${LockKey.quiet}) as is`;
      if (lock?.is !== true) return 0;
      const found = await find(tx, fits);
      const agentIds = found.map(({ agent }) => agent);
      await lockAgents(tx, agentIds);
      const still = await tx<{ id: number }[]>`
        select i.id from incidents i join agents a on a.id = i.agent_id
        where i.id = any(${found.map(({ id }) => id)}::int[]) and ${fits(tx)}`;
      const setting = { status: "resolved", actor: "system", reason, data: { reason } } as const;
      const settings = still.map(({ id }) => ({ incidentId: id, ...setting }));
      return (await writer.setStatus(tx, settings)).size;
    })) as number;
  }

  function find(query: Sql | TransactionSql, fits: Fits) {
    return query<{ id: number; agent: string }[]>`
      select i.id, i.agent_id::text as agent from incidents i join agents a on a.id = i.agent_id
      where i.status <> 'resolved' and ${fits(query)} order by i.id limit ${QUIET_CHUNK_ROWS}`;
  }

  return {
    /**
     * What had no alert for `quietMs`. A lost agent, or a shared token, is one alert, however long that lasts: it is not quiet before
     * it is over; nor is a blind collector before it sees, nor the server's own disk before it has room.
     */
    resolveChunk: (quietMs: number, reason: string): Promise<number> =>
      resolve(
        (query) => query`i.last_seen_at < now() - ${quietMs} * interval '1 ms'
          and not (i.origin = 'server' and i.agent_id = ${SERVER_AGENT_ID})
          and not (i.origin = 'server' and i.type = 'host' and a.deleted_at is null and (
            i.source = 'agent' and a.lost_since is not null
            or i.source ~ '^token(:|$)' and a.shared_since is not null
            or exists (
              select from collectors c where c.agent_id = i.agent_id and 'collector ' || c.name = i.source
                and c.blind_since is not null)))`,
        reason,
      ),

    /** What flaps, and whose last alert said so long ago that it is over. */
    resolveHeld: (windowMs: number, reason: string): Promise<number> =>
      resolve(
        (query) => query`exists (select from events e where e.incident_id = i.id and e.kind = 'flapping')
          and (select l.state = 'resolved' and l.received_at <= now() - ${windowMs} * interval '1 ms'
            from alerts l where l.incident_id = i.id order by l.id desc limit 1)`,
        reason,
      ),
  };
}

type QuietStore = ReturnType<typeof createQuietStore>;
