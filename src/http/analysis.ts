import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AnalysisService } from "../analysis/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { notFound } from "./problems.ts";
import {
  AnyObject,
  answers,
  describing,
  IncidentIdText,
  Instant,
  idParams,
  nullable,
  onWire,
  resource,
} from "./schemas.ts";

const ModelCallSchema = resource("ModelCall", {
  asked_at: Instant,
  model: Type.String(),
  endpoint: Type.String({ description: "the host that was asked" }),
  system: Type.String({ description: "the instructions, as they were sent" }),
  prompt: Type.String({ description: "the evidence, as it was sent: redacted" }),
  outcome: nullable(Type.String()),
  answer: nullable(Type.String()),
  prompt_tokens: nullable(Type.Integer()),
  completion_tokens: nullable(Type.Integer()),
  cost_usd: nullable(Type.Number()),
  took_ms: nullable(Type.Integer()),
});
const AnalysisSchema = resource("Analysis", {
  ai_analysis: nullable(Type.String()),
  ai_solution: nullable(Type.String()),
  analysis: nullable(AnyObject),
  calls: Type.Array(ModelCallSchema),
});
const Request = resource("AnalysisRequest", { status: Type.Literal("queued") });

export interface AnalysisRoutesDeps {
  analysis: AnalysisService;
  actorOf: ActorOf;
}

/** What explains an incident, and who was asked. */
export function analysisRoutes({ analysis, actorOf }: AnalysisRoutesDeps) {
  const describe = describing("incidents");
  return new Elysia({ name: "analysis", prefix: "/v1", normalize: false })
    .post(
      "/incidents/:id/analyze",
      async ({ params, request, server, set }) => {
        const isQueued = await analysis.request(params.id, actorOf(request, server));
        if (!isQueued) throw notFound("incident");
        set.status = 202;
        return { status: "queued" as const };
      },
      describe(
        "Explain an incident again, by the heuristics and by a model",
        { params: idParams(IncidentIdText) },
        answers(202, Request, 404),
      ),
    )
    .get(
      "/incidents/:id/analysis",
      async ({ params }) => {
        const view = await analysis.view(params.id);
        if (!view) throw notFound("incident");
        return { ...view, calls: view.calls.map(onWire) };
      },
      describe(
        "What explains an incident: what was asked of whom, and what each answered",
        { params: idParams(IncidentIdText) },
        answers(200, AnalysisSchema, 404),
      ),
    );
}
