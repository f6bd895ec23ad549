import type { Sql, TransactionSql } from "postgres";
import { Counter, type Registry } from "prom-client";
import type { AnnouncementService } from "../announcements/model.ts";
import type { CommandService } from "../commands/model.ts";
import type { FigureService } from "../figures/model.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Fetch } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { createAnswers } from "./answers.ts";
import { createAsker } from "./ask.ts";
import { createCalls } from "./calls.ts";
import { createExplainer } from "./explain.ts";
import type { HeuristicsThread } from "./heuristics-thread.ts";
import { createInvestigations } from "./investigation/service.ts";
import { createInvestigationStore } from "./investigation/store.ts";
import type { AnalysisService, Category } from "./model.ts";
import { createModelClient, isAskable } from "./openrouter.ts";
import { createSlots } from "./slots.ts";
import type { AnalysisStore } from "./store.ts";

/** The settings of the model. */
interface AnalysisOptions {
  key: string | null;
  baseUrl: string;
  model: string;
  timeoutMs: number;
  auto: boolean;
  dailyLimit: number;
  /** When a model looks for itself: never, on request, by itself too where the rules know nothing, or always. */
  investigate: "off" | "request" | "unknown" | "all";
}

export interface AnalysisDeps {
  store: AnalysisStore;
  sql: Sql;
  writer: Pick<IncidentWriter, "explain" | "unask" | "note">;
  heuristics: Pick<HeuristicsThread, "explain">;
  options: AnalysisOptions;
  publicUrl: string | null;
  /** By which the model is asked. */
  fetch?: Fetch;
  /** Sends the question to a model as a job. */
  sendAsk: (
    sql: Sql | TransactionSql,
    questions: readonly { id: number; actor: string | null }[],
    delaySeconds?: number,
  ) => Promise<void>;
  /** Sends investigations as jobs. */
  sendInvestigate: (tx: TransactionSql, ids: readonly string[]) => Promise<void>;
  commands: Pick<CommandService, "exec" | "get">;
  figures: Pick<FigureService, "ofAgent">;
  /** Says beneath an incident's messages how an investigation fares. */
  keepReply: AnnouncementService["keepReply"];
  /** What follows once incidents are explained for the first time, in that transaction: people may be told. */
  explained: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
  isBusy: () => boolean;
  clock: Clock;
  log: Log;
  metrics: AnalysisMetrics;
}

/** All of this node that is about explaining: the two steps of the pipeline, and the API's side. */
export function createAnalysis(deps: AnalysisDeps) {
  const { store, sql, writer, options, sendAsk } = deps;
  const slots = createSlots({ ...deps, ...options });
  const client = createModelClient({ ...deps, ...options, apiKey: options.key, isCrowded: slots.isCrowded });
  const calls = createCalls({ ...deps, client });
  const answers = createAnswers({ ...deps, isConfigured: client.isConfigured });
  const asker = createAsker({ ...deps, client, slots, calls, answers });
  const investigationStore = createInvestigationStore(sql);
  const shared = { ...deps, client, slots, calls, answers };
  const investigations = createInvestigations({ ...shared, incidents: store, store: investigationStore });
  const explainer = createExplainer({
    ...deps,
    unasked: unaskedOf(options, client.isConfigured),
    isLookedInto: ({ category }) => client.isConfigured && looksByItself(options.investigate, category),
    investigate: investigations.begin,
  });

  const service: AnalysisService = {
    async request(id, actor) {
      const [incident] = await store.find([id], true);
      if (!incident) return false;
      await sql.begin(async (tx) => {
        await writer.note(tx, [{ kind: "analysis_requested", actor, incidentId: id }]);
        await sendAsk(tx, [{ id, actor }]);
      });
      return true;
    },
    async view(id) {
      const view = await store.view(id);
      return view && { ...view, investigations: await investigations.view(id) };
    },
    investigate: investigations.request,
    hasInvestigation: investigations.has,
  };
  return {
    explain: explainer.explain,
    ask: asker.ask,
    investigate: investigations.run,
    giveUpInvestigation: investigations.giveUp,
    deletions: [store.deleteOld, investigations.deleteOld],
    service,
  };
}

/** Whether there is a model, and people may have it look into incidents. */
export function mayInvestigate({
  key,
  baseUrl,
  investigate,
}: Pick<AnalysisOptions, "key" | "baseUrl" | "investigate">) {
  return investigate !== "off" && isAskable(key, baseUrl);
}

function looksByItself(mode: AnalysisOptions["investigate"], category: Category): boolean {
  return mode === "all" || (mode === "unknown" && category === "unknown");
}

/** Why no model is asked by itself; null when one is. */
function unaskedOf({ auto }: AnalysisOptions, isConfigured: boolean) {
  if (!isConfigured) return { outcome: "no_key", why: "no model is set up (OPENROUTER_KEY)" };
  return auto ? null : { outcome: "off", why: "models are asked on request only (AI_AUTO=off)" };
}

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
    investigations: new Counter({
      name: "opspilot_investigations_total",
      help: "Investigations by a language model, by what came of them",
      labelNames: ["outcome"],
      registers,
    }),
    looks: new Counter({
      name: "opspilot_investigation_calls_total",
      help: "Calls of models that look for themselves, by what came of them",
      labelNames: ["state"],
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

type AnalysisMetrics = ReturnType<typeof createAnalysisMetrics>;
