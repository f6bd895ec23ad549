import type { TransactionSql } from "postgres";

/**
 * What flaps goes on in the message that there is: of rows that wait for their message, those whose incident flaps take over the one
 * that the incident before had, where it can be edited, and show themselves there with the next edit. In the transaction in which
 * they were decided.
 */
export async function takeMessagesOver(tx: TransactionSql, ids: readonly number[]) {
  return tx<{ incidentId: number; before: number }[]>`
    with mine as (
      select a.id, o.id as old, o.external_id, i.id as incident_id, i.previous_id
      from announcements a join incidents i on i.id = a.incident_id
      join announcements o on o.incident_id = i.previous_id and o.outlet = a.outlet and o.kind = 'incident' and o.subject = ''
        and o.state = 'sent' and o.external_id is not null
      where a.id = any(${ids as number[]}::bigint[]) and a.attempts = 0 and a.kind = 'incident'
        and exists (select from events e where e.incident_id = i.id and e.kind = 'flapping')
      for update of o),
    others as (
      update announcements o set external_id = null, closed_at = coalesce(o.closed_at, now()) from mine where o.id = mine.old)
    update announcements a set state = 'sent', external_id = m.external_id, sent_at = now(), next_attempt_at = now()
    from mine m where a.id = m.id returning m.incident_id as "incidentId", m.previous_id as before`;
}
