import { cleanText } from "../protocol/text.ts";
import type { ModelReply, ModelRequest } from "./model-reply.ts";
import type { ModelClient } from "./openrouter.ts";
import type { AnalysisDeps } from "./service.ts";

/** A question as it is kept. */
export interface AskedCall {
  incidentId: number;
  /** Of which it is a turn. */
  investigationId?: string;
  questionHash: string;
  request: ModelRequest;
  /** What of the question is new, and kept; all of it when it is not said. */
  added?: string;
}

/** A call that was made, and how to say what came of it. */
export interface MadeCall {
  reply: ModelReply;
  tookMs: number;
  /** Once: counts it, and completes its row. */
  settle(outcome: string): Promise<void>;
}

interface CallsDeps extends Pick<AnalysisDeps, "store" | "metrics" | "clock" | "options"> {
  client: ModelClient;
}

/** Calls to the model: each is a row before it is made, so that a crash cannot spend more than a day's budget. */
export function createCalls({ store, client, metrics, clock, options }: CallsDeps) {
  const { model, dailyLimit, baseUrl } = options;
  const endpoint = new URL(baseUrl).host;

  async function settle(id: number, { reply, tookMs }: Omit<MadeCall, "settle">, outcome: string): Promise<void> {
    metrics.calls.inc({ outcome });
    const nothing = { answer: null, promptTokens: null, completionTokens: null, costUsd: null };
    if (!reply.ok) return store.endCall(id, { outcome, ...nothing, tookMs });
    const { promptTokens, completionTokens, costUsd } = reply.usage;
    metrics.tokens.inc({ kind: "prompt" }, promptTokens);
    metrics.tokens.inc({ kind: "completion" }, completionTokens);
    metrics.cost.inc(costUsd ?? 0);
    const answer = cleanText([reply.text, ...reply.calls.map(callText)].filter((part) => part !== "").join("\n"));
    await store.endCall(id, { outcome, answer, promptTokens, completionTokens, costUsd, tookMs });
  }

  return {
    /** Makes the call; undefined when the day's budget is spent. */
    async make(asked: AskedCall, signal: AbortSignal): Promise<MadeCall | undefined> {
      const { incidentId, investigationId = null, questionHash, request, added = request.user } = asked;
      const { system } = request;
      const row = { incidentId, investigationId, model, endpoint, questionHash, system, prompt: added };
      const id = await store.beginCall(row, dailyLimit);
      if (id === undefined) {
        metrics.calls.inc({ outcome: "budget" });
        return undefined;
      }
      const startedMs = clock.monotonicMs();
      const reply = await client.ask(request, signal);
      const made = { reply, tookMs: clock.monotonicMs() - startedMs };
      return { ...made, settle: (outcome) => settle(id, made, outcome) };
    },
    /** In words, for the incident. */
    budgetWords: `the day's ${dailyLimit} calls are used up (AI_DAILY_LIMIT)`,
  };
}

export type Calls = ReturnType<typeof createCalls>;

const callText = ({ name, arguments: given }: { name: string; arguments: string }) => `${name} ${given}`;
