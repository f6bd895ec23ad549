import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import { fromHeuristics, fromModel } from "./answer.ts";
import type { AnalysisMetrics } from "./metrics.ts";
import type { Evidence, HeuristicAnswer } from "./model.ts";
import { parseModelAnswer } from "./model-answer.ts";
import type { ModelText } from "./model-reply.ts";
import type { ModelClient } from "./openrouter.ts";
import { buildPrompt, type Prompt } from "./prompt.ts";
import type { AnalysisStore, ExplainedIncident } from "./store.ts";

/** Incidents of the same agent that a model is told of. */
const RECENT_INCIDENTS = 5;
/** An identical incident is answered from an answer that is not older. */
const ANSWER_REUSED_SECONDS = 24 * 3600;
/** A service that asks for a longer wait than this is not waited for. */
const RETRY_AFTER_SECONDS_MAX = 600;

export interface AskDeps {
  store: AnalysisStore;
  client: ModelClient;
  heuristics: (evidence: Evidence) => HeuristicAnswer;
  /** Sends the question again, later. */
  askAgain: (id: number, actor: string | null, delaySeconds: number) => Promise<void>;
  dailyLimit: number;
  model: string;
  endpoint: string;
  clock: Clock;
  log: Log;
  metrics: AnalysisMetrics;
}

interface Question {
  incident: ExplainedIncident;
  heuristic: HeuristicAnswer;
  prompt: Prompt;
  digest: string;
  /** Who asked for it, null when nobody did. */
  actor: string | null;
}

/** Asks a model about one incident. Whatever fails, the heuristics' answer stands and the incident says why. */
export function createAsker(deps: AskDeps) {
  const { store, client, metrics, clock } = deps;

  async function ask(id: number, actor: string | null, signal: AbortSignal): Promise<void> {
    const [incident] = await store.find([id], true);
    if (!incident || (incident.analysis?.by === "model" && actor === null)) return;
    const heuristic = await ensureHeuristics(incident, actor !== null);
    if (!client.isConfigured) return;
    const surroundings = await store.surroundings(incident, RECENT_INCIDENTS);
    const prompt = buildPrompt({ incident, heuristic, ...surroundings, nonce: crypto.randomUUID() });
    const question = { incident, heuristic, prompt, digest: digestOf(incident, deps.model), actor };
    const known = actor === null ? await store.findAnswer(question.digest, ANSWER_REUSED_SECONDS) : undefined;
    if (known) await reuse(question, known);
    else await askNow(question, signal);
  }

  async function reuse(question: Question, known: { answer: string; askedAt: Date }): Promise<void> {
    metrics.calls.inc({ outcome: "reused" });
    await take(question, known.answer, 0, [`the answer to an identical incident, of ${known.askedAt.toISOString()}`]);
  }

  /** Anew on request: the rules may be newer than the answer. */
  async function ensureHeuristics(incident: ExplainedIncident, anew: boolean): Promise<HeuristicAnswer> {
    if (incident.analysis && !anew) return incident.analysis.heuristic;
    const answer = deps.heuristics(incident);
    const unasked = client.isConfigured ? null : { outcome: "no_key", why: "no model is set up (OPENROUTER_KEY)" };
    await store.writeOne({ id: incident.id, explanation: fromHeuristics(answer, unasked, 0) }, !anew);
    return answer;
  }

  async function askNow(question: Question, signal: AbortSignal): Promise<void> {
    const { incident, digest, actor } = question;
    const { system, user: prompt } = question.prompt;
    const { model, endpoint } = deps;
    const call = await store.beginCall(
      { incidentId: incident.id, model, endpoint, digest, system, prompt },
      deps.dailyLimit,
    );
    if (call === undefined) {
      metrics.calls.inc({ outcome: "budget" });
      await store.writeUnasked(
        incident.id,
        "budget",
        `the day's ${deps.dailyLimit} calls are used up (AI_DAILY_LIMIT)`,
      );
      return;
    }
    const startedMs = clock.monotonicMs();
    const reply = await client.ask(question.prompt, signal);
    const tookMs = clock.monotonicMs() - startedMs;
    if (reply.ok) await settle(call, question, reply, tookMs);
    else {
      await fail(call, incident, reply.reason, reply.message, tookMs);
      const waitS = Math.ceil((reply.retryAfterMs ?? 0) / 1000);
      if (waitS > 0 && waitS <= RETRY_AFTER_SECONDS_MAX) await deps.askAgain(incident.id, actor, waitS);
    }
  }

  async function settle(call: number, question: Question, reply: ModelText, tookMs: number): Promise<void> {
    const { promptTokens, completionTokens, costUsd } = reply.usage;
    metrics.tokens.inc({ kind: "prompt" }, promptTokens ?? 0);
    metrics.tokens.inc({ kind: "completion" }, completionTokens ?? 0);
    metrics.cost.inc(costUsd ?? 0);
    const isTaken = await take(question, reply.text, tookMs, []);
    const outcome = isTaken ? "ok" : "rubbish";
    metrics.calls.inc({ outcome });
    await store.endCall(call, { outcome, answer: reply.text, promptTokens, completionTokens, costUsd, tookMs });
  }

  async function fail(call: number, incident: ExplainedIncident, outcome: string, why: string, tookMs: number) {
    metrics.calls.inc({ outcome });
    const nothing = { answer: null, promptTokens: null, completionTokens: null, costUsd: null };
    await store.endCall(call, { outcome, ...nothing, tookMs });
    await store.writeUnasked(incident.id, outcome, why);
    deps.log.warn({ incident: incident.id, outcome, why }, "the model did not answer, the heuristics' answer stands");
  }

  async function take(question: Question, text: string, tookMs: number, notes: string[]): Promise<boolean> {
    const { incident, heuristic, prompt } = question;
    const parsed = parseModelAnswer(text, prompt.quotable);
    if (!parsed.ok) {
      await store.writeUnasked(incident.id, parsed.reason, parsed.message);
      return false;
    }
    const context = { heuristic, model: deps.model, notes: [...notes, ...parsed.notes], tookMs };
    await store.writeModelAnswer({ id: incident.id, explanation: fromModel(parsed.answer, context) }, deps.model);
    return true;
  }

  return { ask };
}

/** What makes two incidents the same question. */
function digestOf(incident: ExplainedIncident, model: string): string {
  const { type, source, message, logs, exitCode } = incident;
  return sha256Hex(JSON.stringify([model, type, source, message, logs, exitCode]));
}
