import { sha256Hex } from "../lib/hash.ts";
import type { Answers } from "./answers.ts";
import type { Calls, MadeCall } from "./calls.ts";
import { fromModel, type HeuristicAnswer } from "./model.ts";
import { parseModelAnswer } from "./model-answer.ts";
import type { ModelFailure } from "./model-reply.ts";
import type { ModelClient } from "./openrouter.ts";
import { buildPrompt, type Prompt } from "./prompt.ts";
import type { AnalysisDeps } from "./service.ts";
import type { Slots } from "./slots.ts";
import type { ExplainableIncident, Surroundings } from "./store.ts";

/** Incidents of the same agent that a model is told of. */
const RECENT_INCIDENTS = 5;
/** An identical incident is answered from an answer that is not older. */
const ANSWER_REUSED_SECONDS = 24 * 3600;
/** A service that asks for a longer wait than this is not waited for. */
const RETRY_AFTER_SECONDS_MAX = 600;

/** A model that was busy, or loaded its weights first, answers the second time. */
const TIMEOUTS_MAX = 2;

export interface AskDeps extends AnalysisDeps {
  client: ModelClient;
  slots: Slots;
  calls: Calls;
  answers: Answers;
}

interface Question {
  incident: ExplainableIncident;
  heuristic: HeuristicAnswer;
  prompt: Prompt;
  questionHash: string;
  /** Who asked for it, null when nobody did. */
  actor: string | null;
}

/** Asks a model about one incident. Whatever fails, the heuristics' answer stands and the incident says why. */
export function createAsker(deps: AskDeps) {
  const { store, sql, client, metrics, answers, calls } = deps;
  const { model } = deps.options;

  async function ask(id: number, actor: string | null, signal: AbortSignal): Promise<void> {
    const [incident] = await store.find([id], true);
    if (!incident || (incident.analysis?.by === "model" && actor === null)) return;
    const heuristic = await answers.ensureHeuristics(incident, actor !== null);
    if (!client.isConfigured) return;
    const surroundings = await store.surroundings(incident, RECENT_INCIDENTS);
    const prompt = buildPrompt({ incident, heuristic, ...surroundings, nonce: crypto.randomUUID() });
    const questionHash = questionHashOf(incident, model, surroundings);
    const question = { incident, heuristic, prompt, questionHash, actor };
    const known = actor === null ? await store.findAnswer(question.questionHash, ANSWER_REUSED_SECONDS) : undefined;
    if (known) await reuse(question, known);
    else await askNow(question, signal);
  }

  async function reuse(question: Question, known: { answer: string; askedAt: Date }): Promise<void> {
    metrics.calls.inc({ outcome: "reused" });
    await take(question, known.answer, 0, [`the answer to an identical incident, of ${known.askedAt.toISOString()}`]);
  }

  async function askNow(question: Question, signal: AbortSignal): Promise<void> {
    for (let timeouts = 1; ; timeouts++) {
      const isLast = timeouts >= TIMEOUTS_MAX;
      const outcome = await deps.slots.use(
        () => askOnce(question, isLast, signal),
        (one) => one === "timeout",
        signal,
      );
      if (outcome === undefined) throw new Error("stopped before the model was asked");
      if (outcome !== "timeout" || isLast || signal.aborted) return;
    }
  }

  /** Resolves with how the call ended. A timeout is final only when it is the last. */
  async function askOnce(question: Question, isLast: boolean, signal: AbortSignal): Promise<string> {
    const { incident, questionHash, prompt } = question;
    const { system, user } = prompt;
    const call = await calls.make({ incidentId: incident.id, questionHash, request: { system, user } }, signal);
    if (call === undefined) {
      await answers.unask(incident.id, "budget", calls.budgetWords);
      return "budget";
    }
    const { reply, tookMs } = call;
    if (!reply.ok) return fail(call, question, reply, isLast);
    const isTaken = await take(question, reply.text, tookMs, []);
    await call.settle(isTaken ? "ok" : "rubbish");
    return "ok";
  }

  async function fail(call: MadeCall, question: Question, failure: ModelFailure, isLast: boolean): Promise<string> {
    const { id } = question.incident;
    const { reason, message: why, retryAfterMs = 0 } = failure;
    await call.settle(reason);
    if (reason !== "timeout" || isLast) {
      await answers.unask(id, reason, why);
      deps.log.warn({ incident: id, outcome: reason, why }, "the model did not answer, the heuristics' answer stands");
    }
    const waitS = Math.ceil(retryAfterMs / 1000);
    if (waitS > 0 && waitS <= RETRY_AFTER_SECONDS_MAX) await deps.sendAsk(sql, [{ id, actor: question.actor }], waitS);
    return reason;
  }

  async function take(question: Question, text: string, tookMs: number, notes: string[]): Promise<boolean> {
    const { incident, heuristic, prompt } = question;
    const parsed = parseModelAnswer(text, prompt.quotable);
    if (!parsed.ok) {
      await answers.unask(incident.id, parsed.reason, parsed.message);
      return false;
    }
    const context = { heuristic, model, notes: [...notes, ...parsed.notes], tookMs };
    await answers.write(incident.id, fromModel(parsed.answer, context), { model });
    return true;
  }

  return { ask };
}

/** What makes two incidents the same question: what was answered before people said something is not answered again. */
function questionHashOf(incident: ExplainableIncident, model: string, { said }: Surroundings): string {
  const { type, source, message, logs, exitCode } = incident;
  const words = said.map(({ incident_id, given_at }) => [incident_id, given_at]);
  return sha256Hex(JSON.stringify([model, type, source, message, logs, exitCode, ...words]));
}
