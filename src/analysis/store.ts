import type { Sql } from "postgres";
import { LockKey } from "../db/lock-keys.ts";
import type { Feedback, FeedbackService } from "../feedback/model.ts";
import { type RawError, splitRawError } from "../protocol/raw-error.ts";
import type { AnalysisView, Evidence, ModelCall, StoredAnalysis } from "./model.ts";
import type { RecentIncident } from "./prompt.ts";

const CALLS_SHOWN_MAX = 20;

/** An incident as it is explained. */
export interface ExplainableIncident extends Evidence {
  id: number;
  agentId: string;
  severity: string | null;
  analysis: StoredAnalysis | null;
}

/** What a model is told beside the incident itself. */
export interface Surroundings {
  meta: Record<string, unknown>;
  recent: RecentIncident[];
  /** What people said of it, and of the same problem before, the last word first. */
  said: Feedback[];
}

/** A call that is about to be made. */
type NewCall = Record<"model" | "endpoint" | "questionHash" | "system" | "prompt", string> & {
  incidentId: number;
  investigationId: string | null;
};

/** How a call ended. */
interface CallOutcome {
  outcome: string;
  answer: string | null;
  promptTokens: number | null;
  completionTokens: number | null;
  costUsd: number | null;
  tookMs: number;
}

const NOBODY: Pick<FeedbackService, "about"> = { about: async () => ({ feedback: null, earlier_feedback: [] }) };

/** The SQL of explanations. `feedback` knows what people said of them. */
export function createAnalysisStore(sql: Sql, feedback = NOBODY) {
  return {
    /** Of these incidents those that nothing explains yet; `again` takes all. */
    async find(ids: readonly number[], again = false): Promise<ExplainableIncident[]> {
      const rows = await sql<(Omit<ExplainableIncident, "message" | "logs"> & RawError)[]>`
        select id, agent_id as "agentId", type, source, raw_error as "rawError", message_chars as "messageChars",
          exit_code as "exitCode", severity, analysis
        from incidents where id = any(${ids as number[]}::int[]) and (analysis is null or ${again}::boolean) order by id`;
      return rows.map(({ rawError, messageChars, ...row }) => ({
        ...row,
        ...splitRawError({ rawError, messageChars }),
      }));
    },

    async surroundings(incident: ExplainableIncident, limit: number): Promise<Surroundings> {
      const [agent] = await sql`select meta from agents where id = ${incident.agentId}`;
      const recent = await sql<RecentIncident[]>`
        select id, type, source, left(split_part(raw_error, E'\n', 1), 300) as "firstLine", analysis->>'category' as category,
          status, extract(epoch from now() - created_at)::int as "ageS"
        from incidents where agent_id = ${incident.agentId} and id < ${incident.id} order by id desc limit ${limit}`;
      const { feedback: own, earlier_feedback: earlier } = await feedback.about(incident.id);
      return { meta: agent?.meta ?? {}, recent, said: own ? [own, ...earlier] : earlier };
    },

    /** The last answer to the same question, not older than `maxAgeS`. */
    async findAnswer(questionHash: string, maxAgeS: number): Promise<{ answer: string; askedAt: Date } | undefined> {
      const [row] = await sql<{ answer: string; askedAt: Date }[]>`
        select answer, asked_at as "askedAt" from model_calls
        where question_hash = ${questionHash} and outcome = 'ok' and asked_at > now() - make_interval(secs => ${maxAgeS})
        order by asked_at desc limit 1`;
      return row;
    },

    /** Notes a call that is about to be made; undefined when the day's budget (UTC) is spent. */
    async beginCall(call: NewCall, dailyLimit: number): Promise<number | undefined> {
      const { incidentId, investigationId, model, endpoint, questionHash, system, prompt } = call;
      const [row] = await sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(${LockKey.budget})`;
        return tx<{ id: string }[]>`
          insert into model_calls (incident_id, investigation_id, model, endpoint, question_hash, system, prompt)
          select ${incidentId}, ${investigationId}::uuid, ${model}, ${endpoint}, ${questionHash}, ${system}, ${prompt}
          where (select count(*) from model_calls where asked_at >= date_trunc('day', now(), 'UTC')) < ${dailyLimit}
          returning id`;
      });
      return row ? Number(row.id) : undefined;
    },

    async endCall(id: number, ended: CallOutcome): Promise<void> {
      await sql`
        update model_calls set outcome = ${ended.outcome}, answer = ${ended.answer}, prompt_tokens = ${ended.promptTokens},
          completion_tokens = ${ended.completionTokens}, cost_usd = ${ended.costUsd}, took_ms = ${Math.round(ended.tookMs)}
        where id = ${id}`;
    },

    async view(id: number): Promise<Omit<AnalysisView, "investigations"> | undefined> {
      const [row] = await sql`select ai_analysis, ai_solution, analysis from incidents where id = ${id}`;
      if (!row) return undefined;
      const calls = await sql<ModelCall[]>`
        select asked_at, model, endpoint, system, prompt, outcome, answer, prompt_tokens, completion_tokens, cost_usd, took_ms
        from model_calls where incident_id = ${id} order by id desc limit ${CALLS_SHOWN_MAX}`;
      const { ai_analysis, ai_solution, analysis } = row;
      return { ai_analysis, ai_solution, analysis, calls };
    },

    /** Forgets a chunk of what is older than `retentionMs`; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from model_calls where id in (
          select id from model_calls where asked_at < now() - ${retentionMs} * interval '1 ms' limit 2000)`;
      return deleted.count;
    },
  };
}

export type AnalysisStore = ReturnType<typeof createAnalysisStore>;
