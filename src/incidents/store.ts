import { and, desc, eq, lt, sql as raw } from "drizzle-orm";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql, TransactionSql } from "postgres";
import type * as schema from "../db/schema.ts";
import { events, incidents } from "../db/schema.ts";
import type { Incident, IncidentAnnouncement, IncidentDecision, IncidentPage, TimelineEntry } from "./model.ts";

type Orm = PostgresJsDatabase<typeof schema>;

/** What a list shows of an incident's text. */
export const LIST_TEXT_BYTES = 4096;
/** Most lines of one timeline. */
const TIMELINE_ENTRIES_MAX = 1000;
/** Most decisions, and most announcements, that are told of one incident: the newest. */
const STORY_ENTRIES_MAX = 100;

const COLUMNS = {
  id: incidents.id,
  agent_id: incidents.agentId,
  origin: incidents.origin,
  type: incidents.type,
  source: incidents.source,
  raw_error: incidents.rawError,
  raw_error_bytes: raw<number>`octet_length(${incidents.rawError})`,
  message_chars: incidents.messageChars,
  ai_analysis: incidents.aiAnalysis,
  ai_solution: incidents.aiSolution,
  analysis: incidents.analysis,
  status: incidents.status,
  fingerprint: incidents.fingerprint,
  severity: incidents.severity,
  exit_code: incidents.exitCode,
  occurrences: incidents.occurrences,
  created_at: incidents.createdAt,
  last_seen_at: incidents.lastSeenAt,
  updated_at: incidents.updatedAt,
  revision: incidents.revision,
  resolved_at: incidents.resolvedAt,
  parent_id: incidents.parentId,
  previous_id: incidents.previousId,
  next_id: incidents.nextId,
  reason: incidents.reason,
};

const LIST_COLUMNS = {
  ...COLUMNS,
  raw_error: raw<string>`left(${incidents.rawError}, ${raw.raw(String(LIST_TEXT_BYTES))})`,
};

/** The SQL of incidents as people read and decide them. `sql` is for transactions that others take part in. */
export function createIncidentStore(orm: Orm, sql: Sql) {
  return {
    async list({ limit, cursor, status, agentId }: IncidentPage): Promise<Incident[]> {
      const rows = await orm
        .select(LIST_COLUMNS)
        .from(incidents)
        .where(
          and(
            cursor === undefined ? undefined : lt(incidents.id, cursor),
            status === undefined ? undefined : eq(incidents.status, status),
            agentId === undefined ? undefined : eq(incidents.agentId, agentId),
          ),
        )
        .orderBy(desc(incidents.id))
        .limit(limit);
      return rows as Incident[];
    },

    async get(id: number): Promise<Incident | undefined> {
      const [row] = await orm.select(COLUMNS).from(incidents).where(eq(incidents.id, id));
      return row as Incident | undefined;
    },

    async timeline(id: number): Promise<TimelineEntry[]> {
      return orm
        .select({
          at: events.at,
          kind: events.kind,
          actor: events.actor,
          command_id: events.commandId,
          data: events.data,
        })
        .from(events)
        .where(eq(events.incidentId, id))
        .orderBy(events.at, events.id)
        .limit(TIMELINE_ENTRIES_MAX);
    },

    begin: async <T>(work: (tx: TransactionSql) => Promise<T>): Promise<T> => (await sql.begin(work)) as T,

    /** What people decided about it, oldest first. */
    async decisions(id: number): Promise<IncidentDecision[]> {
      const rows = await sql<IncidentDecision[]>`
        select id, action, variant, actor, actor_name, outlet, state, command_id, outcome, requested_at, carried_out_at,
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
