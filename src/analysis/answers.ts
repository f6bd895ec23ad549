import type { TransactionSql } from "postgres";
import type { Explanation, HeuristicAnswer } from "./model.ts";
import { fromHeuristics } from "./model.ts";
import type { AnalysisDeps } from "./service.ts";
import type { ExplainableIncident } from "./store.ts";

interface AnswersDeps extends Pick<AnalysisDeps, "sql" | "writer" | "explained" | "heuristics"> {
  isConfigured: boolean;
}

/** What is written into incidents when a model is asked about them. */
export function createAnswers({ sql, writer, explained, heuristics, isConfigured }: AnswersDeps) {
  return {
    /** Anew on request: the rules may be newer than the answer. Somebody may ask before the first explanation stands. */
    async ensureHeuristics(incident: ExplainableIncident, anew: boolean): Promise<HeuristicAnswer> {
      if (incident.analysis && !anew) return incident.analysis.heuristic;
      const answer = await heuristics.explain(incident);
      const unasked = isConfigured ? null : { outcome: "no_key", why: "no model is set up (OPENROUTER_KEY)" };
      const explanation = fromHeuristics(answer, unasked, 0);
      const isFirst = incident.analysis === null;
      await sql.begin(async (tx) => {
        const written = await writer.explain(tx, [{ id: incident.id, ...explanation }], { isFirst });
        if (isFirst && written.length > 0) await explained(tx, written);
      });
      return answer;
    },

    /** The answer and its line in the timeline, and what else is written with them: all or nothing; nothing where `first` says so. */
    async write(
      id: number,
      explanation: Explanation,
      data: Record<string, unknown>,
      first?: (tx: TransactionSql) => Promise<boolean>,
    ): Promise<void> {
      await sql.begin(async (tx) => {
        if ((await first?.(tx)) === false) return;
        const written = await writer.explain(tx, [{ id, ...explanation }], { isFirst: false });
        const line = { kind: "explained_by_model", actor: "system", data };
        const notes = written.map((incidentId) => ({ ...line, incidentId }));
        await writer.note(tx, notes);
      });
    },

    /** Says in the incident why no model's answer stands there. */
    async unask(id: number, outcome: string, why: string): Promise<void> {
      await sql.begin((tx) => writer.unask(tx, [id], { outcome, why }));
    },
  };
}

export type Answers = ReturnType<typeof createAnswers>;
