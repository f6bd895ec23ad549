import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { type AnalysisService, INVESTIGATION_STATES, STEP_STATES } from "../analysis/model.ts";
import { DECISION_STATES, type DecisionService } from "../decisions/model.ts";
import type { AgentService } from "../fleet/model.ts";
import { DECIDED_STATUSES, INCIDENT_ORIGINS, INCIDENT_STATUSES, type IncidentService } from "../incidents/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { DECISION_ACTIONS, IGNORE_VARIANTS } from "../protocol/actions.ts";
import { FeedbackSchema } from "./feedback.ts";
import { Cursor, checkListing, FILTERS, filterOf, LISTING, ShortIncidentSchema } from "./incident-lists.ts";
import { press } from "./press.ts";
import { existing, HttpProblem, invalid, notFound } from "./problems.ts";
import * as api from "./schemas.ts";

const INCIDENT = {
  id: api.IncidentId,
  agent_id: api.Uuid,
  origin: api.oneOf(INCIDENT_ORIGINS),
  type: Type.String(),
  source: Type.String(),
  raw_error: Type.String({ description: "the message and its logs; cut at 4 KiB in lists" }),
  raw_error_bytes: Type.Integer(),
  message_chars: Type.Integer({ description: "where the logs begin in raw_error" }),
  ai_analysis: api.nullable(Type.String()),
  ai_solution: api.nullable(Type.String()),
  analysis: api.nullable(api.AnyObject),
  status: api.oneOf(INCIDENT_STATUSES),
  fingerprint: api.Uuid,
  severity: api.nullable(api.oneOf(["info", "warning", "critical"])),
  exit_code: api.nullable(Type.Integer()),
  occurrences: Type.Integer(),
  created_at: api.Instant,
  last_seen_at: api.Instant,
  updated_at: api.Instant,
  revision: Type.Integer({ description: "rises with each change" }),
  resolved_at: api.nullable(api.Instant),
  parent_id: api.nullable(api.IncidentId),
  previous_id: api.nullable(api.IncidentId),
  next_id: api.nullable(api.IncidentId),
  reason: api.nullable(Type.String()),
};
const TimelineEntry = api.resource("TimelineEntry", {
  at: api.Instant,
  kind: Type.String(),
  actor: Type.String({ description: "agent, system, or a person" }),
  command_id: api.nullable(api.Uuid),
  data: api.nullable(api.AnyObject),
});
const DECISION = {
  id: api.Uuid,
  actor: Type.String(),
  actor_name: Type.String(),
  command_id: api.nullable(api.Uuid),
  outcome: api.nullable(Type.String({ description: "what came of it, in words" })),
  requested_at: api.Instant,
  carried_out_at: api.nullable(api.Instant),
  ended_at: api.nullable(api.Instant),
};
const IncidentDecision = api.resource("IncidentDecision", {
  ...DECISION,
  action: api.oneOf(DECISION_ACTIONS),
  variant: api.nullable(api.oneOf(IGNORE_VARIANTS)),
  outlet: Type.String(),
  state: api.oneOf(DECISION_STATES),
});
const IncidentAnnouncement = api.resource("IncidentAnnouncement", {
  outlet: Type.String(),
  kind: Type.String({ description: "incident, or reply for what stands beneath its message" }),
  state: Type.String(),
  why: Type.String({ description: "why people were told, or were not" }),
  last_error: api.nullable(Type.String()),
  created_at: api.Instant,
  sent_at: api.nullable(api.Instant),
});
const IncidentSchema = api.resource("Incident", INCIDENT);
/** One incident with its whole story. */
export type IncidentStory = Static<typeof IncidentWithTimeline>;
const IncidentWithTimeline = api.resource("IncidentWithTimeline", {
  ...INCIDENT,
  timeline: Type.Array(TimelineEntry),
  decisions: Type.Array(IncidentDecision),
  announcements: Type.Array(IncidentAnnouncement),
  feedback: Type.Union([FeedbackSchema, Type.Null()], { description: "what a person said of its explanation" }),
  earlier_feedback: Type.Array(FeedbackSchema, {
    description: "the same of earlier incidents of this problem, the last word first, 5 at most",
  }),
});

/** What both lists take. */
const LIST = { ...FILTERS, ...LISTING };
const List = Type.Union([Type.Array(IncidentSchema), Type.Array(ShortIncidentSchema)], {
  description: "with view=short in short",
});

const ListQuery = api.pageQuery(Cursor, { ...LIST, agent_id: Type.Optional(api.Uuid) });

const DecisionSchema = api.resource("Decision", {
  ...DECISION,
  incident_id: api.IncidentId,
  action: api.oneOf(DECISION_ACTIONS),
  variant: api.nullable(api.oneOf(IGNORE_VARIANTS)),
  outlet: Type.String({ description: "where it was decided: slack, api, mcp" }),
  state: api.oneOf(DECISION_STATES),
});
const DecisionInput = api.input({
  action: api.oneOf(DECISION_ACTIONS),
  variant: Type.Optional(api.oneOf(IGNORE_VARIANTS)),
});
const MANY_MAX = 500;
const ManyInput = api.input({
  ids: Type.Array(api.IncidentId, { minItems: 1, maxItems: MANY_MAX, uniqueItems: true }),
  status: api.oneOf(DECIDED_STATUSES),
});
/** What came of a decision about several. */
export type IncidentChanges = Static<typeof ChangesSchema>;
const ChangesSchema = api.resource("IncidentChanges", {
  changed: Type.Array(api.IncidentId),
  refused: Type.Array(
    api.resource("IncidentRefusal", { id: api.IncidentId, code: Type.String(), detail: Type.String() }),
  ),
});
const ModelCallSchema = api.resource("ModelCall", {
  asked_at: api.Instant,
  model: Type.String(),
  endpoint: Type.String({ description: "the host that was asked" }),
  system: Type.String({ description: "the instructions, as they were sent" }),
  prompt: Type.String({ description: "the evidence, as it was sent: redacted" }),
  outcome: api.nullable(Type.String()),
  answer: api.nullable(Type.String()),
  prompt_tokens: api.nullable(Type.Integer()),
  completion_tokens: api.nullable(Type.Integer()),
  cost_usd: api.nullable(Type.Number()),
  took_ms: api.nullable(Type.Integer()),
});
const InvestigationStepSchema = api.resource("InvestigationStep", {
  no: Type.Integer(),
  tool: Type.String(),
  arguments: api.AnyObject,
  said: api.nullable(Type.String({ description: "what the model wrote as it asked" })),
  command_id: api.nullable(api.Uuid),
  state: api.oneOf(STEP_STATES),
  output: api.nullable(Type.String({ description: "what came back, as it was sent to the model: redacted and cut" })),
  asked_at: api.Instant,
  ended_at: api.nullable(api.Instant),
});
const InvestigationSchema = api.resource("Investigation", {
  id: api.Uuid,
  actor: api.nullable(Type.String({ description: "who asked for it; null when nobody did" })),
  state: api.oneOf(INVESTIGATION_STATES),
  outcome: api.nullable(Type.String()),
  why: api.nullable(Type.String()),
  model: Type.String(),
  protocol: api.nullable(Type.String({ description: "tools, json, or single where it asked nothing" })),
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  cost_usd: api.nullable(Type.Number()),
  requested_at: api.Instant,
  started_at: api.nullable(api.Instant),
  ended_at: api.nullable(api.Instant),
  steps: Type.Array(InvestigationStepSchema),
});
/** What explains an incident, as the API shows it. */
export type AnalysisShown = Static<typeof AnalysisSchema>;
const AnalysisSchema = api.resource("Analysis", {
  ai_analysis: api.nullable(Type.String()),
  ai_solution: api.nullable(Type.String()),
  analysis: api.nullable(api.AnyObject),
  calls: Type.Array(ModelCallSchema),
  investigations: Type.Array(InvestigationSchema),
});
const InvestigationRequested = api.resource("InvestigationRequested", {
  status: Type.Literal("queued"),
  investigation_id: api.Uuid,
});
const Request = api.resource("AnalysisRequest", { status: Type.Literal("queued") });

interface IncidentRoutesDeps {
  incidents: IncidentService;
  decisions: DecisionService;
  analysis: AnalysisService;
  agents: AgentService;
  actorOf: ActorOf;
}

/** What went wrong on the hosts, what explains it, and what people decided. */
export function incidentRoutes({ incidents, decisions, analysis, agents, actorOf }: IncidentRoutesDeps) {
  const { viewer, operator } = api.describing("incidents");

  async function list(query: Static<typeof ListQuery>, answer: Parameters<typeof api.pageOf>[2]) {
    checkListing(query);
    const { cursor, order, view, agent_id: agentId, parent_id: parentId } = query;
    const page = { ...filterOf(query), cursor, order, agentId, parentId, limit: api.limitOf(query) };
    if (view !== "short") {
      const { incidents: found, nextCursor } = await incidents.list(page);
      return api.pageOf(found, nextCursor, answer);
    }
    const { incidents: found, nextCursor } = await incidents.listShort(page);
    return api.pageOf(found, nextCursor, answer);
  }

  return (
    new Elysia({ name: "incidents", prefix: "/v1", normalize: false })
      .get(
        "/agents/:id/incidents",
        async ({ params, query, request, set }) => {
          existing("agent", await agents.get(params.id));
          return list({ ...query, agent_id: params.id }, { request, set });
        },
        viewer(
          "An agent's incidents, newest first",
          { params: api.UUID_PARAMS, query: api.pageQuery(Cursor, LIST) },
          api.answers(200, List, 404),
        ),
      )
      .get(
        "/incidents",
        ({ query, request, set }) => list(query, { request, set }),
        viewer("All incidents, newest first", { query: ListQuery }, api.answers(200, List)),
      )
      .get(
        "/incidents/:id",
        async ({ params }) => {
          const incident = existing("incident", await incidents.get(params.id));
          return {
            ...api.onWire(incident),
            timeline: incident.timeline.map(api.onWire),
            decisions: incident.decisions.map(api.onWire),
            announcements: incident.announcements.map(api.onWire),
            feedback: incident.feedback && api.onWire(incident.feedback),
            earlier_feedback: incident.earlier_feedback.map(api.onWire),
          };
        },
        viewer(
          "One incident with its whole story: its timeline, what people decided and said of it, and where they were told",
          { params: api.NUMBER_PARAMS },
          api.answers(200, IncidentWithTimeline, 404),
        ),
      )
      .patch(
        "/incidents/:id",
        async ({ params, body, request, server }) => {
          const change = await incidents.decide(params.id, body.status, actorOf(request, server));
          if (change.ok) return api.onWire(change.incident);
          if (change.reason === "not_found") throw notFound("incident");
          throw new HttpProblem(409, change.reason, change.message);
        },
        operator(
          "A person's decision on an incident; resolved is final",
          { params: api.NUMBER_PARAMS, body: api.input({ status: api.oneOf(DECIDED_STATUSES) }) },
          api.answers(200, IncidentSchema, 404, 409),
        ),
      )
      .patch(
        "/incidents",
        async ({ body, request, server }) => {
          const { changed, refused } = await incidents.decideAll(body.ids, body.status, actorOf(request, server));
          return {
            changed,
            refused: refused.map(({ id, reason, message }) => ({
              id,
              code: reason === "not_found" ? "incident_not_found" : reason,
              detail: message,
            })),
          };
        },
        operator(
          "A person's decision on several incidents at once; each that does not change is named",
          { body: ManyInput },
          api.answers(200, ChangesSchema),
        ),
      )
      // What Slack's buttons do, for every other program.
      .post(
        "/incidents/:id/decisions",
        async ({ params, body, request, server, set }) => {
          const { action, variant } = body;
          if (variant !== undefined && action !== "ignore") {
            throw invalid([{ field: "variant", message: "only of ignore" }]);
          }
          const wish = { incidentId: params.id, action, variant, actor: actorOf(request, server), outlet: "api" };
          const { decision } = await press(decisions, wish);
          set.status = 202;
          return api.onWire(decision);
        },
        operator(
          "Decides about an incident as a button does; what comes of it is told by the incident's decisions",
          { params: api.NUMBER_PARAMS, body: DecisionInput },
          api.answers(202, DecisionSchema, 404, 409),
        ),
      )
      .post(
        "/incidents/:id/analyze",
        async ({ params, request, server, set }) => {
          existing("incident", await analysis.request(params.id, actorOf(request, server)));
          set.status = 202;
          return { status: "queued" as const };
        },
        operator(
          "Explain an incident again, by the heuristics and by a model",
          { params: api.NUMBER_PARAMS },
          api.answers(202, Request, 404),
        ),
      )
      .post(
        "/incidents/:id/investigate",
        async ({ params, request, server, set }) => {
          const outcome = await analysis.investigate({ incidentId: params.id, actor: actorOf(request, server) });
          if (!outcome.ok && outcome.reason === "not_found") throw notFound("incident");
          if (!outcome.ok) throw new HttpProblem(409, outcome.reason, outcome.message);
          set.status = 202;
          return { status: "queued" as const, investigation_id: outcome.id };
        },
        operator(
          "Have a model look for itself, on the incident's own host, by what changes nothing there",
          { params: api.NUMBER_PARAMS },
          api.answers(202, InvestigationRequested, 404, 409),
        ),
      )
      .get(
        "/incidents/:id/analysis",
        async ({ params }) => {
          const view = existing("incident", await analysis.view(params.id));
          const investigations = view.investigations.map((one) => ({
            ...api.onWire(one),
            steps: one.steps.map(api.onWire),
          }));
          return { ...view, calls: view.calls.map(api.onWire), investigations };
        },
        viewer(
          "What explains an incident: what was asked of whom, and what each answered",
          { params: api.NUMBER_PARAMS },
          api.answers(200, AnalysisSchema, 404),
        ),
      )
  );
}
