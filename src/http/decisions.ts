import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { DECISION_STATES, type DecisionReader, type DecisionService } from "../decisions/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { DECISION_ACTIONS, IGNORE_VARIANTS } from "../protocol/actions.ts";
import { HttpProblem, invalid, notFound } from "./problems.ts";
import {
  answers,
  describing,
  IncidentId,
  IncidentIdText,
  Instant,
  idParams,
  input,
  nullable,
  oneOf,
  onWire,
  resource,
  Uuid,
} from "./schemas.ts";

const DecisionSchema = resource("Decision", {
  id: Uuid,
  incident_id: IncidentId,
  action: oneOf(DECISION_ACTIONS),
  variant: nullable(oneOf(IGNORE_VARIANTS)),
  actor: Type.String(),
  actor_name: Type.String(),
  outlet: Type.String({ description: "where it was decided: slack, api" }),
  state: oneOf(DECISION_STATES),
  command_id: nullable(Uuid),
  outcome: nullable(Type.String({ description: "what came of it, in words" })),
  requested_at: Instant,
  carried_out_at: nullable(Instant),
  ended_at: nullable(Instant),
});
const DecisionInput = input({ action: oneOf(DECISION_ACTIONS), variant: Type.Optional(oneOf(IGNORE_VARIANTS)) });

export interface DecisionRoutesDeps {
  decisions: DecisionService & DecisionReader;
  actorOf: ActorOf;
}

/** What Slack's buttons do, for every other program: one incident's restart, logs, ignoring. */
export function decisionRoutes({ decisions, actorOf }: DecisionRoutesDeps) {
  const describe = describing("incidents");
  return new Elysia({ name: "decisions", prefix: "/v1", normalize: false }).post(
    "/incidents/:id/decisions",
    async ({ params, body, request, server, set }) => {
      const { action, variant } = body;
      if (variant !== undefined && action !== "ignore") {
        throw invalid([{ field: "variant", message: "only of ignore" }]);
      }
      const actor = actorOf(request, server);
      const ignoring = action === "ignore" ? (variant ?? "until_resolved") : null;
      const press = { incidentId: params.id, action, variant: ignoring, actor, actorName: actor, outlet: "api" };
      const outcome = await decisions.press(press);
      if (!outcome.ok && outcome.reason === "not_found") throw notFound("incident");
      if (!outcome.ok) throw new HttpProblem(409, outcome.reason, outcome.text);
      const decision = await decisions.get(outcome.decisionId);
      if (!decision) throw notFound("incident");
      set.status = 202;
      return onWire(decision);
    },
    describe(
      "Decides about an incident as a button does; what comes of it is told by the incident's decisions",
      { params: idParams(IncidentIdText), body: DecisionInput },
      answers(202, DecisionSchema, 404, 409),
    ),
  );
}
