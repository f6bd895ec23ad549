/**
 * What happens to an incident, step by step. Each step is a queue: a job of it is sent in the transaction that makes it
 * necessary, so a crash loses nothing, and a step bears a second run, so a crash stores nothing twice.
 *
 *   opened      ingest has stored a batch of alerts; one job for all incidents that it opened
 *      ↓
 *   explained   the heuristics' answer stands in the row, and the incident is `analyzed`; for each that wants a model's
 *      ↓        opinion, a job in the same transaction
 *   asked       the model's answer replaces the heuristics' in the row, or the incident says why it does not
 *
 * A step that fails is tried again with back-off; one that fails to the end goes to the dead letters: it is counted in
 * /metrics and stands in the incident's timeline, and what the step before it wrote goes on to stand.
 */
import type { Jobs, Worker } from "./jobs/jobs.ts";
import type { QueueName } from "./jobs/queues.ts";

export interface PipelineDeps {
  jobs: Jobs;
  explain: (ids: readonly number[], signal: AbortSignal) => Promise<void>;
  ask: (id: number, actor: string | null, signal: AbortSignal) => Promise<void>;
  /** Longest wait for a model, seconds. */
  askDeadlineS: number;
  /** Tells an operator that a step was given up. */
  gaveUp: (queue: QueueName, ids: readonly number[]) => Promise<void>;
}

/** The steps, in order. A new one is an entry here, a queue in jobs/queues.ts, and a `send` in the step before it. */
export function createPipeline({ jobs, explain, ask, askDeadlineS, gaveUp }: PipelineDeps) {
  const explained: Worker<"incidents.explain"> = {
    queue: "incidents.explain",
    limits: { batch: 20, together: false, deadlineS: 120, retries: 5 },
    run: ({ ids }, signal) => explain(ids, signal),
    gaveUp: ({ ids }) => gaveUp("incidents.explain", ids),
  };
  const asked: Worker<"incidents.ask"> = {
    queue: "incidents.ask",
    limits: { batch: 8, together: true, deadlineS: askDeadlineS, retries: 3 },
    run: ({ id, actor }, signal) => ask(id, actor, signal),
    gaveUp: ({ id }) => gaveUp("incidents.ask", [id]),
  };
  return {
    start: () => jobs.start([explained, asked] as unknown as Worker<QueueName>[]),
    stop: jobs.stop,
  };
}
