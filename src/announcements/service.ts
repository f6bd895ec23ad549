import type { Sql, TransactionSql } from "postgres";
import type { Registry } from "prom-client";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import type { SilenceService } from "../silences/model.ts";
import { createDecider } from "./decide.ts";
import { createDecideStore } from "./decide-store.ts";
import { createDelivery, type Delivery } from "./delivery.ts";
import { createDeliveryStore } from "./delivery-store.ts";
import { type LeaderDeps, startLeader } from "./leader.ts";
import { type Backlog, createAnnouncementMetrics } from "./metrics.ts";
import type { AnnouncementService, Notifier } from "./model.ts";
import { createStormStore } from "./storm-store.ts";
import { createSweepStore } from "./sweep-store.ts";
import { createViews } from "./view.ts";
import { createViewStore } from "./view-store.ts";

/** The channel on which whoever leads an outlet is woken; its messages say nothing. */
export const ANNOUNCEMENTS_CHANNEL = "opspilot_announcements";

const SWEEP_INTERVAL_MS = 5_000;

export interface AnnouncementDeps {
  sql: Sql;
  createSession: LeaderDeps["createSession"];
  /** What is set up; may be empty: then causes are told from consequences, and nobody is told. */
  notifiers: readonly Notifier[];
  silences: Pick<SilenceService, "match">;
  /** NOTIFY on ANNOUNCEMENTS_CHANNEL, at the commit of `sql`'s transaction. */
  notify: (sql: Sql | TransactionSql) => Promise<void>;
  publicUrl: string | null;
  registry: Registry;
  clock: Clock;
  log: Log;
}

/** Announcements, and what the composition root does with them. */
export interface Announcements extends AnnouncementService {
  /** The pipeline's step: whether, and how, people are told of these. Bears a second run. */
  decide(ids: readonly number[]): Promise<void>;
  /** Something is due, here or on another node. */
  wake(): void;
  /** What only time changes: consequences that outlive their cause, storms that end, messages that are over. */
  sweep(): Promise<void>;
  deleteOld(retentionMs: number): Promise<number>;
  start(): void;
  stop(): Promise<void>;
}

/** Makes the announcements of this node. */
export function createAnnouncements(deps: AnnouncementDeps): Announcements {
  const { sql, notifiers, clock, log } = deps;
  const outlets = notifiers.map((one) => one.outlet);
  const store = createDeliveryStore(sql);
  const deciding = createDecideStore(sql);
  const storms = createStormStore();
  const sweeps = createSweepStore(sql);
  const metrics = createAnnouncementMetrics(deps.registry, backlog);
  const views = createViews({ store: createViewStore(sql), publicUrl: deps.publicUrl });
  const deliveries = notifiers.map((notifier) => ({
    outlet: notifier.outlet,
    delivery: createDelivery({ notifier, store, views, clock, log, metrics }),
  }));
  const running: Running[] = [];

  /** The other figures are wanted all the more while the database is away. */
  async function backlog(): Promise<readonly Backlog[]> {
    try {
      return await sweeps.backlog(outlets);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "waiting messages could not be counted");
      return [];
    }
  }

  const reply: AnnouncementService["reply"] = async (query, incidentId, subject, said) => {
    const threaded = notifiers.filter((one) => one.reply !== null).map((one) => one.outlet);
    await store.addReply(query, incidentId, subject, said, threaded);
    await deps.notify(query);
  };
  const decider = createDecider({
    store: deciding,
    storms,
    outlets,
    silenced: (tx, incidents) => deps.silences.match(tx, incidents),
    reply,
    notify: deps.notify,
  });

  async function sweep(): Promise<void> {
    await deciding.alone(async (tx) => {
      await storms.endOver(tx);
      const leftOver = await sweeps.findLeftOver(tx);
      if (leftOver.size > 0) await decider.tellWithheld(tx, leftOver);
    });
    const silent = notifiers.filter((one) => !one.edits).map((one) => one.outlet);
    if (silent.length > 0 && (await sweeps.addEnds(silent)) > 0) await deps.notify(sql);
    await sweeps.close();
  }

  function lead({ outlet, delivery }: { outlet: string; delivery: Delivery }): Running {
    return startLeader({ outlet, createSession: deps.createSession, lead: delivery.lead, clock, log });
  }

  return {
    reply,
    incidentOf: store.incidentOf,
    isBeingSaid: store.isBeingSaid,
    decide: decider.decide,
    wake() {
      for (const { delivery } of deliveries) delivery.wake();
    },
    sweep,
    deleteOld: sweeps.deleteOld,
    start() {
      if (running.length > 0) return;
      const failed = (error: unknown) =>
        log.warn({ error: errorMessage(error) }, "announcements could not be looked after");
      running.push(repeat(clock, SWEEP_INTERVAL_MS, sweep, failed), ...deliveries.map(lead));
    },
    async stop() {
      await Promise.all(running.splice(0).map((task) => task.stop()));
    },
  };
}
