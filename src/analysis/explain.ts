import type { Sql, TransactionSql } from "postgres";
import type { ExplainedIncident, IncidentWriter } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { fromHeuristics, type Unasked } from "./answer.ts";
import type { AnalysisMetrics } from "./metrics.ts";
import type { Evidence, HeuristicAnswer } from "./model.ts";
import { createPace } from "./pace.ts";
import type { AnalysisStore, ExplainableIncident } from "./store.ts";

/** Incidents that are read together: their logs are large. */
const READ_CHUNK = 50;
/** Explanations that are written together: each transaction costs a dozen statements, and holds the incidents' alerts up. */
const WRITE_CHUNK = 250;

export interface ExplainDeps {
  store: Pick<AnalysisStore, "find">;
  sql: Sql;
  writer: Pick<IncidentWriter, "explain">;
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
  const { store, writer, clock } = deps;
  // One pace for all jobs, which are run one after the other.
  const pace = createPace(clock, deps.isBusy);

  function explainOne(incident: ExplainableIncident): ExplainedIncident {
    const startedMs = clock.monotonicMs();
    const answer = tryHeuristics(incident);
    deps.metrics.explained.inc({ category: answer.category });
    return { id: incident.id, ...fromHeuristics(answer, deps.unasked, clock.monotonicMs() - startedMs) };
  }

  function tryHeuristics(incident: ExplainableIncident): HeuristicAnswer {
    try {
      return deps.heuristics(incident);
    } catch (error) {
      deps.log.error({ error, incident: incident.id }, "the heuristics failed on an incident");
      return stumbled(incident, errorMessage(error));
    }
  }

  /** Explains them, a few at a time. */
  async function explainAll(ids: readonly number[], signal: AbortSignal): Promise<ExplainedIncident[]> {
    const explained: ExplainedIncident[] = [];
    for (let at = 0; at < ids.length; at += READ_CHUNK) {
      for (const incident of await store.find(ids.slice(at, at + READ_CHUNK))) {
        explained.push(explainOne(incident));
        await pace.rest(signal);
      }
    }
    return explained;
  }

  async function write(explained: readonly ExplainedIncident[]): Promise<void> {
    if (explained.length === 0) return;
    await deps.sql.begin(async (tx) => {
      const written = await writer.explain(tx, explained, { isFirst: true });
      if (deps.unasked === null) await deps.askLater(tx, written);
      if (written.length > 0) await deps.explained(tx, written);
    });
  }

  return {
    async explain(ids: readonly number[], signal: AbortSignal): Promise<void> {
      pace.start();
      for (let at = 0; at < ids.length; at += WRITE_CHUNK) {
        await write(await explainAll(ids.slice(at, at + WRITE_CHUNK), signal));
        await pace.rest(signal);
      }
    },
  };
}

function stumbled(incident: ExplainableIncident, why: string): HeuristicAnswer {
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
