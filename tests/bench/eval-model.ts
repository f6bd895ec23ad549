import { contextOf, quantile } from "../../src/analysis/eval-model.ts";
import { investigate } from "../../src/analysis/investigation/loop.ts";
import type { Evidence, HeuristicAnswer } from "../../src/analysis/model.ts";
import { parseModelAnswer } from "../../src/analysis/model-answer.ts";
import type { ModelReply } from "../../src/analysis/model-reply.ts";
import type { ModelClient } from "../../src/analysis/openrouter.ts";
import { buildPrompt } from "../../src/analysis/prompt.ts";
import { evalClient } from "../../src/cli/eval.ts";
import { loadConfig } from "../../src/config.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { answerOf, guardOf, type RecordedHost } from "./recorded-host.ts";

/** A labelled incident, what the heuristics say of it, and what its host would have answered. */
export interface ModelCase {
  expected: string;
  evidence: Evidence;
  answer: HeuristicAnswer;
  host: RecordedHost;
}

/** What one case came to. */
interface Measured {
  category: string | null;
  failure: string | null;
  tookMs: number;
  tokens: number;
  costUsd: number;
  calls: number;
}

/** What cases are measured with. */
interface Measuring {
  client: ModelClient;
  clock: Clock;
  timeoutMs: number;
}

/**
 * Asks the model about each, one after the other, and tells how often it was right, what that cost, and how long it took: by the
 * single question, and, when that is wanted, by looking at the recorded hosts.
 */
export async function measureModel(cases: readonly ModelCase[], isLooking: boolean): Promise<string> {
  const config = loadConfig();
  const { ai } = config;
  const measuring = { client: evalClient(config), clock: createSystemClock(), timeoutMs: ai.timeoutMs };
  const single = await measure(cases, (one) => askOnce(measuring, one));
  const lines = [summaryOf(`${ai.model}, the single question`, cases, single)];
  if (isLooking) {
    const looked = await measure(cases, (one) => look(measuring, one));
    lines.push(summaryOf(`${ai.model}, looking for itself`, cases, looked));
  }
  return [`heuristics: ${rightOf(cases, heuristicsOf(cases))}`, ...lines, ""].join("\n");
}

async function measure(cases: readonly ModelCase[], how: (one: ModelCase) => Promise<Measured>): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const one of cases) measured.push(await how(one));
  return measured;
}

async function askOnce({ client, clock }: Measuring, one: ModelCase): Promise<Measured> {
  const startMs = clock.monotonicMs();
  const prompt = buildPrompt({ ...contextOf(one.evidence, one.answer), nonce: crypto.randomUUID() });
  const reply = await client.ask(prompt);
  const parsed = reply.ok ? parseModelAnswer(reply.text, prompt.quotable) : reply;
  const category = "answer" in parsed ? parsed.answer.category : null;
  const failure = parsed.ok ? null : parsed.reason;
  return { category, failure, tookMs: clock.monotonicMs() - startMs, calls: 0, ...costOf([reply]) };
}

/** By the same loop, and behind the same guard, as the server's; only the host is a recording. */
async function look({ client, clock, timeoutMs }: Measuring, one: ModelCase): Promise<Measured> {
  const startMs = clock.monotonicMs();
  const replies: ModelReply[] = [];
  const finding = await investigate(
    {
      async turn(request, _, signal) {
        const reply = await client.ask(request, signal);
        replies.push(reply);
        return reply;
      },
      takesTools: client.takesTools,
      guard: guardOf(one.host, one.evidence),
      carry: async ({ tool, given }) => answerOf(one.host, tool.name, given),
      begun: async () => undefined,
      ended: async () => undefined,
      clock,
      timeoutMs,
    },
    { context: contextOf(one.evidence, one.answer), earlier: [] },
    new AbortController().signal,
  );
  const { calls, result } = finding;
  const category = result.ok ? result.answer.category : null;
  const failure = result.ok ? null : result.reason;
  return { category, failure, tookMs: clock.monotonicMs() - startMs, calls, ...costOf(replies) };
}

function costOf(replies: readonly ModelReply[]): Pick<Measured, "tokens" | "costUsd"> {
  const usages = replies.flatMap((reply) => (reply.ok ? [reply.usage] : []));
  const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0);
  return {
    tokens: sum(usages.map(({ promptTokens, completionTokens }) => promptTokens + completionTokens)),
    costUsd: sum(usages.map(({ costUsd }) => costUsd ?? 0)),
  };
}

function heuristicsOf(cases: readonly ModelCase[]): Pick<Measured, "category">[] {
  return cases.map(({ answer }) => answer);
}

function rightOf(cases: readonly ModelCase[], measured: readonly Pick<Measured, "category">[]): string {
  const right = cases.filter(({ expected }, at) => measured[at]?.category === expected).length;
  return `${right} of ${cases.length} right: ${((100 * right) / Math.max(1, cases.length)).toFixed(1)} %`;
}

function summaryOf(name: string, cases: readonly ModelCase[], measured: readonly Measured[]): string {
  const all = (figure: (one: Measured) => number) => measured.map(figure);
  const mean = (numbers: number[]) => numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length);
  const costUsd = all((one) => one.costUsd).reduce((sum, one) => sum + one, 0);
  const tookMs = measured.filter(({ failure }) => failure === null).map((one) => one.tookMs);
  return [
    `${name}: ${rightOf(cases, measured)}`,
    `  calls ${mean(all((one) => one.calls)).toFixed(1)}, tokens ${Math.round(mean(all((one) => one.tokens)))} an incident; cost ${costUsd.toFixed(4)} USD in all`,
    `  latency ${quantile(tookMs, 0.5)} ms in the middle, ${quantile(tookMs, 0.95)} ms for 95 %; failed: ${failuresOf(measured)}`,
  ].join("\n");
}

function failuresOf(measured: readonly Measured[]): string {
  const reasons = measured.flatMap(({ failure }) => failure ?? []);
  const counts = [...new Set(reasons)].map((reason) => `${reasons.filter((one) => one === reason).length} ${reason}`);
  return counts.join(", ") || "none";
}
