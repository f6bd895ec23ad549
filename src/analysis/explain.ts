import type { TransactionSql } from "postgres";
import type { ExplainedIncident } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { HeuristicsError, type HeuristicsThread } from "./heuristics-thread.ts";
import { fromHeuristics, type HeuristicAnswer, type Unasked } from "./model.ts";
import type { AnalysisDeps } from "./service.ts";
import type { ExplainableIncident } from "./store.ts";

/** Incidents that are read together: their logs are large. */
const READ_CHUNK = 50;
/** Explanations that are written together: each transaction costs a dozen statements, and holds the incidents' alerts up. */
const WRITE_CHUNK = 250;

interface ExplainDeps
  extends Omit<AnalysisDeps, "options" | "publicUrl" | "sendInvestigate" | "keepReply" | "commands" | "figures"> {
  heuristics: Pick<HeuristicsThread, "explain">;
  /** Why no model is asked by itself, or null when one is. */
  unasked: Unasked | null;
  /** Whether a model looks into it by itself, in place of being asked once. */
  isLookedInto: (answer: HeuristicAnswer) => boolean;
  investigate: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
}

/** An explanation, and what follows from it. */
type Explained = ExplainedIncident & { isLookedInto: boolean };

/**
 * Explains a batch of incidents by the heuristics. Pure work on stored rows: a second run finds nothing left to do. An
 * incident that the rules stumble over is marked alone, as unknown, and the others go on.
 */
export function createExplainer(deps: ExplainDeps) {
  const { store, writer, clock } = deps;
  // One pace for all jobs, which are run one after the other.
  const pace = createPace(clock, deps.isBusy);

  async function explainOne(incident: ExplainableIncident): Promise<Explained> {
    const startedMs = clock.monotonicMs();
    const answer = await tryHeuristics(incident);
    deps.metrics.explained.inc({ category: answer.category });
    const explanation = fromHeuristics(answer, deps.unasked, clock.monotonicMs() - startedMs);
    return { id: incident.id, ...explanation, isLookedInto: deps.isLookedInto(answer) };
  }

  async function tryHeuristics(incident: ExplainableIncident): Promise<HeuristicAnswer> {
    try {
      return await deps.heuristics.explain(incident);
    } catch (error) {
      if (error instanceof HeuristicsError && error.reason === "stopped") throw error;
      deps.log.error({ error, incident: incident.id }, "the heuristics failed on an incident");
      return stumbled(incident, errorMessage(error));
    }
  }

  /** Explains them, a few at a time. */
  async function explainAll(ids: readonly number[], signal: AbortSignal): Promise<Explained[]> {
    const explained: Explained[] = [];
    for (let at = 0; at < ids.length; at += READ_CHUNK) {
      for (const incident of await store.find(ids.slice(at, at + READ_CHUNK))) {
        explained.push(await explainOne(incident));
        await pace.rest(signal);
      }
    }
    return explained;
  }

  async function write(explained: readonly Explained[]): Promise<void> {
    if (explained.length === 0) return;
    await deps.sql.begin(async (tx) => {
      const written = await writer.explain(tx, explained, { isFirst: true });
      const lookedInto = new Set(explained.flatMap(({ id, isLookedInto }) => (isLookedInto ? [id] : [])));
      const asked = written.filter((id) => !lookedInto.has(id));
      const questions = asked.map((id) => ({ id, actor: null }));
      if (deps.unasked === null) await deps.sendAsk(tx, questions);
      await deps.investigate(
        tx,
        written.filter((id) => lookedInto.has(id)),
      );
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

/** Longest stretch of work before the event loop has its turn. */
const SLICE_MS = 5;
/**
 * While ingest is behind, so many times the work is rested: a sixty-fourth of a core at most, since the database works for
 * each explanation, too, and what is not explained now is explained when the storm is over.
 */
const REST_PER_WORK_BUSY = 63;
/** What comes after that much work without a pause is a backlog: half of a core is left to all others. */
const BACKLOG_MS = 1_000;
const REST_PER_WORK_BACKLOG = 1;
const REST_MS_MAX = 2_000;
/** Nothing to do for so long: there is no backlog any more. */
const PAUSE_MS = 1_000;

/**
 * How jobs that are run one after the other give way to all other work of the process and its database. `isBusy` says whether
 * ingest is behind.
 */
export function createPace(clock: Clock, isBusy: () => boolean) {
  let startedMs = clock.monotonicMs();
  let endedMs = startedMs;
  let workedMs = 0;

  const restPerWork = () => {
    if (isBusy()) return REST_PER_WORK_BUSY;
    return workedMs > BACKLOG_MS ? REST_PER_WORK_BACKLOG : 0;
  };

  return {
    /** A job begins. */
    start() {
      startedMs = clock.monotonicMs();
      if (startedMs - endedMs > PAUSE_MS) workedMs = 0;
    },
    /** Called between two pieces of work: rests when a slice is used up. Throws the signal's reason once it aborts. */
    async rest(signal: AbortSignal) {
      signal.throwIfAborted();
      endedMs = clock.monotonicMs();
      const sliceMs = endedMs - startedMs;
      if (sliceMs < SLICE_MS) return;
      workedMs += sliceMs;
      await clock.sleep(Math.min(sliceMs * restPerWork(), REST_MS_MAX), signal);
      signal.throwIfAborted();
      startedMs = clock.monotonicMs();
      endedMs = startedMs;
    },
  };
}
