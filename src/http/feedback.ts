import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { CATEGORIES } from "../analysis/model.ts";
import type { FeedbackService } from "../feedback/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { actorName } from "../protocol/actors.ts";
import { VERDICTS } from "../protocol/feedback.ts";
import { cleanText } from "../protocol/text.ts";
import { invalid, notFound } from "./problems.ts";
import * as api from "./schemas.ts";

/** A few sentences. */
const TEXT_CHARS_MAX = 2_000;

/** A person's word on an incident. */
export const FeedbackSchema = api.resource("Feedback", {
  incident_id: api.IncidentId,
  verdict: api.oneOf(VERDICTS),
  category: api.nullable(api.oneOf(CATEGORIES)),
  cause: api.nullable(
    Type.String({ description: "what was so: the explanation that was right, or the person's words" }),
  ),
  fix: api.nullable(Type.String({ description: "what to do about it" })),
  outcome: api.nullable(Type.String({ description: "which decision held then, in words" })),
  shown_category: api.nullable(api.oneOf(CATEGORIES)),
  shown_cause: api.nullable(Type.String({ description: "what the incident showed as it was said" })),
  actor: Type.String(),
  actor_name: Type.String(),
  outlet: Type.String({ description: "where it was said: slack, api" }),
  given_at: api.Instant,
});

function words(about: string) {
  const description = `${about}, 1 to ${TEXT_CHARS_MAX} characters`;
  return Type.Optional(Type.String({ pattern: "\\S", maxLength: TEXT_CHARS_MAX, description }));
}

const FeedbackInput = api.input({
  verdict: api.oneOf(VERDICTS),
  cause: words("what it was, in your own words"),
  category: Type.Optional(
    Type.Unsafe<(typeof CATEGORIES)[number]>({
      ...api.oneOf(CATEGORIES),
      description: `one of ${CATEGORIES.join(", ")}`,
    }),
  ),
  fix: words("what helped"),
});

/** What people say of explanations. */
export function feedbackRoutes(feedback: FeedbackService, actorOf: ActorOf) {
  return new Elysia({ name: "feedback", prefix: "/v1", normalize: false }).post(
    "/incidents/:id/feedback",
    async ({ params, body, request, server }) => {
      const { verdict, category } = body;
      const actor = actorOf(request, server);
      const said = {
        incidentId: params.id,
        verdict,
        ...textsOf(body),
        category,
        actor,
        actorName: actorName(actor),
        outlet: "api",
      };
      const outcome = await feedback.give(said);
      if (outcome.ok) return api.onWire(outcome.feedback);
      if (outcome.reason === "not_found") throw notFound("incident");
      throw invalid([{ field: outcome.field, message: outcome.message }]);
    },
    api
      .describing("incidents")
      .operator(
        "Says whether an incident's explanation was right; a second word replaces the first",
        { params: api.NUMBER_PARAMS, body: FeedbackInput },
        api.answers(200, FeedbackSchema, 404),
      ),
  );
}

function textsOf({ cause, fix }: Static<typeof FeedbackInput>) {
  return { cause: cause && cleanText(cause).trim(), fix: fix && cleanText(fix).trim() };
}
