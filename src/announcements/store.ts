import type { Sql, TransactionSql } from "postgres";
import type { Reply } from "./model.ts";
import type { Backlog } from "./service.ts";

/** What is to be said beneath an incident's messages; once for each subject. */
interface AskedReply {
  incidentId: number;
  subject: string;
  reply: Reply;
}

/** An outlet may have refused one message; it is taken to work again when nothing else was refused for so long. */
const BROKEN_S = 3_600;

/** The SQL of announcements that any node runs; what the leader of an outlet does is in outlet-store.ts. */
export function createAnnouncementStore(sql: Sql) {
  return {
    /** A row for each incident and outlet, where there is none yet, for the outlet's leader to decide about. */
    async expect(tx: TransactionSql, incidentIds: readonly number[], outlets: readonly string[]): Promise<void> {
      await tx`
        insert into announcements (kind, incident_id, outlet, state, why)
        select 'incident', i.id, o.outlet, 'undecided', 'it is not decided yet'
        from unnest(${incidentIds as number[]}::int[]) i (id) cross join unnest(${outlets as string[]}::text[]) o (outlet)
        order by i.id, o.outlet
        on conflict do nothing`;
    },

    /** To be said beneath the messages of an incident, on outlets that have threads. */
    async addReply(query: Sql | TransactionSql, asked: AskedReply, outlets: readonly string[]): Promise<void> {
      await query`${repliesBeneath(query, asked, outlets)} on conflict do nothing`;
    },

    /** A reply that is edited to what was said last, beneath messages that stand, or are about to. */
    async keepReply(query: Sql | TransactionSql, asked: AskedReply, outlets: readonly string[]): Promise<void> {
      await query`
        ${repliesBeneath(query, asked, outlets)}
          and state in ('waiting', 'sending', 'sent', 'unknown')
        on conflict (incident_id, outlet, kind, subject) do update set content = excluded.content,
          state = case announcements.state when 'sent' then 'waiting' else announcements.state end,
          closed_at = case announcements.state when 'sent' then null else announcements.closed_at end,
          next_attempt_at = case announcements.state when 'sent' then now() else announcements.next_attempt_at end
        where announcements.content is distinct from excluded.content
          and (announcements.state <> 'sent' or announcements.external_id is not null)`;
    },

    async incidentOf(outlet: string, externalId: string): Promise<number | undefined> {
      const [row] = await sql<{ id: number | null }[]>`
        select incident_id as id from announcements
        where outlet = ${outlet} and external_id = ${externalId} and kind = 'incident' order by id limit 1`;
      return row?.id ?? undefined;
    },

    async isInFlight(outlet: string, incidentId: number): Promise<boolean> {
      const rows = await sql`
        select from announcements where incident_id = ${incidentId} and outlet = ${outlet} and kind = 'incident'
          and state in ('sending', 'unknown') limit 1`;
      return rows.length > 0;
    },

    /** Messages of incidents that are over, where they can be edited; they are closed again by the leader. */
    async reopen(tx: TransactionSql, incidentIds: readonly number[]): Promise<void> {
      await tx`
        update announcements set closed_at = null, next_attempt_at = now()
        where incident_id = any(${incidentIds as number[]}::int[]) and kind = 'incident' and subject = '' and state = 'sent'
          and closed_at is not null and external_id is not null and storm_id is null`;
    },

    /** Forgets a chunk of what is older than `retentionMs` and closed, or whose incident is gone; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from announcements where id in (
          select a.id from announcements a
          where a.created_at < now() - ${retentionMs} * interval '1 ms'
            and (a.kind <> 'notice' or a.created_at < now() - interval '3 days')
            and (a.kind <> 'incident' or not exists (select from incidents i where i.id = a.incident_id))
          limit 2000 for update skip locked)`;
      return deleted.count;
    },

    /** Which of these outlets gave up the last message that it was to post, within the last hour. */
    async broken(outlets: readonly string[]): Promise<string[]> {
      const rows = await sql<{ outlet: string }[]>`
        select o.outlet from unnest(${outlets as string[]}::text[]) o (outlet)
        cross join lateral (
          select a.state from announcements a
          where a.outlet = o.outlet and a.state in ('sent', 'failed') and a.kind <> 'reply'
            and a.decided_at > now() - make_interval(secs => ${BROKEN_S})
          order by a.decided_at desc limit 1) last
        where last.state = 'failed'`;
      return rows.map(({ outlet }) => outlet);
    },

    async backlog(outlets: readonly string[]): Promise<Backlog[]> {
      return sql<Backlog[]>`
        select o.outlet, count(a.id)::int as waiting,
          coalesce(extract(epoch from now() - min(coalesce(a.decided_at, a.created_at))), 0)::float8 as "oldestS"
        from unnest(${outlets as string[]}::text[]) o (outlet)
        left join announcements a on a.outlet = o.outlet and a.closed_at is null
          and a.state in ('undecided', 'waiting', 'sending', 'unknown')
        group by o.outlet`;
    },
  };
}

/** The insertion of a reply beneath each message of the incident, as far as those are the outlets'. */
function repliesBeneath(
  query: Sql | TransactionSql,
  { incidentId, subject, reply }: AskedReply,
  outlets: readonly string[],
) {
  return query`
    insert into announcements (kind, incident_id, outlet, subject, state, why, content)
    select 'reply', incident_id, outlet, ${subject}, 'waiting', 'asked for', ${query.json(reply as never)}
    from announcements
    where incident_id = ${incidentId} and kind = 'incident' and subject = '' and outlet = any(${outlets as string[]}::text[])`;
}
