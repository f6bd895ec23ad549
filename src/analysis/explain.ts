import type { Sql, TransactionSql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Explanation, fromHeuristics, type Unasked } from "./answer.ts";
import type { AnalysisMetrics } from "./metrics.ts";
import type { Evidence, HeuristicAnswer } from "./model.ts";
import { createPace, type Pace } from "./pace.ts";
import type { AnalysisStore, ExplainedIncident } from "./store.ts";

/** Incidents that are read, explained and written together. */
const CHUNK = 50;

export interface ExplainDeps {
  store: AnalysisStore;
  sql: Sql;
  heuristics: (evidence: Evidence) => HeuristicAnswer;
  /** Enqueues the question to a model, in the transaction of the heuristics' answers. */
  askLater: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
  /** What follows, in the transaction of the answers: people may be told. */
  explained: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
  /** Why no model is asked by itself, or null when one is. */
  unasked: Unasked | null;
  isBusy: () => boolean;
  clock: Clock;
  log: Log;
  metrics: AnalysisMetrics;
}

/**
 * Explains a batch of incidents by the heuristics. Pure work on stored rows: a second run finds nothing left to do. An
 * incident that the rules stumble over is marked alone, as unknown, and the others go on.
 */
export function createExplainer(deps: ExplainDeps) {
  const { store, clock } = deps;

  async function explainOne(incident: ExplainedIncident): Promise<{ id: number; explanation: Explanation }> {
    const startedMs = clock.monotonicMs();
    const answer = tryHeuristics(incident);
    deps.metrics.explained.inc({ category: answer.category });
    return { id: incident.id, explanation: fromHeuristics(answer, deps.unasked, clock.monotonicMs() - startedMs) };
  }

  function tryHeuristics(incident: ExplainedIncident): HeuristicAnswer {
    try {
      return deps.heuristics(incident);
    } catch (error) {
      deps.log.error({ error, incident: incident.id }, "the heuristics failed on an incident");
      return stumbled(incident, errorMessage(error));
    }
  }

  async function explainChunk(ids: readonly number[], pace: Pace): Promise<void> {
    const explained: { id: number; explanation: Explanation }[] = [];
    for (const incident of await store.find(ids)) {
      explained.push(await explainOne(incident));
      await pace();
    }
    if (explained.length === 0) return;
    await deps.sql.begin(async (tx) => {
      const written = await store.write(tx, explained, true);
      if (deps.unasked === null) await deps.askLater(tx, written);
      if (written.length > 0) await deps.explained(tx, written);
    });
  }

  return {
    async explain(ids: readonly number[], signal: AbortSignal): Promise<void> {
      const pace = createPace(clock, deps.isBusy);
      for (let at = 0; at < ids.length && !signal.aborted; at += CHUNK) {
        await explainChunk(ids.slice(at, at + CHUNK), pace);
        await pace();
      }
      signal.throwIfAborted();
    },
  };
}

function stumbled(incident: ExplainedIncident, why: string): HeuristicAnswer {
  return {
    category: "unknown",
    confidence: 0,
    decisive: null,
    rule: null,
    why: `the rules failed on this log: ${why}`,
    cause: "This log could not be read by the rules.",
    fix: `Look at the logs of ${incident.source} around the time of this alert.`,
  };
}
