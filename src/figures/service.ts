/**
 * What hosts measure, kept to be looked at: by minutes for three hours, by five minutes for a day, by hours for RETENTION, and by
 * minutes around each incident for as long as it lives. A heartbeat's figures are taken for those of the moment in which it
 * came, by a clock that nobody sets, whatever the host says of the time. They wait in memory until their minute is over, and are
 * written once with all others of that minute; once an hour minutes are rolled up and forgotten. Where nothing was heard there is
 * no row: gaps stay gaps.
 */
import type { Sql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { type Loop, type Loops, untilSharedTurn } from "../lib/loops.ts";
import { createFigureBuffer, type Minute } from "./buffer.ts";
import type { FigureIntake } from "./model.ts";
import { createFigureReader } from "./reader.ts";
import { statsOf, type Tally, tallyOf } from "./samples.ts";
import { createFigureStore, type FigureRow } from "./store.ts";
import { createUpkeepStore } from "./upkeep-store.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Hosts in one statement. */
const AGENTS_MAX = 1_000;
/** An hour that a late minute belongs to is rolled up again, so all of its minutes must be there yet. */
const AGE_MS_MAX = 2 * HOUR_MS;
/** After the hour, when its last minutes are surely written. */
const UPKEEP_MINUTE = 6;

interface FiguresDeps {
  sql: Sql;
  clock: Clock;
  loops: Loops;
  log: Log;
  retentionMs: number;
}

/** Keeps figures, and shows them. */
export function createFigures({ sql, clock, loops, log, retentionMs }: FiguresDeps) {
  const store = createFigureStore(sql);
  const upkeepStore = createUpkeepStore(sql);
  const buffer = createFigureBuffer();
  /** The database's clock less the monotonic one, as near as it is known. */
  let offsetMs = clock.now() - clock.monotonicMs();
  const running: Loop[] = [];
  /** Minutes of hosts that waited for too long: since that was told last, and before. */
  let lost = 0;
  let told = 0;

  function present(): number {
    return Math.floor((clock.monotonicMs() + offsetMs) / MINUTE_MS);
  }

  const heard: FigureIntake["heard"] = (agentId, metrics) => {
    const tally = metrics && tallyOf(metrics);
    if (!tally || tally.names.length === 0) return;
    const key = present();
    buffer.add(key, (key + 0.5) * MINUTE_MS - offsetMs, agentId, tally);
  };

  /** Writes what is over; milliseconds until the present minute is. Nothing to write is nothing to ask. */
  async function write(): Promise<number | undefined> {
    await writeAll(present());
    if (buffer.isEmpty()) return undefined;
    const nowMs = clock.monotonicMs();
    return untilSharedTurn(nowMs, (present() + 1) * MINUTE_MS - offsetMs - nowMs);
  }

  /** Writes all minutes but the one that is not over; those that cannot be written wait on. */
  async function writeAll(unfinished: number | undefined): Promise<void> {
    const waiting = buffer.take(unfinished);
    try {
      for (const [, minute] of waiting) await writeMinute(minute);
    } finally {
      for (const [key, { middleMs, byAgent }] of waiting)
        for (const [agentId, tally] of byAgent) buffer.add(key, middleMs, agentId, tally);
      tellLost();
    }
  }

  /** What is written is taken out, so that after a failure only the rest is written again. */
  async function writeMinute({ middleMs, byAgent }: Minute): Promise<void> {
    while (byAgent.size > 0) {
      const sentMs = clock.monotonicMs();
      if (sentMs - middleMs > AGE_MS_MAX) return letGo(byAgent);
      const some = [...byAgent].slice(0, AGENTS_MAX);
      const nowMs = await store.write(sentMs - middleMs, some.map(rowOf));
      offsetMs = nowMs - sentMs;
      for (const [agentId] of some) byAgent.delete(agentId);
    }
  }

  function letGo(byAgent: Map<string, Tally>): void {
    lost += byAgent.size;
    byAgent.clear();
  }

  function tellLost(): void {
    lost += buffer.takeLost();
    if (lost > 0) log.warn({ minutes: lost }, "hosts' figures could not be written for too long: the oldest are lost");
    told += lost;
    lost = 0;
  }

  /** Rolls up and forgets; milliseconds until the next hour is over. */
  async function keepUp(signal: AbortSignal): Promise<number> {
    while (!signal.aborted && (await upkeepStore.rollHour()));
    await upkeepStore.prune1m(signal);
    await upkeepStore.forgetAgents(signal, retentionMs);
    await upkeepStore.prune5m(signal);
    await upkeepStore.prune1h(signal, retentionMs);
    const { nowMinute } = await upkeepStore.progress();
    return minutesUntil(UPKEEP_MINUTE, nowMinute % 60) * MINUTE_MS;
  }

  return {
    heard,
    ...createFigureReader(store),
    /** Minutes of hosts that wait to be written, and those that were lost. */
    state: () => ({ waiting: buffer.size(), lost: told }),
    /** Forgets figures of incidents that are gone: to be called until it is 0, after they went. */
    deleteOld: upkeepStore.forgetIncidents,
    start(): void {
      if (running.length > 0) return;
      const writing = loops.start({
        name: "figures",
        everyMs: MINUTE_MS,
        restsFirst: true,
        failed: "figures of hosts could not be written, trying again",
        turn: write,
      });
      const upkeep = loops.start({
        name: "figures' upkeep",
        everyMs: 2 * HOUR_MS,
        turnLimitMs: HOUR_MS,
        failed: "figures of hosts could not be rolled up and forgotten, trying again",
        turn: keepUp,
      });
      running.push(writing, upkeep);
    },
    /** Writes all that was heard, the present minute, too: what comes after a restart is merged with it. */
    async stop(): Promise<void> {
      await Promise.all(running.splice(0).map((loop) => loop.stop()));
      await writeAll(undefined);
    },
  };
}

/** From one minute of an hour to the next time that it is the other: 1 to 60. */
function minutesUntil(wanted: number, minute: number): number {
  return ((wanted - minute + 59) % 60) + 1;
}

function rowOf([agentId, tally]: [string, Tally]): FigureRow {
  return { agentId, samples: tally.samples, names: tally.names, stats: statsOf(tally) };
}
