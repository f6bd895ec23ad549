import type { TransactionSql } from "postgres";
import { Counter, Gauge, type Registry } from "prom-client";
import type { FeedbackService } from "../feedback/model.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import { withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Running } from "../lib/loops.ts";
import { remember } from "../lib/remember.ts";
import { durationWords } from "../lib/units.ts";
import { type LeaderDeps, startLeader } from "./leader-store.ts";
import type { AnnouncementService, Notifier } from "./model.ts";
import { createOutlet, type OutletDeps } from "./outlet.ts";
import { digestOutlets, type RoutedOutlet } from "./routing.ts";
import { createAnnouncementStore } from "./store.ts";
import { createViewStore, createViews } from "./view-store.ts";

/** Both figures of one scrape are of one look. */
const BACKLOG_HOLDS_MS = 1_000;
/** A message that waits for longer is not late, but stuck. */
const STUCK_S = 300;
/** Prometheus gives a scrape up after 10 s. */
const BACKLOG_LIMIT_MS = 3_000;

interface AnnouncementDeps
  extends Pick<OutletDeps, "sql" | "muters" | "loops" | "clock" | "log" | "posted" | "remind" | "digest"> {
  createSession: LeaderDeps["createSession"];
  /** What is set up; may be empty: then nobody is notified. */
  notifiers: readonly Notifier[];
  /** What is sent to which of them; the muters keep to it. */
  routes?: readonly RoutedOutlet[];
  writer: Pick<IncidentWriter, "note" | "wake">;
  feedback: Pick<FeedbackService, "about">;
  publicUrl: string | null;
  /** Whether a model looks into incidents on request. */
  mayInvestigate?: boolean;
  /** Within which what comes again flaps. */
  groupWindowMs?: number;
  registry: Registry;
}

/** Makes the announcements of this node. */
export function createAnnouncements(deps: AnnouncementDeps) {
  const { sql, notifiers, createSession, clock, log, routes = [] } = deps;
  const names = notifiers.map((one) => one.outlet);
  const threaded = notifiers.filter((one) => one.reply !== null).map((one) => one.outlet);
  const store = createAnnouncementStore(sql);
  const metrics = createAnnouncementMetrics(deps.registry, remember(clock, BACKLOG_HOLDS_MS, backlog));
  const views = createViews({ store: createViewStore(sql), ...deps });
  const digests = digestOutlets(routes);
  const outlets = notifiers.map((notifier) => {
    const { outlet: name } = notifier;
    const escalatesAfterMs = routes.find((one) => one.name === name)?.escalatesAfterMs ?? null;
    const digest = digests.includes(name) ? (deps.digest ?? null) : null;
    return createOutlet({ ...deps, notifier, views, metrics, escalatesAfterMs, digest });
  });
  const running: Running[] = [];

  const uncounted = (error: unknown) =>
    log.debug({ error: errorMessage(error) }, "waiting messages could not be counted");

  /** The other figures are wanted all the more while the database is away. */
  async function backlog(): Promise<readonly Backlog[]> {
    try {
      return await withDeadline(store.backlog(names), BACKLOG_LIMIT_MS, "counting waiting messages", uncounted);
    } catch (error) {
      uncounted(error);
      return [];
    }
  }

  return {
    /** The pipeline's step: people may have to be notified of these. In the transaction that makes it so; bears a second run. */
    async expect(tx: TransactionSql, ids: readonly number[]) {
      await store.expect(tx, ids, names);
      await deps.writer.wake(tx);
    },
    async reply(query, incidentId, subject, said) {
      await store.addReply(query, { incidentId, subject, reply: said }, threaded);
      await deps.writer.wake(query);
    },
    async keepReply(query, incidentId, subject, said) {
      const names = notifiers.filter((one) => one.editReply !== undefined).map((one) => one.outlet);
      await store.keepReply(query, { incidentId, subject, reply: said }, names);
      await deps.writer.wake(query);
    },
    /** Why people may not be told, in words; null while messages come through. */
    async trouble(): Promise<string | null> {
      const stuck = (await store.backlog(names)).find(({ oldestS }) => oldestS > STUCK_S);
      if (stuck) return `a message waits for ${stuck.outlet} for ${durationWords(stuck.oldestS * 1_000)}`;
      const [broken] = await store.broken(names);
      return broken === undefined ? null : `${broken} refuses messages`;
    },
    incidentOf: store.incidentOf,
    isInFlight: store.isInFlight,
    followAgain: store.reopen,
    /** Incidents changed, here or on another node. */
    wake() {
      for (const outlet of outlets) outlet.wake();
    },
    deleteOld: store.deleteOld,
    start() {
      if (running.length > 0) return;
      for (const { name, lead } of outlets)
        running.push(startLeader({ outlet: name, sql, createSession, lead, clock, log }));
    },
    async stop() {
      await Promise.all(running.splice(0).map((task) => task.stop()));
    },
  } satisfies AnnouncementService & Record<string, unknown>;
}

export type Announcements = ReturnType<typeof createAnnouncements>;

/** What waits for an outlet, and for how long the oldest of it has. */
export interface Backlog {
  outlet: string;
  waiting: number;
  oldestS: number;
}

/** The figures of announcing. `backlog` is asked at each scrape; it answers nothing when it cannot know. */
export function createAnnouncementMetrics(registry: Registry, backlog: () => Promise<readonly Backlog[]>) {
  const registers = [registry];
  const gauge = (name: string, help: string, figure: (one: Backlog) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["outlet"],
      registers,
      async collect() {
        for (const one of await backlog()) this.set({ outlet: one.outlet }, figure(one));
      },
    });
  gauge("opspilot_announcements_waiting", "Messages that wait to be sent", (one) => one.waiting);
  gauge("opspilot_announcements_oldest_seconds", "Age of the oldest message that waits", (one) => one.oldestS);
  return {
    /** What came of each attempt: sent, adopted, edited, replied, later, unknown, failed, edit_later, edit_failed; decide_failed. */
    attempts: new Counter({
      name: "opspilot_announcements_total",
      help: "Messages that were posted or edited, or could not be, by outlet",
      labelNames: ["outlet", "outcome"],
      registers,
    }),
  };
}

export type AnnouncementMetrics = ReturnType<typeof createAnnouncementMetrics>;
