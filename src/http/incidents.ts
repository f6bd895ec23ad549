import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AgentService } from "../fleet/model.ts";
import { DECIDED_STATUSES, INCIDENT_ORIGINS, INCIDENT_STATUSES, type IncidentService } from "../incidents/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { HttpProblem, notFound } from "./problems.ts";
import {
  AnyObject,
  answers,
  describing,
  IncidentId,
  IncidentIdText,
  Instant,
  idParams,
  input,
  limitOf,
  nullable,
  oneOf,
  onWire,
  pageOf,
  pageQuery,
  resource,
  Uuid,
} from "./schemas.ts";

const INCIDENT = {
  id: IncidentId,
  agent_id: Uuid,
  origin: oneOf(INCIDENT_ORIGINS),
  type: Type.String(),
  source: Type.String(),
  raw_error: Type.String({ description: "the message and its logs; cut at 4 KiB in lists" }),
  raw_error_bytes: Type.Integer(),
  message_chars: Type.Integer({ description: "where the logs begin in raw_error" }),
  ai_analysis: nullable(Type.String()),
  ai_solution: nullable(Type.String()),
  analysis: nullable(AnyObject),
  status: oneOf(INCIDENT_STATUSES),
  fingerprint: Uuid,
  severity: nullable(oneOf(["info", "warning", "critical"])),
  exit_code: nullable(Type.Integer()),
  occurrences: Type.Integer(),
  created_at: Instant,
  last_seen_at: Instant,
  updated_at: Instant,
  revision: Type.Integer({ description: "rises with each change" }),
  resolved_at: nullable(Instant),
  parent_id: nullable(IncidentId),
  previous_id: nullable(IncidentId),
  next_id: nullable(IncidentId),
  reason: nullable(Type.String()),
};
const TimelineEntry = resource("TimelineEntry", {
  at: Instant,
  kind: Type.String(),
  actor: Type.String({ description: "agent, system, or a person" }),
  command_id: nullable(Uuid),
  data: nullable(AnyObject),
});
const IncidentDecision = resource("IncidentDecision", {
  id: Uuid,
  action: Type.String(),
  variant: nullable(Type.String()),
  actor: Type.String(),
  actor_name: Type.String(),
  outlet: Type.String(),
  state: Type.String(),
  command_id: nullable(Uuid),
  outcome: nullable(Type.String({ description: "what came of it, in words" })),
  requested_at: Instant,
  carried_out_at: nullable(Instant),
  ended_at: nullable(Instant),
});
const IncidentAnnouncement = resource("IncidentAnnouncement", {
  outlet: Type.String(),
  kind: Type.String({ description: "incident, or reply for what stands beneath its message" }),
  state: Type.String(),
  why: Type.String({ description: "why people were told, or were not" }),
  last_error: nullable(Type.String()),
  created_at: Instant,
  sent_at: nullable(Instant),
});
const IncidentSchema = resource("Incident", INCIDENT);
const IncidentWithTimeline = resource("IncidentWithTimeline", {
  ...INCIDENT,
  timeline: Type.Array(TimelineEntry),
  decisions: Type.Array(IncidentDecision),
  announcements: Type.Array(IncidentAnnouncement),
});

const status = Type.Optional(oneOf(INCIDENT_STATUSES));

export interface IncidentRoutesDeps {
  incidents: IncidentService;
  agents: AgentService;
  actorOf: ActorOf;
}

/** What went wrong on the hosts, and what people decided. */
export function incidentRoutes({ incidents, agents, actorOf }: IncidentRoutesDeps) {
  const describe = describing("incidents");

  return new Elysia({ name: "incidents", prefix: "/v1", normalize: false })
    .get(
      "/agents/:id/incidents",
      async ({ params, query, request, set }) => {
        if (!(await agents.get(params.id))) throw notFound("agent");
        const page = { ...query, limit: limitOf(query), agentId: params.id };
        const { incidents: found, nextCursor } = await incidents.list(page);
        return pageOf(found, nextCursor, { request, set });
      },
      describe(
        "An agent's incidents, newest first",
        { params: idParams(Uuid), query: pageQuery(IncidentIdText, { status }) },
        answers(200, Type.Array(IncidentSchema), 404),
      ),
    )
    .get(
      "/incidents",
      async ({ query, request, set }) => {
        const { limit: _, agent_id: agentId, ...rest } = query;
        const { incidents: found, nextCursor } = await incidents.list({ ...rest, agentId, limit: limitOf(query) });
        return pageOf(found, nextCursor, { request, set });
      },
      describe(
        "All incidents, newest first",
        { query: pageQuery(IncidentIdText, { status, agent_id: Type.Optional(Uuid) }) },
        answers(200, Type.Array(IncidentSchema)),
      ),
    )
    .get(
      "/incidents/:id",
      async ({ params }) => {
        const incident = await incidents.get(params.id);
        if (!incident) throw notFound("incident");
        const { timeline, decisions, announcements, ...rest } = incident;
        return {
          ...onWire(rest),
          timeline: timeline.map(onWire),
          decisions: decisions.map(onWire),
          announcements: announcements.map(onWire),
        };
      },
      describe(
        "One incident with its whole story: its timeline, what people decided, and where they were told",
        { params: idParams(IncidentIdText) },
        answers(200, IncidentWithTimeline, 404),
      ),
    )
    .patch(
      "/incidents/:id",
      async ({ params, body, request, server }) => {
        const change = await incidents.decide(params.id, body.status, actorOf(request, server));
        if (change.ok) return onWire(change.incident);
        if (change.reason === "not_found") throw notFound("incident");
        throw new HttpProblem(409, change.reason, change.message);
      },
      describe(
        "A person's decision on an incident; resolved is final",
        { params: idParams(IncidentIdText), body: input({ status: oneOf(DECIDED_STATUSES) }) },
        answers(200, IncidentSchema, 404, 409),
      ),
    );
}
