import { Counter, type Registry } from "prom-client";

/** Registers the figures of explaining. */
export function createAnalysisMetrics(registry: Registry) {
  const registers = [registry];
  return {
    explained: new Counter({
      name: "opspilot_incidents_explained_total",
      help: "Incidents explained by the heuristics, by category",
      labelNames: ["category"],
      registers,
    }),
    calls: new Counter({
      name: "opspilot_model_calls_total",
      help: "Questions to a language model, by what came of them",
      labelNames: ["outcome"],
      registers,
    }),
    tokens: new Counter({
      name: "opspilot_model_tokens_total",
      help: "Tokens sent to and received from a language model",
      labelNames: ["kind"],
      registers,
    }),
    cost: new Counter({
      name: "opspilot_model_cost_usd_total",
      help: "What the language model's provider said that its answers cost",
      registers,
    }),
    gaveUp: new Counter({
      name: "opspilot_jobs_given_up_total",
      help: "Jobs that failed to their last try",
      labelNames: ["queue"],
      registers,
    }),
  };
}

export type AnalysisMetrics = ReturnType<typeof createAnalysisMetrics>;
