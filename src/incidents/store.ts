import type { Sql, TransactionSql } from "postgres";
import type { Incident, IncidentAnnouncement, IncidentDecision, TimelineEntry } from "./model.ts";

/** What a list shows of an incident's text. */
export const LIST_TEXT_BYTES = 4096;
/** Most lines of one timeline. */
const TIMELINE_ENTRIES_MAX = 1000;
/** Most decisions, and most announcements, that are told of one incident: the newest. */
const STORY_ENTRIES_MAX = 100;

/** The SQL of incidents as people read and decide them. */
export function createIncidentStore(sql: Sql) {
  const columns = sql`id, agent_id, origin, type, source, octet_length(raw_error) as raw_error_bytes, message_chars, ai_analysis,
    ai_solution, analysis, status, fingerprint, severity, exit_code, occurrences, created_at, last_seen_at, updated_at, revision,
    resolved_at, parent_id, previous_id, next_id, reason`;

  return {
    /** In the order of the numbers, their text cut. */
    async some(ids: readonly number[]): Promise<Incident[]> {
      return sql<Incident[]>`
        select ${columns}, left(raw_error, ${LIST_TEXT_BYTES}) as raw_error
        from unnest(${ids as number[]}::int[]) with ordinality wanted (number, no) join incidents on id = wanted.number
        order by wanted.no`;
    },

    async get(id: number): Promise<Incident | undefined> {
      const [row] = await sql<Incident[]>`select ${columns}, raw_error from incidents where id = ${id}`;
      return row;
    },

    async timeline(id: number): Promise<TimelineEntry[]> {
      return sql<TimelineEntry[]>`
        select at, kind, actor, command_id, data from events
        where incident_id = ${id} order by at, id limit ${TIMELINE_ENTRIES_MAX}`;
    },

    begin: async <T>(work: (tx: TransactionSql) => Promise<T>): Promise<T> => (await sql.begin(work)) as T,

    /** What people decided about it, oldest first. A decision knows its command before there is one: until then it is not told. */
    async decisions(id: number): Promise<IncidentDecision[]> {
      const rows = await sql<IncidentDecision[]>`
        select id, action, variant, actor, actor_name, outlet, state,
          (select c.id from commands c where c.id = decisions.command_id) as command_id, outcome, requested_at, carried_out_at,
          ended_at from decisions where incident_id = ${id} order by requested_at desc, id limit ${STORY_ENTRIES_MAX}`;
      return [...rows].reverse();
    },

    /** Where people were told, or why not, oldest first. */
    async announcements(id: number): Promise<IncidentAnnouncement[]> {
      const rows = await sql<IncidentAnnouncement[]>`
        select outlet, kind, state, why, last_error, created_at, sent_at from announcements
        where incident_id = ${id} order by id desc limit ${STORY_ENTRIES_MAX}`;
      return [...rows].reverse();
    },
  };
}

export type IncidentStore = ReturnType<typeof createIncidentStore>;
