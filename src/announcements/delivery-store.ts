import type { Sql, TransactionSql } from "postgres";
import type { Reply } from "./model.ts";

/** A message in flight when its sender died has come through by then, or never will. */
const LANDED_AFTER_S = 5;
/** Edits that are looked at together. */
const CHANGED_MAX = 200;

/** A row that is to be posted, or of which it is to be found out whether it was. */
export interface DueRow {
  id: number;
  kind: "incident" | "digest" | "reply";
  incidentId: number | null;
  subject: string;
  state: "waiting" | "unknown";
  why: string;
  /** Of the second message of a digest: which digest. */
  digestId: number | null;
  content: Reply | null;
  attempts: number;
  unknowns: number;
  attemptedAt: Date | null;
  /** Of a reply: the message that it belongs beneath, and how that one stands. */
  beneath: string | null;
  beneathState: string | null;
  isOver: boolean;
}

/** A message that may not show the newest state. */
export interface ChangedRow {
  id: number;
  kind: "incident" | "digest";
  incidentId: number | null;
  why: string;
  externalId: string | null;
  shownDigest: string | null;
  /** The incident's, exact to the microsecond. */
  updatedAt: string;
  lastError: string | null;
}

/** What an outlet shows after a call. `updatedAt` is null for a digest. */
export interface Shown {
  digest: string;
  updatedAt: string | null;
}

/**
 * The SQL of delivering. A row is written to only by who leads its outlet: one that lost the lead while it waited for an
 * answer finds that `attempts` rose meanwhile, or that the row is settled, and writes nothing.
 */
export function createDeliveryStore(sql: Sql) {
  return {
    /** What another was sending when it lost the lead: nobody knows how that ended. */
    async adoptOrphans(outlet: string): Promise<number> {
      const rows = await sql`
        update announcements set state = 'unknown', unknowns = unknowns + 1, last_error = 'its sender is gone',
          next_attempt_at = greatest(now(), attempted_at + make_interval(secs => ${LANDED_AFTER_S}))
        where outlet = ${outlet} and state = 'sending' and closed_at is null`;
      return rows.count;
    },

    /** The next to be posted: the oldest first, a reply only once the message above it stands. */
    async nextDue(outlet: string): Promise<DueRow | undefined> {
      const [row] = await sql<DueRow[]>`
        select a.id::int, a.kind, a.incident_id as "incidentId", a.subject, a.state, a.why, a.digest_id::int as "digestId",
          case when a.kind = 'reply' then a.content end as content, a.attempts, a.unknowns, a.attempted_at as "attemptedAt",
          m.external_id as beneath, m.state as "beneathState",
          coalesce(i.status = 'resolved' and i.severity is distinct from 'critical', false) as "isOver"
        from announcements a
        left join incidents i on i.id = a.incident_id
        left join lateral (
          select coalesce(d.external_id, t.external_id) as external_id, coalesce(d.state, t.state) as state
          from announcements t left join announcements d on d.id = t.digest_id
          where a.kind = 'reply' and t.incident_id = a.incident_id and t.outlet = a.outlet and t.kind = 'incident'
            and t.subject = '') m on true
        where a.outlet = ${outlet} and a.closed_at is null and a.state in ('waiting', 'unknown') and a.next_attempt_at <= now()
          and (a.kind <> 'reply' or m.state is null or m.state in ('sent', 'failed', 'withheld'))
        order by a.id limit 1`;
      return row;
    },

    /** Messages whose incident changed since they were shown, and digests that were not looked at for a while. */
    async changed(outlet: string): Promise<ChangedRow[]> {
      return sql<ChangedRow[]>`
        select a.id::int, a.kind, a.incident_id as "incidentId", a.why, a.external_id as "externalId",
          a.shown_digest as "shownDigest", coalesce(i.updated_at, a.next_attempt_at)::text as "updatedAt",
          a.last_error as "lastError"
        from announcements a left join incidents i on i.id = a.incident_id
        where a.outlet = ${outlet} and a.state = 'sent' and a.closed_at is null and a.subject = ''
          and ((a.kind = 'incident' and i.updated_at is distinct from a.shown_at and i.id is not null)
            or (a.kind = 'digest' and a.next_attempt_at <= now()))
        order by a.next_attempt_at, a.id limit ${CHANGED_MAX}`;
    },

    /** Notes an attempt before it is made; undefined when the row stands otherwise by now. */
    async claim(row: DueRow): Promise<DueRow | undefined> {
      const rows = await sql`
        update announcements set state = 'sending', attempts = attempts + 1, attempted_at = now()
        where id = ${row.id} and state = ${row.state} and attempts = ${row.attempts} and closed_at is null`;
      return rows.count === 1 ? { ...row, attempts: row.attempts + 1 } : undefined;
    },

    /** It stands there. What it shows is null where that is not known: then it is edited. */
    async sent(row: DueRow, externalId: string | null, shown: Shown | null, data: object): Promise<void> {
      await sql`
        with told as (
          update announcements set state = 'sent', external_id = ${externalId}, sent_at = now(), last_error = null,
            shown_digest = ${shown?.digest ?? null}, shown_at = ${shown?.updatedAt ?? null}::text::timestamptz,
            next_attempt_at = now(), closed_at = case when kind = 'reply' or subject <> '' then now() end
          where id = ${row.id} and attempts = ${row.attempts} and state in ('sending', 'unknown') returning incident_id, kind, subject)
        insert into events (kind, actor, agent_id, incident_id, data)
        select 'announced', 'system', i.agent_id, i.id, ${sql.json(data as never)}
        from told join incidents i on i.id = told.incident_id where told.kind = 'incident' and told.subject = ''`;
    },

    /** It was refused for now. */
    async later(row: DueRow, waitMs: number, error: string): Promise<void> {
      await sql`
        update announcements set state = ${row.state}, last_error = ${error},
          next_attempt_at = now() + ${waitMs} * interval '1 ms'
        where id = ${row.id} and attempts = ${row.attempts} and state in ('sending', 'unknown')`;
    },

    /** Nobody knows whether it came through: somebody looks once it would be there. */
    async unknown(row: DueRow, waitMs: number, error: string): Promise<void> {
      await sql`
        update announcements set state = 'unknown', unknowns = unknowns + 1, last_error = ${error},
          next_attempt_at = greatest(now() + ${waitMs} * interval '1 ms', attempted_at + make_interval(secs => ${LANDED_AFTER_S}))
        where id = ${row.id} and attempts = ${row.attempts} and state = 'sending'`;
    },

    /** Nothing more is tried; the timeline says so. */
    async failed(row: DueRow, outlet: string, error: string): Promise<void> {
      await sql`
        with failed as (
          update announcements set state = 'failed', last_error = ${error}, closed_at = now()
          where id = ${row.id} and attempts = ${row.attempts} and state <> 'sent' and closed_at is null returning incident_id)
        insert into events (kind, actor, agent_id, incident_id, data)
        select 'announcement_failed', 'system', i.agent_id, i.id, ${sql.json({ outlet, error, subject: row.subject })}
        from failed join incidents i on i.id = failed.incident_id`;
    },

    async withhold(row: DueRow, why: string): Promise<void> {
      await sql`
        with held as (
          update announcements set state = 'withheld', why = ${why}, closed_at = now()
          where id = ${row.id} and state = 'waiting' and attempts = 0 returning incident_id)
        insert into events (kind, actor, agent_id, incident_id, data)
        select 'withheld', 'system', i.agent_id, i.id, ${sql.json({ why })}
        from held join incidents i on i.id = held.incident_id`;
    },

    /** The message shows this now, or would show the same; `error` when the edit was refused for good. */
    async shown(row: ChangedRow, shown: Shown, error: string | null, nextLookMs: number): Promise<void> {
      await sql`
        update announcements set shown_digest = ${shown.digest}, shown_at = ${shown.updatedAt}::text::timestamptz,
          last_error = ${error}, next_attempt_at = now() + ${nextLookMs} * interval '1 ms'
        where id = ${row.id} and state = 'sent'`;
    },

    /** The outlet answers again: what waited for that need not wait longer. */
    async hurry(outlet: string): Promise<void> {
      await sql`
        update announcements set next_attempt_at = now()
        where outlet = ${outlet} and state = 'waiting' and closed_at is null and next_attempt_at > now()`;
    },

    /** To be said beneath the messages of an incident, on outlets that have threads. */
    async addReply(
      query: Sql | TransactionSql,
      incidentId: number,
      subject: string,
      reply: Reply,
      outlets: readonly string[],
    ): Promise<void> {
      await query`
        insert into announcements (kind, incident_id, outlet, subject, state, why, content)
        select 'reply', incident_id, outlet, ${subject}, 'waiting', 'asked for', ${query.json(reply as never)}
        from announcements
        where incident_id = ${incidentId} and kind = 'incident' and subject = '' and outlet = any(${outlets as string[]}::text[])
        on conflict do nothing`;
    },

    async incidentOf(outlet: string, externalId: string): Promise<number | undefined> {
      const [row] = await sql<{ id: number | null }[]>`
        select incident_id as id from announcements
        where outlet = ${outlet} and external_id = ${externalId} and kind = 'incident' order by id limit 1`;
      return row?.id ?? undefined;
    },

    async isBeingSaid(outlet: string, incidentId: number): Promise<boolean> {
      const rows = await sql`
        select from announcements where incident_id = ${incidentId} and outlet = ${outlet} and kind = 'incident'
          and state in ('sending', 'unknown') limit 1`;
      return rows.length > 0;
    },
  };
}

export type DeliveryStore = ReturnType<typeof createDeliveryStore>;
