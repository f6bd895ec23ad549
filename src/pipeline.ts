/**
 * What happens to an incident, step by step. Steps are joined by rows of the database, so a crash loses nothing, and each bears
 * a second run, so a crash does nothing twice.
 *
 *   opened      ingest has stored a batch of alerts, in one transaction with one job for all incidents that it opened;
 *      │        later alerts join the incident, resolve it, or supersede it (incidents/grouping.ts)
 *      ▼
 *   explained   a job: the heuristics' answer stands in the row, linked with the last incident of the same problem and tied to
 *      │        what it follows from; in the same transaction a row for each outlet, and a job for each that wants a model
 *      ├─▶ asked       a job: the model's answer replaces the heuristics', or the incident says why it does not
 *      ├─▶ looked into a job: the model asks the host first, by commands that change nothing; on request, or as AI_INVESTIGATE says
 *      ▼
 *   muted?      by the leader of each outlet, again whenever the incident changed: the muters below are asked in their order,
 *      │        and the first that answers withholds the message, and says why in the timeline; what an outlet is not to take
 *      │        (severity, host, hours, escalation) is one of them
 *      ▼
 *   notified    the leader posts what is to be told, and edits each message whose incident has a newer revision than it shows;
 *      │        what is critical, and nobody acknowledges, is said again, and told where it escalates to
 *      ▼
 *   decided     a person pressed a button: a row that is due at once
 *      ▼
 *   carried out what is due is done: the incident's status, or a command to the host, whose result is a row again
 *      ▼
 *   verified    whether it helped: by alerts, the agent's recovery report, and looks at the host after 5, 15 and 60 s
 *      ▼
 *   resolved    by the agent's report, a person, a verified restart, or AUTO_RESOLVE; its messages say so
 *
 * Whoever follows incidents is woken by NOTIFY at each commit that changes one, and by the next due time; a slow look is the
 * guarantee. A job that fails is tried again with back-off; one that fails to the end is counted in /metrics, stands in the
 * timeline, and what the step before it wrote goes on to stand: people are told of what could not be explained, too.
 */
import type { TransactionSql } from "postgres";
import { SLOTS_MAX } from "./analysis/slots.ts";
import { alreadyOver } from "./announcements/decide.ts";
import type { Announcements } from "./announcements/service.ts";
import { stormMuter } from "./announcements/storm-store.ts";
import { consequencesMuter } from "./incidents/cause-store.ts";
import type { IncidentWriter, Muter } from "./incidents/model.ts";
import type { Jobs, QueueName, Worker } from "./jobs/jobs.ts";
import type { Log } from "./lib/log.ts";

/** At once, on one node: each asks a host a few times, and keeps a model busy meanwhile. */
const INVESTIGATIONS_MAX = 2;
/** Its own limit, and what is around it. */
const INVESTIGATION_DEADLINE_S = 150;

/** Reasons to withhold a message, in the order in which they are asked. Storms come last: they count what is left. */
export function mutersInOrder(silences: Muter, routing: Muter): readonly Muter[] {
  return [silences, alreadyOver, consequencesMuter, routing, stormMuter];
}

/** Reasons not to say again what nobody has acknowledged. */
export function mutersOfReminders(silences: Muter): readonly Muter[] {
  return [silences, consequencesMuter];
}

export interface PipelineDeps {
  jobs: Jobs;
  begin: (work: (tx: TransactionSql) => Promise<void>) => Promise<unknown>;
  explain: (ids: readonly number[], signal: AbortSignal) => Promise<void>;
  ask: (id: number, actor: string | null, signal: AbortSignal) => Promise<void>;
  /** Longest run of one question to a model, seconds. */
  askDeadlineS: number;
  investigate: (id: string, signal: AbortSignal) => Promise<void>;
  giveUpInvestigation: (id: string) => Promise<void>;
  announcements: Pick<Announcements, "expect">;
  writer: Pick<IncidentWriter, "note" | "touch">;
  countGivenUp: (queue: QueueName) => void;
  log: Log;
}

/** The job of all incidents that a batch opened, in the batch's transaction. */
export function explainLater(jobs: Jobs, tx: TransactionSql, ids: readonly number[]): Promise<void> {
  return jobs.sendAll(tx, "incidents.explain", [{ ids: [...ids] }]);
}

/** Begins to work on what is opened. */
export async function startPipeline(deps: PipelineDeps): Promise<void> {
  const explained: Worker<"incidents.explain"> = {
    queue: "incidents.explain",
    limits: { batch: 4, deadlineS: 120, retries: 5 },
    run: ({ ids }, signal) => deps.explain(ids, signal),
    gaveUp: ({ ids }) => giveUp(deps, "incidents.explain", ids),
  };
  const asked: Worker<"incidents.ask"> = {
    queue: "incidents.ask",
    limits: { batch: 1, workers: SLOTS_MAX, deadlineS: deps.askDeadlineS, retries: 3 },
    run: ({ id, actor }, signal) => deps.ask(id, actor, signal),
    gaveUp: ({ id }) => giveUp(deps, "incidents.ask", [id]),
  };
  const investigated: Worker<"incidents.investigate"> = {
    queue: "incidents.investigate",
    limits: { batch: 1, workers: INVESTIGATIONS_MAX, deadlineS: INVESTIGATION_DEADLINE_S, retries: 3 },
    run: ({ id }, signal) => deps.investigate(id, signal),
    async gaveUp({ id }) {
      deps.countGivenUp("incidents.investigate");
      await deps.giveUpInvestigation(id);
    },
  };
  // What a former version still had to announce: a row that waits is made, one that was withheld is decided again.
  await deps.jobs.start([explained, asked, investigated] as unknown as Worker<QueueName>[], async (tx, ids) => {
    await deps.announcements.expect(tx, ids);
    await deps.writer.touch(tx, ids);
  });
}

async function giveUp(
  { begin, announcements, writer, countGivenUp, log }: PipelineDeps,
  queue: QueueName,
  ids: readonly number[],
): Promise<void> {
  log.error({ queue, incidents: ids }, "a step was given up after its last try");
  countGivenUp(queue);
  await begin(async (tx) => {
    if (queue === "incidents.explain") await announcements.expect(tx, ids);
    const notes = ids.map((incidentId) => ({ kind: "given_up", actor: "system", incidentId, data: { step: queue } }));
    await writer.note(tx, notes);
  });
}
