import type { TransactionSql } from "postgres";
import { createHeuristicsThread } from "../analysis/heuristics-thread.ts";
import { CATEGORIES } from "../analysis/model.ts";
import { createAnalysis, createAnalysisMetrics, mayInvestigate } from "../analysis/service.ts";
import { longestAskS } from "../analysis/slots.ts";
import { createAnalysisStore } from "../analysis/store.ts";
import type { Notifier } from "../announcements/model.ts";
import type { RoutedOutlet } from "../announcements/routing.ts";
import { createRoutingMuter } from "../announcements/routing-store.ts";
import { createAnnouncements } from "../announcements/service.ts";
import type { CommandService } from "../commands/model.ts";
import { proxyOf } from "../config/proxy.ts";
import { createDecisions } from "../decisions/service.ts";
import { createDecisionStore } from "../decisions/store.ts";
import { createFeedback } from "../feedback/service.ts";
import { createFeedbackStore } from "../feedback/store.ts";
import type { FigureService } from "../figures/model.ts";
import { createChangeStore } from "../incidents/change-store.ts";
import { createCountStore } from "../incidents/count-store.ts";
import { createHistoryStore } from "../incidents/history-store.ts";
import { createListStore } from "../incidents/list-store.ts";
import { createIncidentService, createStatusChange } from "../incidents/service.ts";
import { createIncidentStore } from "../incidents/store.ts";
import { INCIDENTS_CHANNEL } from "../incidents/write-store.ts";
import { createJobs, QUEUES } from "../jobs/jobs.ts";
import { createFetch, type ProxyOf } from "../lib/bounded-fetch.ts";
import { explainLater, mutersInOrder, mutersOfReminders, startPipeline } from "../pipeline.ts";
import { createFitStore } from "../silences/fit-store.ts";
import { createSilences } from "../silences/service.ts";
import { createSilenceStore } from "../silences/store.ts";
import type { ServerParts } from "./agents.ts";
import type { Outlets } from "./outlets.ts";

/** Parts of the whole stop; see server.ts. */
const HEURISTICS_STOP_MS = 1_000;
const JOBS_STOP_MS = 3_000;
const FOLLOWERS_STOP_MS = 6_000;

export interface PeopleDeps extends ServerParts {
  outlets: Outlets;
  commands: CommandService;
  figures: Pick<FigureService, "ofAgent">;
  /** Whether no other node lives. */
  isAlone: () => boolean;
  /** Whether ingest is behind. */
  isBusy: () => boolean;
}

/**
 * All that follows once an incident is a row (pipeline.ts shows the steps): it is explained, people are notified, decide, and see
 * what came of it. Made in the order in which one needs the other; what is started is stopped by the cleanups.
 */
export function createPeopleSide(deps: PeopleDeps) {
  const { config, database, notifications, writer, registry, cleanups, clock, log } = deps;
  const { sql } = database;
  const jobs = createJobs(deps);

  const silenceStore = createSilenceStore(sql);
  const silences = createSilences({ ...deps, sql, store: silenceStore, fits: createFitStore(sql) });

  const feedbackStore = createFeedbackStore(sql);

  const via: ProxyOf = (url) => proxyOf(config.proxies, url);
  const { slack, notifiers } = deps.outlets;
  const routes = routesOf(config, notifiers);
  const { remindMs, digest } = config.routes;
  const announcements = createAnnouncements({
    ...deps,
    sql,
    createSession: database.createSession,
    feedback: feedbackStore,
    notifiers,
    routes,
    remind: remindMs === null ? null : { everyMs: remindMs, muters: mutersOfReminders(silences.muter) },
    digest,
    groupWindowMs: config.incidentGroupWindowMs,
    muters: mutersInOrder(silences.muter, createRoutingMuter(routes)),
    publicUrl: config.publicUrl,
    mayInvestigate: mayInvestigate(config.ai),
    posted: async (incidentId, outlet, startMs) =>
      deps.tracing?.done("incident announced", [incidentId], startMs, { "opspilot.outlet": outlet }),
  });

  const feedback = createFeedback({ sql, store: feedbackStore, writer, given: announcements.followAgain });

  const analysisMetrics = createAnalysisMetrics(registry);
  // Who looks for an increase does not see one from nothing to 1.
  for (const queue of QUEUES) analysisMetrics.gaveUp.inc({ queue }, 0);
  const analysisStore = createAnalysisStore(sql, feedbackStore);
  const heuristics = createHeuristicsThread(log);
  const analysis = createAnalysis({
    ...deps,
    store: analysisStore,
    heuristics,
    sql,
    options: config.ai,
    fetch: createFetch(via),
    publicUrl: config.publicUrl,
    sendAsk: (query, questions, delaySeconds) => jobs.sendAll(query, "incidents.ask", questions, delaySeconds),
    sendInvestigate: (tx, ids) =>
      jobs.sendAll(
        tx,
        "incidents.investigate",
        ids.map((id) => ({ id })),
      ),
    keepReply: announcements.keepReply,
    explained: announcements.expect,
    metrics: analysisMetrics,
  });

  const lists = createListStore(sql);
  const { counts } = createCountStore(sql, lists);
  const { history } = createHistoryStore(sql);
  const { decided, silenced } = silences;
  const incidents = { store: createIncidentStore(sql), lists, counts, history, silenced, feedback, writer, decided };
  const decisions = createDecisions({
    ...deps,
    sql,
    store: createDecisionStore(sql),
    silences,
    announcements,
    changeStatus: createStatusChange(incidents),
  });
  const categories = CATEGORIES.filter((one) => one !== "unknown");
  const asked = { announcements, decisions, feedback, categories, analysis: analysis.service, sql };
  const receiver = slack.receiver({ ...deps, ...asked });

  cleanups.add("heuristics", heuristics.stop, HEURISTICS_STOP_MS);
  cleanups.add("jobs", jobs.stop, JOBS_STOP_MS);
  cleanups.add("outlets, decisions and silences", stopFollowers, FOLLOWERS_STOP_MS);
  let stopping: Promise<unknown> | undefined;

  async function stopFollowers(): Promise<void> {
    stopping ??= Promise.all([receiver?.stop(), decisions.stop(), announcements.stop(), silences.stop()]);
    await stopping;
  }

  async function explainTraced(ids: readonly number[], signal: AbortSignal): Promise<void> {
    const startMs = clock.monotonicMs();
    await analysis.explain(ids, signal);
    await deps.tracing?.done("incident explained", ids, startMs);
  }

  function wakeFollowers(): void {
    silences.wake();
    announcements.wake();
    decisions.wake();
  }

  return {
    analysis: analysis.service,
    incidents: createIncidentService(incidents),
    changes: createChangeStore(sql),
    jobsLoad: jobs.load,
    outletTrouble: announcements.trouble,
    decisions,
    feedback,
    silences,
    slackCallback: receiver?.callback ?? null,
    deletions: [
      ...analysis.deletions,
      silenceStore.deleteOld,
      decisions.deleteOld,
      announcements.deleteOld,
      feedbackStore.deleteOld,
    ],
    /** The beginning of a stop: outlets may be led by other nodes while this one still writes what it accepted. */
    stopFollowers,
    /** What follows from incidents that opened, in the transaction that opened them. */
    opened: (tx: TransactionSql, ids: readonly number[]) => explainLater(jobs, tx, ids),
    /** Makes the queues, and begins to work. */
    async start(): Promise<void> {
      await startPipeline({
        ...deps,
        jobs,
        begin: (work) => sql.begin(work),
        explain: explainTraced,
        ask: analysis.ask,
        askDeadlineS: longestAskS(config.ai.timeoutMs),
        investigate: analysis.investigate,
        giveUpInvestigation: analysis.giveUpInvestigation,
        announcements,
        countGivenUp: (queue) => analysisMetrics.gaveUp.inc({ queue }),
      });
      notifications.listen(INCIDENTS_CHANNEL, { onMessage: wakeFollowers, onReady: wakeFollowers });
      silences.start();
      announcements.start();
      decisions.start();
      receiver?.start();
    },
  };
}

/** What each outlet takes; the webhook comes last, since the first one takes what no other does. */
function routesOf({ routes, notify }: ServerParts["config"], notifiers: readonly Notifier[]): RoutedOutlet[] {
  const own = new Map(notify.map(({ url, routing }) => [url.name, routing]));
  return notifiers.map(({ outlet: name }) => ({
    name,
    routing: own.get(name) ?? (name === "webhook" ? routes.webhook : routes.slack),
    escalatesAfterMs: routes.escalation.find(({ outlet }) => outlet === name)?.afterMs ?? null,
  }));
}
