import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { DECISION_STATES } from "../decisions/model.ts";
import type { IncidentService } from "../incidents/model.ts";
import { DECISION_ACTIONS, IGNORE_VARIANTS } from "../protocol/actions.ts";
import { existing } from "./problems.ts";
import * as api from "./schemas.ts";

const PastDecisionSchema = api.resource("PastDecision", {
  action: api.oneOf(DECISION_ACTIONS),
  variant: api.nullable(api.oneOf(IGNORE_VARIANTS)),
  state: api.oneOf(DECISION_STATES),
  actor: Type.String(),
  actor_name: Type.String(),
  outcome: api.nullable(Type.String({ description: "what came of it, in words" })),
  requested_at: api.Instant,
});
const PastIncidentSchema = api.resource("PastIncident", {
  id: api.IncidentId,
  agent_id: api.Uuid,
  host: Type.String({ description: "its name, or the agent's id while it has none" }),
  severity: api.nullable(api.oneOf(["info", "warning", "critical"])),
  created_at: api.Instant,
  resolved_at: api.nullable(api.Instant),
  occurrences: Type.Integer(),
  reason: api.nullable(Type.String({ description: "how it ended, in words" })),
  decisions: Type.Array(PastDecisionSchema, {
    description: "the last few, newest first, without logs that were fetched",
  }),
});
const HistorySchema = api.resource("IncidentHistory", {
  here: Type.Array(PastIncidentSchema, { description: "the same problem on the same host" }),
  elsewhere: Type.Array(PastIncidentSchema, { description: "the same type, source and cause on other hosts" }),
});

/** When the same was there before, as the API tells it: for the page, too. */
export type HistoryView = Static<typeof HistorySchema>;

/** When the same problem was there before, and what helped. */
export function incidentHistoryRoutes(incidents: Pick<IncidentService, "history">) {
  const { viewer } = api.describing("incidents");
  return new Elysia({ name: "incident history", prefix: "/v1", normalize: false }).get(
    "/incidents/:id/history",
    async ({ params }) => {
      const { here, elsewhere } = existing("incident", await incidents.history(params.id));
      return { here: here.map(api.onWire), elsewhere: elsewhere.map(api.onWire) };
    },
    viewer(
      "The last few times that the same problem was there before, newest first: when, what was done, and what came of it",
      { params: api.NUMBER_PARAMS },
      api.answers(200, HistorySchema, 404),
    ),
  );
}
