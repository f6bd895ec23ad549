import type { Sql, TransactionSql } from "postgres";
import type { NewSilence, Silence, Silenceable, SilenceEnd, SilencePage } from "./model.ts";
import type { Badness, Frequency } from "./worse.ts";

type Query = Sql | TransactionSql;

/** Rows of one DELETE, and of one look at what a silence held back. */
const CHUNK_ROWS = 1_000;

/** "ops qsw": who looks at the silences now. */
const SWEEP_LOCK = 0x6f70_7377;
/** An alert is news, and is looked at many times within this. */
const NEWS_S = 600;

/** A silence with what it is decided by. */
export interface OpenSilence extends Silence {
  baseline: Badness | null;
}

/** An incident of which a silence speaks. */
export interface SilencedIncident extends Silenceable {
  isOpen: boolean;
  /** Nobody has decided about it. */
  isUndecided: boolean;
  /** Since its last alert, seconds. */
  quietS: number;
}

/** The SQL of silences. */
export function createSilenceStore(sql: Sql) {
  const columns = sql`s.id, s.agent, s.type, s.source, s.fingerprint, s.incident_id, s.ends, s.until, s.comment, s.actor,
    s.created_at, s.ended_at`;
  // One until its incident is resolved is over from that moment on, whoever resolves it.
  const isOpen = sql`s.ended_at is null and (s.until is null or s.until > now()) and not (s.ends = 'until_resolved'
    and not exists (select from incidents i where i.id = s.incident_id and i.status <> 'resolved'))`;
  const incidentColumns = sql`i.id, i.agent_id as "agentId", a.hostname, i.type, i.source, i.fingerprint, i.severity,
    i.status <> 'resolved' as "isOpen", i.status in ('new', 'analyzed') as "isUndecided",
    extract(epoch from now() - i.last_seen_at)::float8 as "quietS"`;

  return {
    async list({ limit, cursor, ended }: SilencePage): Promise<Silence[]> {
      return sql<Silence[]>`select ${columns} from silences s
        where ${cursor === undefined ? sql`true` : sql`s.id < ${cursor}`} and ${ended ? sql`true` : isOpen}
        order by s.id desc limit ${limit}`;
    },

    /** Undefined when there are `max` open ones already. */
    async create(silence: NewSilence, actor: string, max: number): Promise<Silence | undefined> {
      const { agent, type, source, until, comment } = silence;
      const [row] = await sql<Silence[]>`
        with made as (
          insert into silences (agent, type, source, ends, until, comment, actor)
          select ${agent}::text, ${type}::text, ${source}::text, ${until === null ? "never" : "time"}::text,
            ${until}::timestamptz, ${comment}::text, ${actor}::text
          where (select count(*) from silences s where s.fingerprint is null and s.ended_at is null) < ${max} returning *),
        noted as (
          insert into events (kind, actor, data)
          select 'silence.created', actor, jsonb_build_object('silence_id', id, 'agent', agent, 'type', type,
            'source', source, 'until', until, 'comment', comment) from made)
        select ${columns} from made s`;
      return row;
    },

    /** For one problem. The silences that came of the same incident before give way to it. */
    async createForIncident(
      tx: Query,
      silence: { incidentId: number; ends: SilenceEnd; hours: number | null; baseline: Badness | null; actor: string },
    ): Promise<void> {
      const { incidentId, ends, hours, baseline, actor } = silence;
      await tx`select from incidents where id = ${incidentId} for no key update`;
      await tx`
        with replaced as (update silences set ended_at = now() where incident_id = ${incidentId} and ended_at is null),
        made as (
          insert into silences (agent, type, source, fingerprint, incident_id, ends, until, baseline, actor)
          select agent_id::text, type, source, fingerprint, id, ${ends}::text, now() + make_interval(hours => ${hours}::int),
            ${baseline === null ? null : JSON.stringify(baseline)}::text::jsonb, ${actor}::text
          from incidents where id = ${incidentId} returning *)
        insert into events (kind, actor, agent_id, incident_id, data)
        select 'silence.created', actor, agent::uuid, incident_id,
          jsonb_build_object('silence_id', id, 'ends', ends, 'until', until) from made`;
    },

    /** Open silences that are patterns, and those of these fingerprints. */
    async findOpen(tx: Query, fingerprints: readonly string[]): Promise<OpenSilence[]> {
      return tx<OpenSilence[]>`select ${columns}, s.baseline from silences s
        where ${isOpen} and (s.fingerprint is null or s.fingerprint = any(${fingerprints as string[]})) order by s.id`;
    },

    /**
     * Marks as over, with a line in the audit trail, and in the timeline of the incident that goes on (else of the one that the
     * silence came from); returns those that were open. The incident's row is locked before the silence's, as by everybody.
     */
    async end(
      tx: Query,
      ids: readonly number[],
      { actor, why, incidentId = null }: { actor: string; why: string; incidentId?: number | null },
    ): Promise<OpenSilence[]> {
      await tx`
        select from incidents where id = any(array(
          select coalesce(${incidentId}::int, incident_id) from silences where id = any(${ids as number[]}::int[])))
        order by id for no key update`;
      return tx<OpenSilence[]>`
        with ended as (
          update silences set ended_at = now() where id = any(${ids as number[]}::int[]) and ended_at is null returning *),
        told as (
          select *, (select i.id from incidents i where i.id = coalesce(${incidentId}::int, incident_id)) as told_id from ended),
        touched as (update incidents i set updated_at = now() from told where i.id = told.told_id),
        noted as (
          insert into events (kind, actor, agent_id, incident_id, data)
          select 'silence.ended', ${actor}::text, case when incident_id is null then null else agent::uuid end, told_id,
            jsonb_build_object('silence_id', id, 'reason', ${why}::text) from told)
        select ${columns}, s.baseline from ended s`;
    },

    /**
     * Open silences that are to be looked at: their time or their incident is over, or it may have got worse, since there was
     * news of it. None while another node looks.
     */
    async findDue(tx: Query): Promise<(OpenSilence & { isOver: boolean })[]> {
      const [lock] = await tx<{ is: boolean }[]>`select pg_try_advisory_xact_lock(${SWEEP_LOCK}) as is`;
      if (lock?.is !== true) return [];
      return tx<(OpenSilence & { isOver: boolean })[]>`
        select ${columns}, s.baseline, not (${isOpen}) as "isOver" from silences s
        where s.ended_at is null and (not (${isOpen}) or s.ends = 'until_worse' and exists (
          select from incidents i
          where i.agent_id = case when s.fingerprint is null then null else s.agent::uuid end
            and i.type = s.type and i.source = s.source and i.fingerprint = s.fingerprint and i.status <> 'resolved'
            and i.updated_at > now() - ${NEWS_S} * interval '1 s'))
        order by s.id limit ${CHUNK_ROWS}`;
    },

    /** How often the problem came within the last hour, over all its incidents. */
    async frequencyOf(
      tx: Query,
      { agentId, fingerprint }: Pick<Silenceable, "agentId" | "fingerprint">,
    ): Promise<Frequency> {
      const [row] = await tx<{ alerts: number; spanS: number }[]>`
        select count(*)::int as alerts,
          coalesce(extract(epoch from max(l.occurred_at) - min(l.occurred_at)), 0)::float8 as "spanS"
        from incidents i join alerts l on l.incident_id = i.id
        where i.agent_id = ${agentId} and i.fingerprint = ${fingerprint} and i.last_seen_at > now() - interval '1 hour'
          and l.state = 'firing' and l.occurred_at > now() - interval '1 hour'`;
      return row ?? { alerts: 0, spanS: 0 };
    },

    async incident(tx: Query, id: number): Promise<SilencedIncident | undefined> {
      const [row] = await tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id where i.id = ${id}`;
      return row;
    },

    /** The problem's incident that is open, if one is. */
    async openIncident(tx: Query, fingerprint: string, agentId: string): Promise<SilencedIncident | undefined> {
      const [row] = await tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id
        where i.agent_id = ${agentId} and i.fingerprint = ${fingerprint} and i.status <> 'resolved' limit 1`;
      return row;
    },

    /** Incidents that opened since then and are still open. */
    async openSince(tx: Query, since: Date): Promise<SilencedIncident[]> {
      return tx<SilencedIncident[]>`
        select ${incidentColumns} from incidents i join agents a on a.id = i.agent_id
        where i.status <> 'resolved' and i.created_at >= ${since} order by i.id desc limit ${CHUNK_ROWS}`;
    },

    /** Those of the incident that end with it, or, without `ends`, whether there is any. */
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
