import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import { LockKey, lockAgents } from "../db/lock-keys.ts";
import type { Loop, Loops, Running } from "../lib/loops.ts";
import { durationText } from "../lib/units.ts";
import type { IncidentWriter } from "./model.ts";

const RETENTION_INTERVAL_MS = 3_600_000;
/** The shortest AUTO_RESOLVE is a minute. */
const QUIET_INTERVAL_MS = 15_000;

const HELD_INTERVAL_MS = { min: 500, max: 30_000 };

/** Deletes a chunk of what is older than so many milliseconds, and says how many rows that were. */
export type Deletion = (retentionMs: number) => Promise<number>;

/** Forgets what is older than RETENTION, once an hour. Several nodes may do so at once: rows taken by one are skipped. */
export function startRetention(loops: Loops, deletions: readonly Deletion[], retentionMs: number): Loop {
  return loops.start({
    name: "retention",
    everyMs: RETENTION_INTERVAL_MS,
    restsFirst: true,
    turnLimitMs: RETENTION_INTERVAL_MS,
    failed: "old rows could not be deleted",
    turn: async (signal) => {
      for (const deletion of deletions) while (!signal.aborted && (await deletion(retentionMs)) > 0);
      return undefined;
    },
  });
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

/** Rows of one DELETE: short enough to hold nothing up. */
const CHUNK_ROWS = 2_000;

/** The SQL that forgets. Each call deletes a chunk of what is older than `retentionMs` and says how many rows that were. */
export function createRetentionStore(sql: Sql) {
  return {
    /** Incidents whose last alert is that old, with their alerts and timeline. */
    async deleteIncidents(retentionMs: number): Promise<number> {
      const [row] = await sql<{ rows: number }[]>`
        with gone as (
          delete from incidents where id in (
            select id from incidents where last_seen_at < now() - ${retentionMs} * interval '1 ms'
              and updated_at < now() - ${retentionMs} * interval '1 ms'
            order by id limit ${CHUNK_ROWS} for update skip locked)
          returning id),
        their_alerts as (delete from alerts using gone where alerts.incident_id = gone.id),
        their_events as (delete from events using gone where events.incident_id = gone.id)
        select count(*)::int as rows from gone`;
      return row?.rows ?? 0;
    },

    /** Single alerts of incidents that live on, and resolutions that closed nothing. */
    async deleteAlerts(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from alerts where id in (
          select id from alerts where received_at < now() - ${retentionMs} * interval '1 ms' limit ${CHUNK_ROWS}
          for update skip locked)`;
      return deleted.count;
    },

    /** Lines of the audit trail that are no part of an incident's timeline. */
    async deleteEvents(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from events where id in (
          select id from events where at < now() - ${retentionMs} * interval '1 ms' and incident_id is null
          limit ${CHUNK_ROWS} for update skip locked)`;
      return deleted.count;
    },
  };
}

/** Incidents of one transaction: short enough to hold no alert up. */
const QUIET_CHUNK_ROWS = 200;

/** Which incidents are meant: a condition on `i` and its agent `a`. */
type Fits = (query: Sql | TransactionSql) => PendingQuery<Row[]>;

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
     * it is over; nor is a blind collector before it sees.
     */
    resolveChunk: (quietMs: number, reason: string): Promise<number> =>
      resolve(
        (query) => query`i.last_seen_at < now() - ${quietMs} * interval '1 ms'
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
