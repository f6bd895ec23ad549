import type { Category, HeuristicAnswer, ModelAnswer } from "./model.ts";

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
  model: (ModelAnswer & { notes: string[]; model: string }) | Unasked | null;
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
  context: { heuristic: HeuristicAnswer; model: string; notes: string[]; tookMs: number },
): Explanation {
  const { heuristic, model, notes, tookMs } = context;
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
      model: { ...answer, notes, model },
      took_ms: tookMs,
    },
  };
}
