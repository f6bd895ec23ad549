/**
 * What the leader of an outlet does, turn by turn: it decides about rows that are behind, posts the next message, else edits the
 * next one, and sees to what time alone changes (storms that end, rows that are over). It is woken by changes of incidents and by
 * its own success, and rests until the next time that a row names. Everything it needs to know stands in rows.
 */
import type { Sql } from "postgres";
import type { IncidentWriter, Muter } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Daily } from "../lib/hours.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { createDecider } from "./decide.ts";
import { createDelivery, createEditor } from "./delivery.ts";
import { createDigest } from "./digest-store.ts";
import type { Notifier } from "./model.ts";
import { createOutletStore, type OutletStore } from "./outlet-store.ts";
import { createLookPacer, createPacer, type Pacer } from "./pacer.ts";
import { createReminders, type RemindOptions } from "./remind-store.ts";
import type { AnnouncementMetrics } from "./service.ts";
import { endStorms, stormEndsInS } from "./storm-store.ts";
import type { Views } from "./view-store.ts";

/** The guarantee, where nobody wakes it. */
const LOOK_INTERVAL_MS = 30_000;
const CLOSE_INTERVAL_MS = 60_000;
/** How exactly it is known when something is to be said again. */
const REMIND_INTERVAL_MS = 60_000;
/** A call may take 15 s. */
const TURN_LIMIT_MS = 30_000;
/** Calls are given this long at a stop. */
const STOP_LIMIT_MS = 5_000;

export interface OutletDeps {
  notifier: Notifier;
  sql: Sql;
  /** What withholds messages, in the order in which they are asked. */
  muters: readonly Muter[];
  writer: Pick<IncidentWriter, "note">;
  /** So long nobody has acknowledged what is told here; not said where people are told at once. */
  escalatesAfterMs?: number | null;
  /** Null, or not said: nothing is said again. */
  remind?: RemindOptions | null;
  /** When the daily digest is said here; null, or not said, where none is. */
  digest?: Daily | null;
  views: Views;
  loops: Loops;
  clock: Clock;
  log: Log;
  metrics: AnnouncementMetrics;
  /** Hears of each incident whose message was posted by a call that began at `startMs`; never rejects. */
  posted?: (incidentId: number, outlet: string, startMs: number) => Promise<void>;
}

/** An outlet, as the node that leads it looks after it. Its pace holds over all leads of this node. */
export function createOutlet(deps: OutletDeps) {
  const { notifier, loops, clock } = deps;
  const pacer = createPacer(clock, notifier.intervalMs);
  let loop: Loop | undefined;
  return {
    name: notifier.outlet,
    /** Leads by this number, until `lost` (do nothing more) or `stopping` (finish what is under way) aborts. */
    async lead(lead: number, lost: AbortSignal, stopping: AbortSignal) {
      const cut = new AbortController();
      const ended = new AbortController();
      loop = loops.start({
        name: `outlet ${notifier.outlet}`,
        everyMs: LOOK_INTERVAL_MS,
        turnLimitMs: TURN_LIMIT_MS,
        failed: "an outlet could not be looked after",
        turn: createTurn({ ...deps, pacer, lead, signal: AbortSignal.any([lost, cut.signal]) }),
      });
      await aborted(AbortSignal.any([lost, stopping]));
      const cutting = clock.sleep(STOP_LIMIT_MS, ended.signal).then(() => cut.abort());
      await loop.stop();
      ended.abort();
      await cutting;
    },
    /** Something may be due. */
    wake: () => loop?.wake(),
  };
}

interface TurnDeps extends OutletDeps {
  pacer: Pacer;
  lead: number;
  /** Calls end with it. */
  signal: AbortSignal;
}

/** One turn of a lead; resolves with the milliseconds until the next. */
function createTurn(deps: TurnDeps): (stopping: AbortSignal) => Promise<number> {
  const { notifier, sql, writer, pacer, lead, signal, clock, log } = deps;
  const { outlet } = notifier;
  const store = createOutletStore(sql, { outlet, lead, writer });
  const late = (error: unknown) => log.debug({ outlet, error: errorMessage(error) }, "an outlet answered late");
  const decider = createDecider({ ...deps, outlet, store });
  const delivery = createDelivery({ ...deps, store, late });
  const editor = createEditor({ ...deps, store, late });
  const looks = createLookPacer(clock);
  let isNew = true;
  /** Rows may say that they are being sent although nobody sends them. */
  let isInDoubt = true;
  /** There was something to post or edit, and there may be more. */
  let isBusy = false;
  const sayDue = createSayings(deps, store);
  let closeAtMs = 0;
  let stormEndsAtMs = 0;

  async function clearDoubt(): Promise<void> {
    const orphans = await store.adoptOrphans();
    if (isNew) await store.doubtRecent();
    [isNew, isInDoubt] = [false, false];
    if (orphans > 0) log.warn({ outlet, messages: orphans }, "messages were being sent when their sender ended");
  }

  /** What time alone changes. */
  async function tidyUp(): Promise<void> {
    const nowMs = clock.monotonicMs();
    if (nowMs >= stormEndsAtMs) await endStorms(sql, outlet);
    await sayDue.say(nowMs);
    if (nowMs < closeAtMs) return;
    await store.close();
    closeAtMs = nowMs + CLOSE_INTERVAL_MS;
  }

  /** True when there is more to decide. */
  async function look(stopping: AbortSignal): Promise<boolean> {
    if (isInDoubt) await clearDoubt();
    const hasMore = await decider.decideDue(stopping);
    await tidyUp();
    return hasMore;
  }

  async function step(): Promise<boolean> {
    const row = await store.nextDue();
    if (row === undefined) return editor.editNext(signal);
    await delivery.deliver(row, signal);
    return true;
  }

  async function restMs(): Promise<number> {
    const [dueInS, stormInS] = [await store.nextDueInS(), await stormEndsInS(sql, outlet)];
    const inMs = (seconds: number | null) => (seconds === null ? LOOK_INTERVAL_MS : Math.max(0, seconds * 1_000));
    stormEndsAtMs = clock.monotonicMs() + inMs(stormInS);
    return Math.min(
      inMs(dueInS),
      inMs(stormInS),
      Math.max(0, Math.min(closeAtMs, sayDue.atMs()) - clock.monotonicMs()),
    );
  }

  async function turn(stopping: AbortSignal): Promise<number> {
    const mayLook = looks.waitMs() === 0;
    if (!mayLook && !isBusy) return looks.waitMs();
    const startMs = clock.monotonicMs();
    const hasMore = mayLook && (await look(stopping));
    isBusy = pacer.waitMs() > 0 || (await step());
    if (hasMore) return 0;
    const waitMs = isBusy ? pacer.waitMs() : await restMs();
    if (!mayLook) return Math.min(waitMs, looks.waitMs());
    looks.spent(isBusy ? 0 : clock.monotonicMs() - startMs);
    return waitMs;
  }

  return async (stopping) => {
    try {
      return await turn(stopping);
    } catch (error) {
      isInDoubt = true;
      throw error;
    }
  };
}

/** What is said because time passed: reminders, and the digest. */
function createSayings({ sql, notifier, remind, digest }: OutletDeps, store: OutletStore) {
  const { outlet } = notifier;
  const reminders = remind ? createReminders({ ...remind, sql, store, notifier }) : null;
  const daily = digest ? createDigest({ sql, store, outlet, daily: digest }) : null;
  const remindIntervalMs = Math.min(REMIND_INTERVAL_MS, remind?.everyMs ?? REMIND_INTERVAL_MS);
  let remindAtMs = reminders ? 0 : Number.POSITIVE_INFINITY;
  let digestAtMs = daily ? 0 : Number.POSITIVE_INFINITY;
  return {
    async say(nowMs: number): Promise<void> {
      if (reminders && nowMs >= remindAtMs) {
        await reminders.sayDue();
        remindAtMs = nowMs + remindIntervalMs;
      }
      if (daily && nowMs >= digestAtMs) digestAtMs = nowMs + (await daily.sayDue());
    },
    /** When there may be something to say next. */
    atMs: () => Math.min(remindAtMs, digestAtMs),
  };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
