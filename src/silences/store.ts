/**
 * The SQL of silences. A silence's row is locked before rows of incidents; who holds those already takes the silences that nobody
 * else holds: what is held is being ended.
 */
import type { Sql, TransactionSql } from "postgres";
import { tellChanged } from "../db/changes.ts";
import { LockKey } from "../db/lock-keys.ts";
import type { Silenceable } from "../incidents/model.ts";
import type { NewSilence, Silence, SilenceEnd, SilencePage } from "./model.ts";
import type { Badness, Frequency } from "./service.ts";

type Query = Sql | TransactionSql;

/** Rows of one DELETE, of one look at what is due, and of one look at what a silence held back. */
const CHUNK_ROWS = 1_000;
/** More open incidents than anybody looks through. */
const OPEN_ROWS = 20_000;
/** An alert is news, and is looked at many times within this. */
const NEWS_S = 600;

/** A silence with what it is decided by. */
export interface OpenSilence extends Silence {
  baseline: Badness | null;
}

/** An incident of which a silence speaks. */
export interface SilencedIncident extends Silenceable {
  /** Nobody has decided about it. */
  isUndecided: boolean;
  /** Since its last alert, seconds. */
  quietS: number;
}

/** A silence that ends when its problem gets worse, with how bad that is now. */
export interface WatchedSilence extends OpenSilence {
  openIncidentId: number;
  severity: Silenceable["severity"];
  alerts: number;
}

/** A silence that is to end, and the incident that goes on: by default the one that the silence came from. */
export interface Ending {
  id: number;
  incidentId?: number | undefined;
}

/** Makes the store. */
export function createSilenceStore(sql: Sql) {
  const columns = sql`s.id, s.agent, s.type, s.source, s.fingerprint, s.incident_id, s.ends, s.until, s.comment, s.actor,
    s.created_at, s.ended_at`;
  // One until its incident is resolved is over from that moment on, whoever resolves it.
  const isOpen = sql`s.ended_at is null and (s.until is null or s.until > now()) and not (s.ends = 'until_resolved'
    and not exists (select from incidents i where i.id = s.incident_id and i.status <> 'resolved'))`;
  const incidentColumns = sql`i.id, i.agent_id as "agentId", a.hostname, i.type, i.source, i.fingerprint, i.severity,
    i.status in ('new', 'analyzed') as "isUndecided", extract(epoch from now() - i.last_seen_at)::float8 as "quietS"`;
  /** Alerts of the problem of incident `i` within the last hour, over all its incidents. */
  const alertsOfHour = sql`from incidents o join alerts l on l.incident_id = o.id
    where o.agent_id = i.agent_id and o.fingerprint = i.fingerprint and o.last_seen_at > now() - interval '1 hour'
      and l.state = 'firing' and l.occurred_at > now() - interval '1 hour'`;

  return {
    async list({ limit, cursor, ended }: SilencePage): Promise<Silence[]> {
      return sql<Silence[]>`select ${columns} from silences s
        where ${cursor === undefined ? sql`true` : sql`s.id < ${cursor}`} and ${ended ? sql`true` : isOpen}
        order by s.id desc limit ${limit}`;
    },

    async getOpen(id: number): Promise<Silence | undefined> {
      const [row] = await sql<Silence[]>`select ${columns} from silences s where s.id = ${id} and ${isOpen}`;
      return row;
    },

    /** Undefined when there are `max` open ones already. */
    async create(tx: TransactionSql, silence: NewSilence, actor: string, max: number): Promise<Silence | undefined> {
      const { agent, type, source, until, comment } = silence;
      const [row] = await tx<Silence[]>`
        insert into silences as s (agent, type, source, ends, until, comment, actor)
        select ${agent}::text, ${type}::text, ${source}::text, ${until === null ? "never" : "time"}::text,
          ${until}::timestamptz, ${comment}::text, ${actor}::text
        where (select count(*) from silences o where o.fingerprint is null and o.ended_at is null) < ${max}
        returning ${columns}`;
      return row;
    },

    /** For one problem; nothing when its incident is gone. The silences that came of it before give way. */
    async createForIncident(
      tx: TransactionSql,
      silence: { incidentId: number; ends: SilenceEnd; hours: number | null; baseline: Badness | null; actor: string },
    ): Promise<Silence | undefined> {
      const { incidentId, ends, hours, baseline, actor } = silence;
      const [row] = await tx<Silence[]>`
        with replaced as (
          update silences set ended_at = now() where id in (
            select id from silences where incident_id = ${incidentId} and ended_at is null order by id for update skip locked))
        insert into silences as s (agent, type, source, fingerprint, incident_id, ends, until, baseline, actor)
        select agent_id::text, type, source, fingerprint, id, ${ends}::text, now() + make_interval(hours => ${hours}::int),
          ${baseline === null ? null : JSON.stringify(baseline)}::text::jsonb, ${actor}::text
        from incidents where id = ${incidentId} returning ${columns}`;
      return row;
    },

    /** Until the end of the transaction no silence ends: what it mutes now is seen by whoever ends it later. */
    async keepOpen(tx: TransactionSql): Promise<void> {
      await tx`select pg_advisory_xact_lock_shared(${LockKey.silences})`;
    },

    /** Waits until nobody relies on a silence any more, and lets nobody until the end of the transaction. */
    async lockEnding(tx: TransactionSql): Promise<void> {
      await tx`select pg_advisory_xact_lock(${LockKey.silences})`;
    },

    /** Open silences that are patterns, and those of these fingerprints. */
    async findOpen(tx: Query, fingerprints: readonly string[]): Promise<OpenSilence[]> {
      return tx<OpenSilence[]>`select ${columns}, s.baseline from silences s
        where ${isOpen} and (s.fingerprint is null or s.fingerprint = any(${fingerprints as string[]})) order by s.id`;
    },

    /**
     * Marks those as over that are open; returns them with the incident that it is told of, null when that is gone. A silence that
     * somebody else holds is being ended.
     */
    async end(tx: TransactionSql, endings: readonly Ending[]): Promise<(OpenSilence & { toldId: number | null })[]> {
      return tx<(OpenSilence & { toldId: number | null })[]>`
        update silences s set ended_at = now() from (
          select o.id, (select i.id from incidents i where i.id = coalesce(e.incident_id, o.incident_id)) as told_id
          from unnest(${endings.map(({ id }) => id)}::int[], ${endings.map((one) => one.incidentId ?? null)}::int[])
            e (id, incident_id)
          join silences o on o.id = e.id where o.ended_at is null order by o.id for update of o skip locked) e
        where s.id = e.id returning ${columns}, s.baseline, e.told_id as "toldId"`;
    },

    /** Silences whose time or whose incident is over. */
    async findOver(tx: Query): Promise<OpenSilence[]> {
      return tx<OpenSilence[]>`
        select ${columns}, s.baseline from silences s
        where s.ended_at is null and not (${isOpen}) order by s.id limit ${CHUNK_ROWS}`;
    },

    /** Silences until it gets worse of whose problem there was news: it may have. */
    async findWatched(tx: Query): Promise<WatchedSilence[]> {
      return tx<WatchedSilence[]>`
        select ${columns}, s.baseline, i.id as "openIncidentId", i.severity, (select count(*)::int ${alertsOfHour}) as alerts
        from silences s join incidents i on i.agent_id = case when s.fingerprint is null then null else s.agent::uuid end
          and i.type = s.type and i.source = s.source and i.fingerprint = s.fingerprint and i.status <> 'resolved'
          and i.updated_at > now() - ${NEWS_S} * interval '1 s'
        where s.ended_at is null and s.ends = 'until_worse' order by s.id limit ${CHUNK_ROWS}`;
    },

    /** Until the next silence's time is over, milliseconds; undefined when no open one has a time. */
    async nextOverMs(): Promise<number | undefined> {
      const [row] = await sql<{ ms: number | null }[]>`
        select extract(epoch from min(until) - now())::float8 * 1000 as ms from silences where ended_at is null`;
      return row?.ms == null ? undefined : Math.max(0, row.ms);
    },

    /** How bad the problems of these incidents are, by incident. */
    async frequencies(
      tx: Query,
      incidentIds: readonly number[],
    ): Promise<Map<number, Frequency & Pick<Badness, "severity">>> {
      const rows = await tx<({ id: number } & Frequency & Pick<Badness, "severity">)[]>`
        select i.id, i.severity, f.alerts, f.span_s as "spanS" from incidents i cross join lateral (
          select count(*)::int as alerts, coalesce(extract(epoch from max(l.occurred_at) - min(l.occurred_at)), 0)::float8 as span_s
          ${alertsOfHour}) f
        where i.id = any(${incidentIds as number[]}::int[])`;
      return new Map(rows.map(({ id, ...frequency }) => [id, frequency]));
    },

    /** The problem's incident that is open, if one is. */
    async openIncident(tx: Query, fingerprint: string, agentId: string): Promise<SilencedIncident | undefined> {
      const [row] = await tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id
        where i.agent_id = ${agentId} and i.fingerprint = ${fingerprint} and i.status <> 'resolved' limit 1`;
      return row;
    },

    /** Open incidents of these problems; with `isAll` of all problems, the newest. */
    async openOf(
      tx: TransactionSql,
      fingerprints: readonly string[],
      { isAll }: { isAll: boolean },
    ): Promise<SilencedIncident[]> {
      if (fingerprints.length === 0 && !isAll) return [];
      const meant = isAll ? tx`true` : tx`i.fingerprint = any(${fingerprints as string[]})`;
      return tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id
        where i.status <> 'resolved' and ${meant} order by i.id desc limit ${OPEN_ROWS}`;
    },

    /** Tells whoever shows these incidents that what is shown of them changed, at the commit. */
    async tell(tx: TransactionSql, incidentIds: readonly number[]): Promise<void> {
      await tellChanged(tx, "incidents", incidentIds);
    },

    /** Incidents that opened since then and are still open. */
    async openSince(tx: Query, since: Date): Promise<SilencedIncident[]> {
      return tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id
        where i.status <> 'resolved' and i.created_at >= ${since} order by i.id desc limit ${CHUNK_ROWS}`;
    },

    /** Those of the incident that are open. */
    async ofIncident(tx: Query, incidentId: number): Promise<{ id: number; ends: SilenceEnd }[]> {
      return tx<{ id: number; ends: SilenceEnd }[]>`
        select s.id, s.ends from silences s where s.incident_id = ${incidentId} and s.ended_at is null
          and (s.until is null or s.until > now())`;
    },

    /** Forgets a chunk of those that have been over for so long, and says how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from silences where id in (
          select id from silences where ended_at < now() - ${retentionMs} * interval '1 ms' limit ${CHUNK_ROWS}
          for update skip locked)`;
      return deleted.count;
    },
  };
}

export type SilenceStore = ReturnType<typeof createSilenceStore>;
