import { type Static, Type } from "@sinclair/typebox";

/** What can be the cause of an incident. */
export const CATEGORIES = [
  "port_conflict",
  "permission_denied",
  "out_of_memory",
  "disk_full",
  "config_error",
  "missing_file",
  "missing_dependency",
  "connection_refused",
  "dns_failure",
  "tls_certificate",
  "authentication",
  "timeout",
  "crash",
  "resource_limit",
  "data_corruption",
  "version_mismatch",
  "lock_conflict",
  "image_pull",
  "hardware_io",
  "unknown",
] as const;
/** The same, as a schema. */
const CategorySchema = Type.Union(CATEGORIES.map((category) => Type.Literal(category)));
export type Category = (typeof CATEGORIES)[number];

/** What is explained: an incident's first alert. */
export interface Evidence {
  type: string;
  source: string;
  message: string;
  /** Newline-separated, oldest first; empty when the agent sent none. */
  logs: string;
  exitCode: number | null;
}

/** The heuristics' verdict. */
export interface HeuristicAnswer {
  category: Category;
  /** 0 to 1: how sure the rules are; 0 for unknown. */
  confidence: number;
  /** The log line (or the message) that shows the cause; null for unknown. */
  decisive: string | null;
  /** The id of the rule that fired (null for unknown, and where a line's words alone said it), and in words why it was believed. */
  rule: string | null;
  why: string;
  /** The cause in plain words, with this incident's facts in it: which port, which file, which host. */
  cause: string;
  /** What to do, with the service's name, safe to read aloud. */
  fix: string;
}

/** What a language model answers, once it was validated. */
export const ModelAnswerSchema = Type.Object({
  cause: Type.String({ minLength: 1, maxLength: 2000 }),
  explanation: Type.String({ maxLength: 8000 }),
  fix: Type.String({ minLength: 1, maxLength: 4000 }),
  fix_command: Type.Union([Type.String({ maxLength: 1000 }), Type.Null()]),
  category: CategorySchema,
  severity: Type.Union([Type.Literal("info"), Type.Literal("warning"), Type.Literal("critical")]),
  confidence: Type.Number({ minimum: 0, maximum: 1 }),
  evidence: Type.Array(Type.String({ maxLength: 4000 }), { maxItems: 20 }),
});
export type ModelAnswer = Static<typeof ModelAnswerSchema>;

/** A question to a model and what came of it, as people see it. */
export interface ModelCall {
  asked_at: Date;
  model: string;
  endpoint: string;
  system: string;
  prompt: string;
  outcome: string | null;
  answer: string | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cost_usd: number | null;
  took_ms: number | null;
}

/** One call of a model that looks for itself: what it asked, what came back as it was sent, and what the model wrote as it asked. */
export interface InvestigationStep {
  no: number;
  tool: string;
  arguments: Record<string, unknown>;
  said: string | null;
  command_id: string | null;
  state: (typeof STEP_STATES)[number];
  output: string | null;
  asked_at: Date;
  ended_at: Date | null;
}

/** How far a call of an investigation came. */
export const STEP_STATES = ["asked", "answered", "failed", "refused"] as const;
/** How far an investigation came. */
export const INVESTIGATION_STATES = ["queued", "running", "done", "failed"] as const;

/** A model that looks for itself, as people see it. */
export interface InvestigationView {
  id: string;
  /** Who asked for it; null when nobody did. */
  actor: string | null;
  state: (typeof INVESTIGATION_STATES)[number];
  outcome: string | null;
  why: string | null;
  model: string;
  /** tools, json or single; null while it is not known. */
  protocol: string | null;
  prompt_tokens: number;
  completion_tokens: number;
  cost_usd: number | null;
  requested_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  steps: InvestigationStep[];
}

/** An incident's explanation, what was asked of whom, and what each answered. */
export interface AnalysisView {
  ai_analysis: string | null;
  ai_solution: string | null;
  analysis: Record<string, unknown> | null;
  calls: ModelCall[];
  investigations: InvestigationView[];
}

/** Who has a model look into an incident. */
export interface InvestigationRequest {
  /** Who may ask twice, after a crash, chooses the id: there is one investigation of it, and the second is told as the first. */
  id?: string;
  incidentId: number;
  actor: string;
}

/** Whether it looks. */
export type InvestigationOutcome =
  | { ok: true; id: string }
  | { ok: false; reason: "not_found" | "no_model" | "investigation_off" | "investigation_open"; message: string };

/** Explanations as people ask for them. */
export interface AnalysisService {
  /** Has it explained again, by the heuristics and by a model; false when there is no such incident. */
  request(id: number, actor: string): Promise<boolean>;
  /** What was asked of whom, as it was sent, and what each answered. */
  view(id: number): Promise<AnalysisView | undefined>;
  /** Has a model look for itself, on the incident's own host. */
  investigate(request: InvestigationRequest): Promise<InvestigationOutcome>;
  /** Whether there is an investigation of this id. */
  hasInvestigation(id: string): Promise<boolean>;
}

/** What became of the question to a model, where it has no answer: the incident says why. */
export interface Unasked {
  outcome: string;
  why: string;
}

/** `incidents.analysis`: whose answer stands in the row, and both answers whole. */
export interface StoredAnalysis {
  category: Category;
  confidence: number;
  decisive: string | null;
  by: "heuristic" | "model";
  heuristic: HeuristicAnswer;
  /** `investigation` where the model looked for itself: which, and how many calls it made. */
  model:
    | (ModelAnswer & { notes: string[]; model: string; investigation?: { id: string; calls: number } })
    | Unasked
    | null;
  took_ms: number;
}

/** The words of an explanation, as they stand in the row. */
export interface Explanation {
  aiAnalysis: string;
  aiSolution: string;
  analysis: StoredAnalysis;
}

/** The heuristics' words. */
export function fromHeuristics(heuristic: HeuristicAnswer, unasked: Unasked | null, tookMs: number): Explanation {
  const { category, confidence, decisive } = heuristic;
  return {
    aiAnalysis: heuristic.cause,
    aiSolution: heuristic.fix,
    analysis: { category, confidence, decisive, by: "heuristic", heuristic, model: unasked, took_ms: tookMs },
  };
}

/** A model's words, in place of the heuristics', which stay readable beside them. */
export function fromModel(
  answer: ModelAnswer,
  context: {
    heuristic: HeuristicAnswer;
    model: string;
    notes: string[];
    tookMs: number;
    investigation?: { id: string; calls: number };
  },
): Explanation {
  const { heuristic, model, notes, tookMs, investigation } = context;
  const command = answer.fix_command === null ? "" : `\n\nNot checked, written by a model: ${answer.fix_command}`;
  return {
    aiAnalysis: answer.explanation === "" ? answer.cause : `${answer.cause}\n\n${answer.explanation}`,
    aiSolution: answer.fix + command,
    analysis: {
      category: answer.category,
      confidence: answer.confidence,
      decisive: answer.evidence[0] ?? heuristic.decisive,
      by: "model",
      heuristic,
      model: { ...answer, notes, model, ...(investigation ? { investigation } : {}) },
      took_ms: tookMs,
    },
  };
}
