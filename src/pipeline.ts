/**
 * What happens to an incident, step by step. Each step is a queue: a job of it is sent in the transaction that makes it
 * necessary, so a crash loses nothing, and a step bears a second run, so a crash stores nothing twice.
 *
 *   opened      ingest has stored a batch of alerts; one job for all incidents that it opened
 *      ↓
 *   explained   the heuristics' answer stands in the row, and the incident is `analyzed`; in the same transaction a job for
 *      │        each that wants a model's opinion, and one for all that people may be told of
 *      ├─▶ asked       the model's answer replaces the heuristics' in the row, or the incident says why it does not
 *      ↓
 *   announced   for each outlet a row: it is told, or not, and why. Who leads an outlet sends what waits, and edits what
 *      ↓        has changed since (announcements/delivery.ts)
 *   decided     a person pressed a button; a job in the transaction of the decision's row
 *      ↓
 *   carried     the decision is carried out: the incident's status, or a command to the host
 *      ↓        (the command's answer is a row that each node looks for)
 *   verified    whether it helped is found out, 5, 15 and 60 s after it was carried out
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
  /** Whether, and how, people are told of these. */
  announce: (ids: readonly number[]) => Promise<void>;
  /** Longest wait for a model, seconds. */
  askDeadlineS: number;
  decisions: {
    carry: (id: string, signal: AbortSignal) => Promise<void>;
    verify: (id: string, signal: AbortSignal) => Promise<void>;
    gaveUp: (id: string) => Promise<void>;
  };
  /** Tells an operator that a step was given up. */
  gaveUp: (queue: QueueName, ids: readonly number[]) => Promise<void>;
}

/** The steps, in order. A new one is an entry here, a queue in jobs/queues.ts, and a `send` in the step before it. */
export function createPipeline({ jobs, explain, ask, askDeadlineS, announce, decisions, gaveUp }: PipelineDeps) {
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
  const announced: Worker<"incidents.announce"> = {
    queue: "incidents.announce",
    limits: { batch: 20, together: false, deadlineS: 60, retries: 5 },
    run: ({ ids }) => announce(ids),
    gaveUp: ({ ids }) => gaveUp("incidents.announce", ids),
  };
  const carried: Worker<"decisions.carry"> = {
    queue: "decisions.carry",
    limits: { batch: 8, together: true, deadlineS: 20, retries: 3 },
    run: ({ id }, signal) => decisions.carry(id, signal),
    gaveUp: ({ id }) => decisions.gaveUp(id),
  };
  const verified: Worker<"decisions.verify"> = {
    queue: "decisions.verify",
    limits: { batch: 8, together: true, deadlineS: 20, retries: 3 },
    run: ({ id }, signal) => decisions.verify(id, signal),
    gaveUp: ({ id }) => decisions.gaveUp(id),
  };
  return {
    start: () => jobs.start([explained, asked, announced, carried, verified] as unknown as Worker<QueueName>[]),
    stop: jobs.stop,
  };
}
