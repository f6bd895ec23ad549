import type { Sql } from "postgres";

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

export type RetentionStore = ReturnType<typeof createRetentionStore>;
