import type { Sql, TransactionSql } from "postgres";

/** After its cause was resolved, an incident has this long to end too. */
const CONSEQUENCE_GRACE_S = 300;
/** A message of a resolved incident is kept right for this long: an alert may come late, a decision's outcome later. */
const CLOSE_AFTER_S = 600;
/** A digest whose incidents nobody ends. */
const DIGEST_CLOSE_AFTER_S = 86_400;
const ROWS_MAX = 500;

/** The SQL of what time alone changes. */
export function createSweepStore(sql: Sql) {
  return {
    /** Consequences that are still open although their cause is gone, by id, and why they are told now. */
    async findLeftOver(query: Sql | TransactionSql): Promise<Map<number, string>> {
      const rows = await query<{ id: number; cause: number }[]>`
        select distinct i.id, i.parent_id as cause from announcements a
        join incidents i on i.id = a.incident_id
        left join incidents c on c.id = i.parent_id
        where a.closed_at is null and a.kind = 'incident' and a.subject = '' and a.state = 'withheld' and a.digest_id is null
          and i.parent_id is not null and i.status in ('new', 'analyzed')
          and (c.id is null or (c.status = 'resolved' and c.resolved_at < now() - make_interval(secs => ${CONSEQUENCE_GRACE_S})))
        order by i.id limit ${ROWS_MAX}`;
      return new Map(
        rows.map(({ id, cause }) => [id, `still open 5 minutes after its cause, incident #${cause}, was resolved`]),
      );
    },

    /** What is over is looked at no more. */
    async close(): Promise<void> {
      // The cause's message names the consequences that are open.
      await sql`
        with closed as (
          update announcements a set closed_at = now() from incidents i
          where a.incident_id = i.id and a.closed_at is null and i.status = 'resolved'
            and (a.state = 'withheld' or (a.state = 'sent' and a.kind = 'incident' and a.shown_at = i.updated_at
              and i.updated_at < now() - make_interval(secs => ${CLOSE_AFTER_S})))
          returning i.parent_id)
        update incidents set updated_at = now() where status <> 'resolved' and id in (select parent_id from closed)`;
      await sql`
        update announcements a set closed_at = now()
        where a.closed_at is null and a.kind = 'incident' and not exists (select from incidents i where i.id = a.incident_id)`;
      await sql`
        update announcements d set closed_at = now()
        where d.kind = 'digest' and d.subject = '' and d.closed_at is null and d.content ? 'ended_at' and d.state in ('sent', 'failed')
          and d.sent_at < now() - make_interval(secs => ${CLOSE_AFTER_S})
          and ((d.content->>'ended_at')::timestamptz < now() - make_interval(secs => ${DIGEST_CLOSE_AFTER_S})
            or not exists (select from announcements a join incidents i on i.id = a.incident_id
              where a.digest_id = d.id and a.kind = 'incident'
                and (i.status <> 'resolved' or i.updated_at > now() - make_interval(secs => ${CLOSE_AFTER_S}))))`;
    },

    /** Where nothing can be edited, the end is a message of its own. Returns how many are to be posted. */
    async addEnds(outlets: readonly string[]): Promise<number> {
      const incidents = await sql`
        insert into announcements (kind, incident_id, outlet, subject, state, why)
        select 'incident', a.incident_id, a.outlet, 'end', 'waiting', 'resolved'
        from announcements a join incidents i on i.id = a.incident_id
        where a.outlet = any(${outlets as string[]}::text[]) and a.kind = 'incident' and a.subject = '' and a.state = 'sent'
          and a.closed_at is null and i.status = 'resolved' and a.sent_at < i.updated_at
          and not exists (select from announcements e where e.incident_id = a.incident_id and e.outlet = a.outlet
            and e.kind = 'incident' and e.subject = 'end')
        on conflict do nothing`;
      const digests = await sql`
        insert into announcements (kind, outlet, subject, state, why, digest_id)
        select 'digest', d.outlet, 'end', 'waiting', 'the storm is over', d.id
        from announcements d
        where d.outlet = any(${outlets as string[]}::text[]) and d.kind = 'digest' and d.subject = '' and d.state = 'sent'
          and d.closed_at is null and d.content ? 'ended_at'
          and not exists (select from announcements e where e.kind = 'digest' and e.subject = 'end' and e.digest_id = d.id)`;
      return incidents.count + digests.count;
    },

    /** Forgets a chunk of what is older than `retentionMs` and closed, or whose incident is gone; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from announcements where id in (
          select a.id from announcements a
          where a.created_at < now() - ${retentionMs} * interval '1 ms'
            and (a.kind <> 'incident' or not exists (select from incidents i where i.id = a.incident_id))
          limit 2000 for update skip locked)`;
      return deleted.count;
    },

    async backlog(outlets: readonly string[]): Promise<{ outlet: string; waiting: number; oldestS: number }[]> {
      return sql`
        select o.outlet, count(a.id)::int as waiting,
          coalesce(extract(epoch from now() - min(a.created_at)), 0)::float8 as "oldestS"
        from unnest(${outlets as string[]}::text[]) o (outlet)
        left join announcements a on a.outlet = o.outlet and a.closed_at is null and a.state in ('waiting', 'sending', 'unknown')
        group by o.outlet`;
    },
  };
}

export type SweepStore = ReturnType<typeof createSweepStore>;
