import type { TransactionSql } from "postgres";
import type { Registry } from "prom-client";
import { createAnalysisMetrics } from "../analysis/metrics.ts";
import { redact } from "../analysis/redact.ts";
import { createAnalysis } from "../analysis/service.ts";
import { createAnalysisStore } from "../analysis/store.ts";
import { ANNOUNCEMENTS_CHANNEL, createAnnouncements } from "../announcements/service.ts";
import type { CommandService } from "../commands/model.ts";
import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import type { Notifications } from "../db/notifications.ts";
import { notifyAll } from "../db/notify-store.ts";
import { createDecisions } from "../decisions/service.ts";
import { createDecisionStore } from "../decisions/store.ts";
import { linkWithResolved } from "../incidents/link-store.ts";
import { createIncidentService, createStatusChange } from "../incidents/service.ts";
import { createIncidentStore } from "../incidents/store.ts";
import { createJobs } from "../jobs/jobs.ts";
import type { QueueName } from "../jobs/queues.ts";
import type { Cleanups } from "../lib/cleanups.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { createPipeline } from "../pipeline.ts";
import { createSilences } from "../silences/service.ts";
import { createSilenceStore } from "../silences/store.ts";
import { createSlack } from "../slack/slack.ts";
import { createWebhookNotifier } from "../webhook/notifier.ts";

export interface IncidentWorkDeps {
  config: Config;
  database: Database;
  notifications: Notifications;
  commands: CommandService;
  /** Whether ingest is behind. */
  isBusy: () => boolean;
  registry: Registry;
  cleanups: Cleanups;
  clock: Clock;
  log: Log;
}

/**
 * All that follows once an incident is a row: it is explained, announced, decided and verified. Made here in the order in which
 * one needs the other; what is started is stopped by the cleanups.
 */
export function createIncidentWork(deps: IncidentWorkDeps) {
  const { config, database, notifications, registry, cleanups, clock, log } = deps;
  const { sql } = database;
  const redacted = (text: string) => redact(text);
  const jobs = createJobs({ database, log });
  const announceLater = (tx: TransactionSql, ids: readonly number[]) =>
    jobs.sendAll(tx, "incidents.announce", [{ ids: [...ids] }]);
  const wakeOutlets = (query: Parameters<typeof notifyAll>[0]) => notifyAll(query, ANNOUNCEMENTS_CHANNEL, "");

  const silenceStore = createSilenceStore(sql);
  const silences = createSilences({ sql, store: silenceStore, announce: announceLater, clock, log });
  cleanups.add("silences", silences.stop);

  const analysisMetrics = createAnalysisMetrics(registry);
  const analysisStore = createAnalysisStore(sql);
  const analysis = createAnalysis({
    store: analysisStore,
    sql,
    options: config.ai,
    publicUrl: config.publicUrl,
    sendAsk: (query, questions, delaySeconds) => jobs.sendAll(query, "incidents.ask", questions, delaySeconds),
    explained: async (tx, ids) => {
      await linkWithResolved(tx, ids);
      await announceLater(tx, ids);
    },
    isBusy: deps.isBusy,
    clock,
    log,
    metrics: analysisMetrics,
  });

  const slack = createSlack({ settings: config.slack, redact: redacted, clock, log });
  const webhook = config.webhook && createWebhookNotifier({ ...config.webhook, redact: redacted, clock });
  const announcements = createAnnouncements({
    sql,
    createSession: database.createSession,
    notifiers: [slack.notifier, webhook].filter((one) => one !== null),
    silences,
    notify: wakeOutlets,
    publicUrl: config.publicUrl,
    registry,
    clock,
    log,
  });
  cleanups.add("announcements", announcements.stop);

  const incidents = { store: createIncidentStore(database.orm, sql), decided: silences.decided };
  const decisions = createDecisions({
    sql,
    store: createDecisionStore(sql),
    commands: deps.commands,
    silences,
    announcements,
    changeStatus: createStatusChange(incidents),
    notify: wakeOutlets,
    send: (tx, queue, ids) =>
      jobs.sendAll(
        tx,
        queue,
        ids.map((id) => ({ id })),
      ),
    clock,
    log,
  });
  const receiver = slack.receiver({ announcements, decisions, sql });
  cleanups.add("Slack", async () => receiver?.stop());

  async function gaveUp(queue: QueueName, ids: readonly number[]): Promise<void> {
    analysisMetrics.gaveUp.inc({ queue });
    log.error({ queue, incidents: ids }, "a step was given up after its last try");
    for (const id of ids) await analysisStore.note(id, "given_up", "system", { step: queue });
    // People are told of what could not be explained, too.
    if (queue === "incidents.explain") await sql.begin((tx) => announceLater(tx, ids));
  }

  const pipeline = createPipeline({
    jobs,
    explain: analysis.explain,
    ask: analysis.ask,
    askDeadlineS: Math.ceil(config.ai.timeoutMs / 1000),
    announce: announcements.decide,
    decisions,
    gaveUp,
  });
  cleanups.add("pipeline", pipeline.stop);
  cleanups.add("decisions", decisions.stop);

  return {
    analysis: analysis.service,
    incidents: createIncidentService(incidents),
    decisions,
    silences,
    slackCallback: receiver?.callback ?? null,
    deletions: [analysisStore.deleteOld, silenceStore.deleteOld, decisions.deleteOld, announcements.deleteOld],
    /** What follows from incidents that opened, in the transaction that opened them. */
    opened: (tx: TransactionSql, ids: readonly number[]) => jobs.sendAll(tx, "incidents.explain", [{ ids: [...ids] }]),
    /** Makes the queues, and begins to work. */
    async start(): Promise<void> {
      await pipeline.start();
      notifications.listen(ANNOUNCEMENTS_CHANNEL, { onMessage: announcements.wake, onReady: announcements.wake });
      silences.start();
      announcements.start();
      decisions.start();
      receiver?.start();
    },
  };
}
