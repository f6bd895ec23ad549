import type { Sql } from "postgres";
import type { FeedbackService } from "../feedback/model.ts";
import { sha256Hex } from "../lib/hash.ts";
import { fieldsOf } from "../lib/json.ts";
import { possibleActions } from "../protocol/actions.ts";
import type { DecisionLine, IncidentView, StormView, View } from "./model.ts";
import type { NoticeContent } from "./rows.ts";

/** Opened this often within an hour: the problem comes and goes. */
const FLAPPING_TIMES = 4;
const FLAPPING_WINDOW_S = 3_600;
/** INCIDENT_GROUP_WINDOW where nobody sets it. */
const GROUP_WINDOW_MS = 300_000;

/** A view, and of which revision of its incident it is; of a storm, the sum over its incidents. */
export interface BuiltView {
  view: View;
  revision: number;
}

/** Makes what outlets show. */
export function createViews(deps: {
  store: ViewStore;
  feedback: Pick<FeedbackService, "about">;
  publicUrl: string | null;
  groupWindowMs?: number;
  mayInvestigate?: boolean;
}) {
  const { store, publicUrl, groupWindowMs = GROUP_WINDOW_MS, mayInvestigate = false } = deps;

  async function incident(id: number, why: string): Promise<BuiltView | undefined> {
    // First: what changes while the rest is read changes this too, and is shown by the next edit.
    const facts = await store.incident(id);
    if (facts === undefined) return undefined;
    const [times, learnt, consequences, decisions, said] = await Promise.all([
      store.countOpened(facts),
      store.learnt(facts),
      store.consequences(id),
      store.decisions(id),
      deps.feedback.about(id),
    ]);
    const {
      isDeleted,
      allow,
      fingerprint,
      aiAnalysis,
      aiSolution,
      analysis,
      revision,
      isFlapping,
      wellSince,
      ...shown
    } = facts;
    const often = times >= FLAPPING_TIMES ? { times, windowMs: FLAPPING_WINDOW_S * 1_000 } : null;
    const view: IncidentView = {
      ...shown,
      explanation: explanationOf(facts),
      why,
      // The one before it was the first time.
      flapping: isFlapping ? { times: facts.occurrences + 1, windowMs: groupWindowMs, wellSince } : often,
      learnt: learnt.tried > 0 ? learnt : null,
      feedback: said.feedback,
      earlierFeedback: said.earlier_feedback,
      consequences: consequences.map(({ total, ...one }) => one),
      consequencesTotal: consequences[0]?.total ?? 0,
      decisions,
      can: possibleActions({ ...facts, decisions }),
      ...(mayInvestigate && facts.status !== "resolved" && !isDeleted ? { canInvestigate: true } : {}),
      url: publicUrl === null ? null : `${publicUrl}/app/incidents/${id}`,
    };
    return { view: { kind: "incident", incident: view }, revision };
  }

  async function storm(id: number): Promise<BuiltView | undefined> {
    const facts = await store.storm(id);
    if (facts === undefined) return undefined;
    const url = publicUrl === null ? null : `${publicUrl}/app/incidents`;
    return { view: { kind: "storm", storm: { ...facts.storm, url } }, revision: facts.revision };
  }

  function notice(id: number, incidentId: number | null, { title, lines }: NoticeContent): BuiltView {
    const path = incidentId === null ? "" : `/${incidentId}`;
    const url = publicUrl === null ? null : `${publicUrl}/app/incidents${path}`;
    return { view: { kind: "notice", notice: { id, title, lines, incidentId, url } }, revision: 0 };
  }

  return { incident, storm, notice };
}

export type Views = ReturnType<typeof createViews>;

/** A hash of what is shown: its first half of all but the counters, so that it can be told what changed. */
export function hashOf(view: View): string {
  return half(withoutCounters(view)) + half(view);
}

/** Whether two hashes differ in more than counters; what was never shown does. */
export function isStateChanged(before: string | null, after: string): boolean {
  return before === null || before.slice(0, 32) !== after.slice(0, 32);
}

function half(value: unknown): string {
  return sha256Hex(JSON.stringify(value)).slice(0, 32);
}

function withoutCounters(view: View): unknown {
  if (view.kind === "notice") return view.notice;
  if (view.kind === "storm") return { id: view.storm.id, endedAt: view.storm.endedAt };
  const { occurrences, lastSeenAt, flapping, ...rest } = view.incident;
  return { ...rest, flapping: flapping && { windowMs: flapping.windowMs } };
}

function explanationOf({ analysis, aiAnalysis, aiSolution }: IncidentFacts): IncidentView["explanation"] {
  if (analysis === null) return null;
  const isModel = analysis.by === "model";
  const model = isModel ? fieldsOf(analysis.model) : {};
  const decisive = textOf(analysis.decisive);
  return {
    by: isModel ? "model" : "heuristic",
    category: textOf(analysis.category) ?? "unknown",
    confidence: typeof analysis.confidence === "number" ? analysis.confidence : 0,
    cause: textOf(model.cause) ?? aiAnalysis ?? "",
    fix: textOf(model.fix) ?? aiSolution ?? "",
    fixCommand: textOf(model.fix_command),
    evidence: evidenceOf(model.evidence, decisive),
  };
}

function evidenceOf(lines: unknown, decisive: string | null): string[] {
  const texts = Array.isArray(lines) ? lines.filter((line) => typeof line === "string") : [];
  if (texts.length > 0) return texts;
  return decisive === null ? [] : [decisive];
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** Of an incident's message; outlets shorten further. */
const MESSAGE_CHARS_MAX = 8_192;
const CONSEQUENCES_SHOWN_MAX = 5;
const DECISIONS_SHOWN_MAX = 10;
const GROUPS_SHOWN_MAX = 5;
const NEWEST_SHOWN_MAX = 5;
const HELD_SHOWN_MAX = 500;

/** What a message about an incident is made of. */
interface IncidentFacts extends Omit<IncidentView, Found> {
  isDeleted: boolean;
  allow: unknown;
  fingerprint: string;
  aiAnalysis: string | null;
  aiSolution: string | null;
  analysis: Record<string, unknown> | null;
  revision: number;
  isFlapping: boolean;
  wellSince: Date | null;
}

/** What of a view is found elsewhere, or made of other facts. */
type Found =
  | "explanation"
  | "why"
  | "url"
  | "can"
  | "canInvestigate"
  | "flapping"
  | "learnt"
  | "feedback"
  | "earlierFeedback"
  | "decisions"
  | `consequences${"" | "Total"}`;

/** The SQL of what messages show. */
export function createViewStore(sql: Sql) {
  return {
    async incident(id: number): Promise<IncidentFacts | undefined> {
      const [row] = await sql<IncidentFacts[]>`
        select i.id, i.agent_id as "agentId", a.hostname, a.deleted_at is not null as "isDeleted", a.meta->'allow' as allow,
          i.type, i.source, i.fingerprint, i.severity, i.status, i.occurrences, i.created_at as "createdAt",
          i.last_seen_at as "lastSeenAt", i.resolved_at as "resolvedAt", i.reason,
          left(i.raw_error, least(i.message_chars, ${MESSAGE_CHARS_MAX})) as message, i.ai_analysis as "aiAnalysis",
          i.ai_solution as "aiSolution", i.analysis, i.parent_id as "parentId", i.previous_id as "previousId",
          i.revision, f.is as "isFlapping",
          case when f.is and i.status <> 'resolved' then (
            select case when l.state = 'resolved' then l.received_at end from alerts l
            where l.incident_id = i.id order by l.id desc limit 1) end as "wellSince"
        from incidents i join agents a on a.id = i.agent_id
        cross join lateral (
          select exists (select from events e where e.incident_id = i.id and e.kind = 'flapping') as is) f
        where i.id = ${id}`;
      return row;
    },

    /** How often the same problem opened an incident within the hour before this one, this one included. */
    async countOpened({ id, agentId, fingerprint, createdAt }: IncidentFacts): Promise<number> {
      const [row] = await sql<{ count: number }[]>`
        select 1 + count(*)::int as count from incidents
        where fingerprint = ${fingerprint} and status = 'resolved' and agent_id = ${agentId} and id < ${id}
          and created_at > ${createdAt}::timestamptz - make_interval(secs => ${FLAPPING_WINDOW_S})`;
      return row?.count ?? 0;
    },

    /** Of restarts for earlier incidents of the same problem: how many cleared it. */
    async learnt({ id, agentId, fingerprint }: IncidentFacts): Promise<{ cleared: number; tried: number }> {
      const [row] = await sql<{ cleared: number; tried: number }[]>`
        select count(*) filter (where d.state = 'verified')::int as cleared, count(*)::int as tried
        from decisions d join incidents i on i.id = d.incident_id
        where d.action = 'restart' and d.state in ('verified', 'failed_again') and i.agent_id = ${agentId}
          and i.fingerprint = ${fingerprint} and i.status = 'resolved' and i.id <> ${id}`;
      return row ?? { cleared: 0, tried: 0 };
    },

    async consequences(id: number): Promise<(IncidentView["consequences"][number] & { total: number })[]> {
      const rows = await sql<(IncidentView["consequences"][number] & { total: number })[]>`
        select id, source, left(raw_error, least(message_chars, 300)) as message, reason, count(*) over ()::int as total
        from incidents
        where parent_id = ${id} and status <> 'resolved'
        order by id desc limit ${CONSEQUENCES_SHOWN_MAX}`;
      return [...rows].reverse();
    },

    async decisions(id: number): Promise<DecisionLine[]> {
      const rows = await sql<DecisionLine[]>`
        select id, action, variant, actor_name as "actorName", state, outcome, requested_at as "requestedAt",
          ended_at is not null as ended
        from decisions where incident_id = ${id} order by requested_at desc, id limit ${DECISIONS_SHOWN_MAX}`;
      return [...rows].reverse();
    },

    /** The storm's figures, and the sum of its incidents' revisions; undefined when there is no such storm. */
    async storm(id: number): Promise<{ storm: Omit<StormView, "url">; revision: number } | undefined> {
      const [row] = await sql<(Pick<StormView, "startedAt" | "endedAt" | "total" | "open"> & { revision: number })[]>`
        select d.created_at as "startedAt", (d.content->>'ended_at')::timestamptz as "endedAt",
          count(i.id)::int as total, (count(i.id) filter (where i.status <> 'resolved'))::int as open,
          coalesce(sum(i.revision), 0)::int as revision
        from announcements d
        left join announcements a on a.storm_id = d.id and a.kind = 'incident'
        left join incidents i on i.id = a.incident_id
        where d.id = ${id} group by d.id`;
      if (row === undefined) return undefined;
      const { revision, ...figures } = row;
      const byHost = await sql<StormView["byHost"]>`
        select coalesce(g.hostname, g.id::text) as hostname, count(*)::int as count from announcements a
        join incidents i on i.id = a.incident_id join agents g on g.id = i.agent_id
        where a.storm_id = ${id} and a.kind = 'incident'
        group by g.id order by count(*) desc, g.id limit ${GROUPS_SHOWN_MAX}`;
      const byCategory = await sql<StormView["byCategory"]>`
        select coalesce(i.analysis->>'category', 'unknown') as category, count(*)::int as count from announcements a
        join incidents i on i.id = a.incident_id
        where a.storm_id = ${id} and a.kind = 'incident' group by 1 order by count(*) desc, 1 limit ${GROUPS_SHOWN_MAX}`;
      const newest = await sql<StormView["newest"]>`
        select i.id, g.hostname, i.type, i.source, left(i.raw_error, least(i.message_chars, 300)) as message, i.severity
        from announcements a join incidents i on i.id = a.incident_id join agents g on g.id = i.agent_id
        where a.storm_id = ${id} and a.kind = 'incident' order by i.id desc limit ${NEWEST_SHOWN_MAX}`;
      const held = await sql<NonNullable<StormView["held"]>[number][]>`
        select i.id, coalesce(g.hostname, g.id::text) as hostname, i.source,
          coalesce(nullif(i.analysis->>'category', 'unknown'), i.type) as kind
        from announcements a join incidents i on i.id = a.incident_id join agents g on g.id = i.agent_id
        where a.storm_id = ${id} and a.kind = 'incident'
        order by count(*) over (partition by g.id) desc, g.id, 4, i.id limit ${HELD_SHOWN_MAX}`;
      const lists = { byHost: [...byHost], byCategory: [...byCategory], newest: [...newest], held: [...held] };
      return { storm: { id, ...figures, ...lists }, revision };
    },
  };
}

type ViewStore = ReturnType<typeof createViewStore>;
