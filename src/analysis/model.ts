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
export const CategorySchema = Type.Union(CATEGORIES.map((category) => Type.Literal(category)));
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
  /** The id of the rule that fired, null for unknown, and in words why it outranked the others. */
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

/** An incident's explanation, what was asked of whom, and what each answered. */
export interface AnalysisView {
  ai_analysis: string | null;
  ai_solution: string | null;
  analysis: Record<string, unknown> | null;
  calls: ModelCall[];
}

/** Explanations as people ask for them. */
export interface AnalysisService {
  /** Has it explained again, by the heuristics and by a model; false when there is no such incident. */
  request(id: number, actor: string): Promise<boolean>;
  /** What was asked of whom, as it was sent, and what each answered. */
  view(id: number): Promise<AnalysisView | undefined>;
}
