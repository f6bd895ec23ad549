import type { Evidence, HeuristicAnswer } from "../../src/analysis/model.ts";
import { parseModelAnswer } from "../../src/analysis/model-answer.ts";
import { createModelClient } from "../../src/analysis/openrouter.ts";
import { buildPrompt } from "../../src/analysis/prompt.ts";
import { loadConfig } from "../../src/config.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";

/** A labelled incident, and what the heuristics say of it. */
export interface ModelCase {
  expected: string;
  evidence: Evidence;
  answer: HeuristicAnswer;
}

/** Asks the model about each, one after the other, and tells how often it was right, what that cost, and how long it took. */
export async function measureModel(cases: readonly ModelCase[]): Promise<string> {
  const { ai, publicUrl } = loadConfig();
  const log = createLog({ level: "silent", readable: false });
  const client = createModelClient({ ...ai, apiKey: ai.key, publicUrl, clock: createSystemClock(), log });
  if (!client.isConfigured) return "no model is set up: OPENROUTER_KEY, or OPENROUTER_BASE_URL of a local one";
  const tookMs: number[] = [];
  const failures = new Map<string, number>();
  let right = 0;
  let costUsd = 0;
  for (const one of cases) {
    const prompt = promptOf(one);
    const reply = await client.ask(prompt);
    const parsed = reply.ok ? parseModelAnswer(reply.text, prompt.quotable) : reply;
    if (reply.ok) {
      tookMs.push(reply.tookMs);
      costUsd += reply.usage.costUsd ?? 0;
    }
    if ("answer" in parsed) right += parsed.answer.category === one.expected ? 1 : 0;
    else if (!parsed.ok) failures.set(parsed.reason, (failures.get(parsed.reason) ?? 0) + 1);
  }
  const share = ((100 * right) / Math.max(1, cases.length)).toFixed(1);
  const failed = [...failures].map(([reason, count]) => `${count} ${reason}`).join(", ") || "none";
  return [
    `${ai.model}: ${right} of ${cases.length} right: ${share} %`,
    `latency ${quantile(tookMs, 0.5)} ms in the middle, ${quantile(tookMs, 0.95)} ms for 95 %; cost ${costUsd.toFixed(4)} USD`,
    `failed: ${failed}`,
    "",
  ].join("\n");
}

function promptOf({ evidence, answer }: ModelCase) {
  const incident = { ...evidence, severity: null };
  return buildPrompt({ incident, heuristic: answer, meta: {}, recent: [], nonce: crypto.randomUUID() });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
}
