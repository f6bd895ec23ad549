import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { FigureService } from "../figures/model.ts";
import { FIGURE_STEPS_S, type FigureStepS, type Figures, POINTS_MAX } from "../figures/model.ts";
import type { AgentService } from "../fleet/model.ts";
import { existing, invalid } from "./problems.ts";
import * as api from "./schemas.ts";

const UnixSeconds = Type.Integer({ description: "Unix seconds" });

/** Figures over time. */
export type FiguresView = Static<typeof FiguresSchema>;
const FiguresSchema = api.resource("Figures", {
  step_s: Type.Unsafe<FigureStepS>(Type.Integer({ description: FIGURE_STEPS_S.join(", ") })),
  from: UnixSeconds,
  to: Type.Integer({ description: "Unix seconds, the end of the last step" }),
  series: Type.Unsafe<Figures["series"]>(
    Type.Object(
      {},
      {
        additionalProperties: Type.Array(
          api.nullable(Type.Array(Type.Number(), { minItems: 4, maxItems: 4, description: "[t, min, mean, max]" })),
        ),
        description:
          "cpu_pct, load1, mem_used_pct, swap_used_pct, disk:<where it is mounted> (percent in use): one entry for each step; null where nothing was heard",
      },
    ),
  ),
});

const moment = Type.Optional(
  Type.String({ maxLength: 40, description: "Unix seconds, or a time such as 2026-01-31T18:00:00Z" }),
);
const step = Type.Optional(
  Type.Unsafe<`${FigureStepS}`>(
    Type.Union(
      FIGURE_STEPS_S.map((one) => Type.Literal(String(one))),
      { description: `${FIGURE_STEPS_S.join(", ")} (seconds)` },
    ),
  ),
);

/** What hosts measured. */
export function figureRoutes(figures: FigureService, agents: AgentService) {
  const { viewer } = api.describing("figures");
  return new Elysia({ name: "figures", prefix: "/v1", normalize: false })
    .get(
      "/agents/:id/metrics",
      async ({ params, query }) => {
        const range = rangeOf(query);
        existing("agent", await agents.get(params.id));
        const outcome = await figures.ofAgent(params.id, range);
        if (!outcome.ok) throw invalid([outcome]);
        return outcome.figures;
      },
      viewer(
        `A host's figures over time, at most ${POINTS_MAX} steps: by minutes for 3 hours, by 5 minutes for 24, by hours for RETENTION; without a step the finest that is kept for as long`,
        { params: api.UUID_PARAMS, query: api.input({ from: moment, to: moment, step }) },
        api.answers(200, FiguresSchema, 404),
      ),
    )
    .get(
      "/incidents/:id/metrics",
      async ({ params }) => existing("incident", await figures.ofIncident(params.id)),
      viewer(
        "The host's figures around an incident: by minutes, from 30 before its first alert to 30 after, kept with it",
        { params: api.NUMBER_PARAMS },
        api.answers(200, FiguresSchema, 404),
      ),
    );
}

/** Which figures are meant. Throws the refusal of what is no moment. */
export function rangeOf({ from, to, step }: { from?: string; to?: string; step?: `${FigureStepS}` }) {
  const [fromS, toS] = [secondsOf(from), secondsOf(to)];
  const wrong = [...(Number.isNaN(fromS) ? ["from"] : []), ...(Number.isNaN(toS) ? ["to"] : [])];
  if (wrong.length > 0)
    throw invalid(
      wrong.map((field) => ({ field, message: "expected Unix seconds, or a time such as 2026-01-31T18:00:00Z" })),
    );
  return { fromS, toS, stepS: step && (Number(step) as FigureStepS) };
}

/** NaN for what is no moment. */
function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  return Math.floor(api.instantMs(text) / 1_000);
}
