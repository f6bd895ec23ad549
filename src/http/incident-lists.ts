import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { DECISION_STATES } from "../decisions/model.ts";
import {
  INCIDENT_ORDERS,
  INCIDENT_ORIGINS,
  INCIDENT_STATUSES,
  type IncidentFilter,
  type IncidentService,
  type IncidentStatus,
  type Severity,
} from "../incidents/model.ts";
import { DECISION_ACTIONS, IGNORE_VARIANTS } from "../protocol/actions.ts";
import { invalid } from "./problems.ts";
import * as api from "./schemas.ts";

/** A short page: what a person looks through. */
const SHORT_MAX = 500;
const TIMELINE_LINES = 20;
/** Each word is looked for in each incident. */
const WORDS_MAX = 8;
const QUERY_CHARS_MAX = 200;
const TYPES_MAX = 20;

const SEVERITIES = ["critical", "warning", "info"] as const;
const STATUS_WORDS = ["open", ...INCIDENT_STATUSES] as const;

/** Words of a set, with commas between them. */
function someOf<const W extends string>(words: readonly W[]) {
  const one = `(${words.join("|")})`;
  const description = `one or several of ${words.join(", ")}, with commas between them`;
  return Type.Optional(Type.String({ pattern: `^${one}(,${one})*$`, maxLength: QUERY_CHARS_MAX, description }));
}

/** What leaves incidents out, in a query. */
export const FILTERS = {
  status: someOf(STATUS_WORDS),
  severity: someOf(SEVERITIES),
  type: Type.Optional(
    Type.String({
      pattern: `^[^,]+(,[^,]+){0,${TYPES_MAX - 1}}$`,
      maxLength: 1_000,
      description: `one or several types, ${TYPES_MAX} at most, with commas between them`,
    }),
  ),
  host: Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: "the host's name; * and ? stand for any characters" }),
  ),
  q: Type.Optional(
    Type.String({
      maxLength: QUERY_CHARS_MAX,
      description: `words, ${WORDS_MAX} at most, that all stand in the title, source, host or cause`,
    }),
  ),
};
const Filters = api.input(FILTERS);

/** How a list is ordered and shown, and whose consequences it lists. */
export const LISTING = {
  parent_id: Type.Optional(api.IncidentIdText),
  order: Type.Optional(
    Type.Unsafe<(typeof INCIDENT_ORDERS)[number]>({
      ...api.oneOf(INCIDENT_ORDERS),
      description:
        "newest, or urgent: new and analyzed ones by severity (critical, warning, none, info), then acknowledged, ignored and resolved ones; the newest of each kind first",
    }),
  ),
  view: Type.Optional(
    Type.Unsafe<"full" | "short">({ ...api.oneOf(["full", "short"]), description: "short: what a list shows" }),
  ),
};

/** Where the page before ended: a number, in order of urgency with how urgent that one was before it. */
export const Cursor = Type.String({
  pattern: "^([0-5]\\.)?[1-9]\\d{0,9}$",
  description: "the cursor of the page before's Link header",
});

const ShortDecisionSchema = api.resource("ShortDecision", {
  id: api.Uuid,
  action: api.oneOf(DECISION_ACTIONS),
  variant: api.nullable(api.oneOf(IGNORE_VARIANTS)),
  state: api.oneOf(DECISION_STATES),
  actor_name: Type.String(),
  outcome: api.nullable(Type.String()),
  requested_at: api.Instant,
  ended_at: api.nullable(api.Instant),
});

/** An incident as a list shows it. */
export const ShortIncidentSchema = api.resource("ShortIncident", {
  id: api.IncidentId,
  revision: Type.Integer({ description: "rises with each change" }),
  status: api.oneOf(INCIDENT_STATUSES),
  severity: api.nullable(api.oneOf(SEVERITIES)),
  type: Type.String(),
  source: Type.String(),
  origin: api.oneOf(INCIDENT_ORIGINS),
  agent_id: api.Uuid,
  host: Type.String({ description: "its name, or the agent's id while it has none" }),
  title: Type.String({ description: "the message's first line" }),
  cause: api.nullable(Type.String({ description: "the explanation's first sentence" })),
  confidence: api.nullable(Type.Number({ description: "0 to 1" })),
  by: api.nullable(api.oneOf(["model", "heuristic"])),
  doubted: Type.Boolean({
    description: "a person said that the cause is wrong, of this incident or of one like it before",
  }),
  occurrences: Type.Integer(),
  created_at: api.Instant,
  last_seen_at: api.Instant,
  updated_at: api.Instant,
  resolved_at: api.nullable(api.Instant),
  parent_id: api.nullable(api.IncidentId),
  children: Type.Integer({ description: "open incidents that follow from it" }),
  decision: Type.Union([ShortDecisionSchema, Type.Null()], { description: "the last one" }),
  silenced: Type.Boolean({ description: "open, and muted by a silence" }),
});

/** The same as a type: for the page, too. */
export type ShortIncident = Static<typeof ShortIncidentSchema>;

/** How many there are of what. */
export type IncidentCounts = Static<typeof Counts>;
const Counts = api.resource("IncidentCounts", {
  total: Type.Integer(),
  by_status: Type.Object({
    new: Type.Integer(),
    analyzed: Type.Integer(),
    acknowledged: Type.Integer(),
    ignored: Type.Integer(),
    resolved: api.nullable(
      Type.Integer({
        description: "20,000 at most; by more than the status among the newest 2,000; null where it is not asked for",
      }),
    ),
  }),
  by_severity: Type.Object(
    { critical: Type.Integer(), warning: Type.Integer(), info: Type.Integer(), none: Type.Integer() },
    { description: "open ones" },
  ),
  unacknowledged_critical: Type.Integer(),
  hosts_affected: Type.Integer({ description: "hosts with an open incident" }),
  hosts: Type.Object({ total: Type.Integer(), online: Type.Integer(), offline: Type.Integer() }),
  alerts: Type.Object(
    { from: api.Instant, per_minute: Type.Array(Type.Integer()) },
    { description: "of all hosts, in each of the last 60 minutes" },
  ),
  quiet_since: api.nullable(
    Type.String({
      format: "date-time",
      description: "when the last open incident was resolved; null while one is open",
    }),
  ),
});

/** A line of the audit trail over all hosts. */
export const AuditLineSchema = api.resource("AuditLine", {
  id: Type.Integer({ description: "of the line that an incident opened: the incident's number, negative" }),
  at: api.Instant,
  kind: Type.String(),
  actor: Type.String({ description: "agent, system, or a person" }),
  agent_id: api.nullable(api.Uuid),
  host: api.nullable(Type.String()),
  incident_id: api.nullable(api.IncidentId),
  command_id: api.nullable(api.Uuid),
  data: api.nullable(api.AnyObject),
});

/** Where the page before ended: of lines that are stored, and of incidents. */
const TimelineCursor = Type.String({
  pattern: "^\\d{1,16}\\.\\d{1,10}$",
  description: "the cursor of the page before's Link header",
});

/** The same as a type: for the page, too. */
export type AuditLine = Static<typeof AuditLineSchema>;

/** How many incidents there are, and what happened last. */
export function incidentListRoutes(incidents: IncidentService) {
  const { viewer } = api.describing("incidents");
  return new Elysia({ name: "incident lists", prefix: "/v1", normalize: false })
    .get(
      "/incidents/counts",
      async ({ query }) => {
        const counts = await incidents.counts(filterOf(query));
        return { ...api.onWire(counts), alerts: api.onWire(counts.alerts) };
      },
      viewer(
        "How many incidents there are, of open ones when no status is named; the hosts, and the alerts of the last hour",
        { query: Filters },
        api.answers(200, Counts),
      ),
    )
    .get(
      "/timeline",
      async ({ query, request, set }) => {
        const limit = query.limit ?? TIMELINE_LINES;
        const { lines, nextCursor } = await incidents.audit({ limit, before: query.before });
        return api.pageOf(lines, nextCursor, { request, set }, "before");
      },
      viewer(
        "What happened last, on all hosts",
        { query: api.input({ limit: api.Limit, before: Type.Optional(TimelineCursor) }) },
        api.answers(200, Type.Array(AuditLineSchema)),
      ),
    );
}

/** The filter that a query names. */
export function filterOf({ status, severity, type, host, q }: Static<typeof Filters>): IncidentFilter {
  const words = q?.split(/\s+/).filter((word) => word !== "") ?? [];
  if (words.length > WORDS_MAX) throw invalid([{ field: "q", message: `expected ${WORDS_MAX} words at most` }]);
  return {
    statuses: status === undefined ? undefined : statusesOf(status),
    severities: severity?.split(",") as Severity[] | undefined,
    types: type?.split(","),
    host,
    words: words.length > 0 ? words : undefined,
  };
}

function statusesOf(text: string): IncidentStatus[] {
  const words = text.split(",") as (typeof STATUS_WORDS)[number][];
  return INCIDENT_STATUSES.filter((one) => words.includes(one) || (one !== "resolved" && words.includes("open")));
}

/** Refuses what does not fit together. */
export function checkListing(query: { view?: string; order?: string; limit?: number; cursor?: string }): void {
  if (query.view === "short" && (query.limit ?? 0) > SHORT_MAX)
    throw invalid([{ field: "limit", message: `expected ${SHORT_MAX} at most with view=short` }]);
  if (query.order !== "urgent" && query.cursor?.includes("."))
    throw invalid([{ field: "cursor", message: "is of a list in another order" }]);
}
