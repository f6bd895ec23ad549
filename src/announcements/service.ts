import type { Sql, TransactionSql } from "postgres";
import type { Registry } from "prom-client";
import type { IncidentWriter, Muter } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loops, Running } from "../lib/loops.ts";
import { type LeaderDeps, startLeader } from "./leader-store.ts";
import { type Backlog, createAnnouncementMetrics } from "./metrics.ts";
import type { AnnouncementService, Notifier } from "./model.ts";
import { createOutlet } from "./outlet.ts";
import { createAnnouncementStore } from "./store.ts";
import { createViewStore, createViews } from "./view-store.ts";

export interface AnnouncementDeps {
  sql: Sql;
  createSession: LeaderDeps["createSession"];
  /** What is set up; may be empty: then nobody is notified. */
  notifiers: readonly Notifier[];
  /** What withholds messages, in this order. */
  muters: readonly Muter[];
  writer: Pick<IncidentWriter, "note" | "wake">;
  publicUrl: string | null;
  registry: Registry;
  loops: Loops;
  clock: Clock;
  log: Log;
}

/** Makes the announcements of this node. */
export function createAnnouncements(deps: AnnouncementDeps) {
  const { sql, notifiers, createSession, clock, log } = deps;
  const names = notifiers.map((one) => one.outlet);
  const threaded = notifiers.filter((one) => one.reply !== null).map((one) => one.outlet);
  const store = createAnnouncementStore(sql);
  const metrics = createAnnouncementMetrics(deps.registry, backlog);
  const views = createViews({ store: createViewStore(sql), publicUrl: deps.publicUrl });
  const outlets = notifiers.map((notifier) => createOutlet({ ...deps, notifier, views, metrics }));
  const running: Running[] = [];

  /** The other figures are wanted all the more while the database is away. */
  async function backlog(): Promise<readonly Backlog[]> {
    try {
      return await store.backlog(names);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "waiting messages could not be counted");
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
      await store.addReply(query, incidentId, subject, said, threaded);
      await deps.writer.wake(query);
    },
    incidentOf: store.incidentOf,
    isInFlight: store.isInFlight,
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
