import type { Ask, EvalAnswer } from "./eval.ts";
import type { Evidence, HeuristicAnswer } from "./model.ts";
import { parseModelAnswer } from "./model-answer.ts";
import type { ModelClient } from "./openrouter.ts";
import { buildPrompt } from "./prompt.ts";

/**
 * Asks a model about labelled incidents, and keeps the account: what that took, what it cost, what failed. It is not told what
 * people said of them, which is the right answer.
 */
export function createModelEval(client: Pick<ModelClient, "ask">, signal?: AbortSignal) {
  const tookMs: number[] = [];
  const failures = new Map<string, number>();
  let costUsd = 0;

  const ask: Ask = async ({ evidence }, heuristic) => {
    const prompt = buildPrompt({ ...contextOf(evidence, heuristic), nonce: crypto.randomUUID() });
    const reply = await client.ask(prompt, signal);
    if (reply.ok) {
      tookMs.push(reply.tookMs);
      costUsd += reply.usage.costUsd ?? 0;
    }
    const parsed = reply.ok ? parseModelAnswer(reply.text, prompt.quotable) : reply;
    if (!parsed.ok) return failed(parsed.reason, parsed.message);
    const { category, confidence, cause } = parsed.answer;
    return { category, confidence, details: [`cause     ${cause}`] };
  };

  function failed(reason: string, message: string): EvalAnswer {
    failures.set(reason, (failures.get(reason) ?? 0) + 1);
    return { category: null, confidence: 0, details: [`because   ${message}`] };
  }

  return {
    ask,
    /** In two lines. */
    account(): string {
      const times = `latency ${quantile(tookMs, 0.5)} ms in the middle, ${quantile(tookMs, 0.95)} ms for 95 %`;
      const failed = [...failures].map(([reason, count]) => `${count} ${reason}`).join(", ") || "none";
      return `${times}; cost ${costUsd.toFixed(4)} USD\nfailed: ${failed}\n`;
    },
  };
}

/** What a model is told of a labelled incident: its alert alone. */
export function contextOf(evidence: Evidence, heuristic: HeuristicAnswer) {
  return { incident: { ...evidence, severity: null }, heuristic, meta: {}, recent: [] };
}

/** The value below which this share of them lies, rounded; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
}
