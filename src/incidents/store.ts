import { and, desc, eq, lt, ne, sql as raw } from "drizzle-orm";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type * as schema from "../db/schema.ts";
import { events, incidents } from "../db/schema.ts";
import type { DecidedStatus, Incident, IncidentPage, TimelineEntry } from "./model.ts";

type Orm = PostgresJsDatabase<typeof schema>;

/** What a list shows of an incident's text. */
export const LIST_TEXT_BYTES = 4096;
/** Most lines of one timeline. */
const TIMELINE_ENTRIES_MAX = 1000;

const COLUMNS = {
  id: incidents.id,
  agent_id: incidents.agentId,
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

/** The SQL of incidents as people read and decide them. */
export function createIncidentStore(orm: Orm) {
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
        .select({ at: events.at, kind: events.kind, actor: events.actor, data: events.data })
        .from(events)
        .where(eq(events.incidentId, id))
        .orderBy(events.at, events.id)
        .limit(TIMELINE_ENTRIES_MAX);
    },

    /** Sets the status of an unresolved incident and notes who did it; undefined when it is resolved or not there. */
    async decide(id: number, status: DecidedStatus, actor: string): Promise<Incident | undefined> {
      return orm.transaction(async (tx) => {
        const isResolved = status === "resolved";
        const [row] = await tx
          .update(incidents)
          .set({
            status,
            updatedAt: raw`now()`,
            ...(isResolved ? { resolvedAt: raw`now()`, reason: `resolved by ${actor}` } : {}),
          })
          .where(and(eq(incidents.id, id), ne(incidents.status, "resolved")))
          .returning(COLUMNS);
        if (!row) return undefined;
        await tx.insert(events).values({ kind: status, actor, agentId: row.agent_id, incidentId: id });
        return row as Incident;
      });
    },
  };
}

export type IncidentStore = ReturnType<typeof createIncidentStore>;
