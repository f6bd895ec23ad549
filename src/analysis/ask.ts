import { sha256Hex } from "../lib/hash.ts";
import { type Evidence, type Explanation, fromHeuristics, fromModel, type HeuristicAnswer } from "./model.ts";
import { parseModelAnswer } from "./model-answer.ts";
import type { ModelText } from "./model-reply.ts";
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
  heuristics: (evidence: Evidence) => HeuristicAnswer;
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
  const { store, sql, writer, client, metrics, clock } = deps;
  const { model, dailyLimit, baseUrl } = deps.options;

  async function ask(id: number, actor: string | null, signal: AbortSignal): Promise<void> {
    const [incident] = await store.find([id], true);
    if (!incident || (incident.analysis?.by === "model" && actor === null)) return;
    const heuristic = await ensureHeuristics(incident, actor !== null);
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

  /** Anew on request: the rules may be newer than the answer. Somebody may ask before the first explanation stands. */
  async function ensureHeuristics(incident: ExplainableIncident, anew: boolean): Promise<HeuristicAnswer> {
    if (incident.analysis && !anew) return incident.analysis.heuristic;
    const answer = deps.heuristics(incident);
    const unasked = client.isConfigured ? null : { outcome: "no_key", why: "no model is set up (OPENROUTER_KEY)" };
    const explanation = fromHeuristics(answer, unasked, 0);
    const isFirst = incident.analysis === null;
    await sql.begin(async (tx) => {
      const written = await writer.explain(tx, [{ id: incident.id, ...explanation }], { isFirst });
      if (isFirst && written.length > 0) await deps.explained(tx, written);
    });
    return answer;
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
    const { incident, questionHash, actor } = question;
    const { system, user: prompt } = question.prompt;
    const asked = { incidentId: incident.id, model, endpoint: new URL(baseUrl).host, questionHash, system, prompt };
    const call = await store.beginCall(asked, dailyLimit);
    if (call === undefined) {
      metrics.calls.inc({ outcome: "budget" });
      await unask(incident.id, "budget", `the day's ${dailyLimit} calls are used up (AI_DAILY_LIMIT)`);
      return "budget";
    }
    const startedMs = clock.monotonicMs();
    const reply = await client.ask(question.prompt, signal);
    const tookMs = clock.monotonicMs() - startedMs;
    if (reply.ok) {
      await settle(call, question, reply, tookMs);
      return "ok";
    }
    const { reason, message, retryAfterMs = 0 } = reply;
    await fail(call, incident, reason, message, tookMs, reason !== "timeout" || isLast);
    const waitS = Math.ceil(retryAfterMs / 1000);
    if (waitS > 0 && waitS <= RETRY_AFTER_SECONDS_MAX) await deps.sendAsk(sql, [{ id: incident.id, actor }], waitS);
    return reason;
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

  async function fail(
    call: number,
    incident: ExplainableIncident,
    outcome: string,
    why: string,
    tookMs: number,
    isFinal: boolean,
  ): Promise<void> {
    metrics.calls.inc({ outcome });
    const nothing = { answer: null, promptTokens: null, completionTokens: null, costUsd: null };
    await store.endCall(call, { outcome, ...nothing, tookMs });
    if (!isFinal) return;
    await unask(incident.id, outcome, why);
    deps.log.warn({ incident: incident.id, outcome, why }, "the model did not answer, the heuristics' answer stands");
  }

  async function take(question: Question, text: string, tookMs: number, notes: string[]): Promise<boolean> {
    const { incident, heuristic, prompt } = question;
    const parsed = parseModelAnswer(text, prompt.quotable);
    if (!parsed.ok) {
      await unask(incident.id, parsed.reason, parsed.message);
      return false;
    }
    const context = { heuristic, model, notes: [...notes, ...parsed.notes], tookMs };
    await writeAnswer(incident.id, fromModel(parsed.answer, context));
    return true;
  }

  /** The answer and its line in the timeline: both or none. */
  async function writeAnswer(id: number, explanation: Explanation): Promise<void> {
    await sql.begin(async (tx) => {
      const written = await writer.explain(tx, [{ id, ...explanation }], { isFirst: false });
      const line = { kind: "explained_by_model", actor: "system", data: { model } };
      const notes = written.map((incidentId) => ({ ...line, incidentId }));
      await writer.note(tx, notes);
    });
  }

  /** Says in the incident why no model's answer stands there. */
  async function unask(id: number, outcome: string, why: string): Promise<void> {
    await sql.begin((tx) => writer.unask(tx, [id], { outcome, why }));
  }

  return { ask };
}

/** What makes two incidents the same question: what was answered before people said something is not answered again. */
function questionHashOf(incident: ExplainableIncident, model: string, { said }: Surroundings): string {
  const { type, source, message, logs, exitCode } = incident;
  const words = said.map(({ incident_id, given_at }) => [incident_id, given_at]);
  return sha256Hex(JSON.stringify([model, type, source, message, logs, exitCode, ...words]));
}
