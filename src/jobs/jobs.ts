/**
 * Durable work, by pg-boss: a job is a row, sent within the transaction that makes it necessary, and run at least once.
 *
 * A job that fails is tried again with back-off and jitter; one whose process dies is noticed within seconds, since its
 * heartbeat ends, and given to another worker. What fails to the end is moved to the queue's dead letters and handed to
 * `gaveUp`, which must tell an operator. LISTEN/NOTIFY starts a job within milliseconds. Whatever nobody is notified of (a
 * job that is due later, one of a dead process, a NOTIFY that was missed) is found by one look at all queues, which comes
 * at the time that the look before it named: pg-boss's own timers, which ask for each queue alone, hardly run.
 */
import { type Db, type Job, type JobResult, PgBoss } from "pg-boss";
import type { Sql, TransactionSql } from "postgres";
import { ANSWER_LIMITS_MS, type Database, type PoolLoad, passwordOf, serverLimits } from "../db/client.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { executeSql, findDue, findLeftOver, type JobTables, lockRetiredQueues } from "./job-store.ts";

/** pg-boss has a pool of its own driver; our own SQL does not go over it. */
const CONNECTIONS_MAX = 4;
/**
 * While there are jobs one connection is kept at hand: to make one takes longer than to start a job. It is made anew each minute: the first
 * has seen all tables come to be, and keeps 10 MiB of what it knows of them.
 */
const POOL = { min: 1, maxLifetimeSeconds: 60 };
/** A dead process's jobs are found this fast: its heartbeats stop. */
const HEARTBEAT_SECONDS = 10;
/** Longest rest between two looks: as long as a heartbeat, so that a job that starts is seen before it can be lost. */
const LOOK_MS = 10_000;
/** While no other node has jobs: this one looks after what it sends by itself. */
const LONELY_LOOK_MS = 30_000;
/** While there are jobs, or just have been sent: one that is running may fail and be due again, and a NOTIFY may be missed. */
const BUSY_LOOK_MS = 1_000;
/** Deletes old jobs, and warns of what an operator should know. */
const UPKEEP_MS = 3_600_000;
/** It rebuilds indexes, too. */
const UPKEEP_LIMIT_MS = 600_000;
/** What pg-boss would do by itself is done by the looks. */
const RARELY_SECONDS = 3_600;
/** Whether notifications come at all; one that did not is found by a look. */
const LISTEN_CHECK_MS = 60_000;
/** Above the step's own deadline, which comes first. */
const EXPIRE_GRACE_SECONDS = 10;
const RETRY_DELAY_SECONDS = 1;
const RETRY_DELAY_SECONDS_MAX = 60;
/**
 * What was given up is told whatever happens: a process that dies counts as a try, and may die as often as it likes. Handing over
 * is short, so that one of a dead process is found as soon as any other.
 */
const HANDING_OVER = {
  notify: true,
  retryLimit: 1_000_000,
  // A bound of the back-off would not be kept: pg-boss copies it to no dead letter.
  retryDelay: 5,
  retryBackoff: false,
  expireInSeconds: 60,
  heartbeatSeconds: HEARTBEAT_SECONDS,
} as const;
/** Where LISTEN could not be begun. */
const POLL_SECONDS = 1;
const STOP_MS = 15_000;
/** pg-boss looks every two seconds whether it is to tell anybody what is under way, which nobody asks; its heartbeats come every five. */
const NEEDED_INTERVAL_MS_MIN = 5_000;
const PATIENT_CLOCK = {
  now: () => Date.now(),
  setTimeout: (turn: () => void, ms: number) => setTimeout(turn, ms),
  clearTimeout: (timer: Timer) => clearTimeout(timer),
  setInterval: (turn: () => void, ms: number) =>
    setInterval(turn, ms < NEEDED_INTERVAL_MS_MIN ? RARELY_SECONDS * 1_000 : ms),
  clearInterval: (timer: Timer) => clearInterval(timer),
};

/** A queue and what is done with its jobs. */
export interface Worker<Q extends QueueName> {
  queue: Q;
  limits: QueueLimits;
  /** Must bear a second run. Throwing means: try again. */
  run: (payload: JobPayloads[Q], signal: AbortSignal) => Promise<void>;
  /** The last try failed. */
  gaveUp: (payload: JobPayloads[Q]) => Promise<void>;
}

/** Where the jobs lie: their driver needs sessions. */
type JobsDatabase = Pick<Database, "sessionTarget" | "createSocket" | "layout">;

interface JobsDeps {
  database: JobsDatabase & Pick<Database, "sql">;
  loops: Loops;
  clock: Pick<Clock, "monotonicMs">;
  log: Log;
  /** Whether no other node works on the same jobs. */
  isAlone: () => boolean;
}

/** Makes the connection to the jobs; nothing happens before `start`. */
export function createJobs({ database, loops, clock, log, isAlone }: JobsDeps) {
  const boss = new PgBoss({
    ...connectionOptions(database),
    ...POOL,
    clock: PATIENT_CLOCK,
    useListenNotify: true,
    schedule: false,
    supervise: false,
    registerInstance: false,
    // Else a queue is looked at once a minute only, however often somebody asks for it.
    monitorIntervalSeconds: 1,
    queueCacheIntervalSeconds: RARELY_SECONDS,
    bamIntervalSeconds: RARELY_SECONDS,
    notifyHeartbeatIntervalMs: LISTEN_CHECK_MS,
  });
  boss.on("error", (error: Error & { queue?: string }) =>
    log.warn({ error: errorMessage(error), queue: error.queue }, "jobs are held up"),
  );
  boss.on("warning", (warning) => log.debug({ warning }, "a warning about jobs"));
  const workers = new Map<string, string[]>();
  let running: { looks: Loop; upkeep: Loop } | undefined;
  let sentAtMs = Number.NEGATIVE_INFINITY;

  async function prepare({ queue, limits }: Worker<QueueName>): Promise<void> {
    const options = {
      notify: true,
      retryLimit: limits.retries,
      retryDelay: RETRY_DELAY_SECONDS,
      retryBackoff: true,
      retryDelayMax: RETRY_DELAY_SECONDS_MAX,
      expireInSeconds: limits.deadlineS + EXPIRE_GRACE_SECONDS,
      heartbeatSeconds: HEARTBEAT_SECONDS,
      deadLetter: deadLettersOf(queue),
    };
    await boss.createQueue(deadLettersOf(queue), HANDING_OVER);
    // Former versions made it with other limits.
    await boss.updateQueue(deadLettersOf(queue), HANDING_OVER);
    await boss.createQueue(queue, options);
  }

  async function work<Q extends QueueName>(worker: Worker<Q>): Promise<void> {
    const polling = { pollingIntervalSeconds: POLL_SECONDS, notifyPollingIntervalSeconds: RARELY_SECONDS };
    const { queue, limits } = worker;
    const deadLetters = deadLettersOf(queue);
    const options = { ...polling, batchSize: limits.batch, burstWhenBatchFull: true, perJobResults: true } as const;
    const ids: string[] = [];
    for (let n = 0; n < (limits.workers ?? 1); n++) {
      const id = await boss.work<JobPayloads[Q]>(queue, options, async (jobs) => {
        const results: JobResult[] = [];
        for (const job of jobs) results.push(await settle(worker, job));
        return results;
      });
      ids.push(id);
    }
    const deadId = await boss.work<JobPayloads[Q]>(deadLetters, polling, async (jobs) => {
      for (const job of jobs) await worker.gaveUp(job.data);
    });
    workers.set(queue, ids).set(deadLetters, [deadId]);
  }

  /** Wakes who has something to do, and gives what a dead process left to others. */
  async function look(): Promise<number | undefined> {
    const queues = await findDue(database, [...workers.keys()]);
    const due = queues.filter(({ dueMs }) => dueMs !== null && dueMs <= 0);
    for (const id of due.flatMap(({ queue }) => workers.get(queue) ?? [])) boss.notifyWorker(id);
    if (queues.some(({ lostMs }) => lostMs !== null && lostMs <= 0)) await boss.supervise();
    const isBusy = clock.monotonicMs() - sentAtMs < LOOK_MS || queues.some(({ lostMs }) => lostMs !== null);
    const restMs = isBusy ? BUSY_LOOK_MS : isAlone() ? LONELY_LOOK_MS : LOOK_MS;
    return Math.min(
      restMs,
      ...queues.map(({ dueMs }) => (dueMs === null || dueMs > 0 ? (dueMs ?? restMs) : BUSY_LOOK_MS)),
    );
  }

  function startLooking() {
    const looks = loops.start({
      name: "jobs",
      turn: look,
      everyMs: LONELY_LOOK_MS,
      restMs: BUSY_LOOK_MS,
      failed: "jobs could not be looked after",
    });
    const upkeep = loops.start({
      name: "jobs' upkeep",
      turn: async () => void (await boss.supervise()),
      everyMs: UPKEEP_MS,
      turnLimitMs: UPKEEP_LIMIT_MS,
      failed: "old jobs could not be deleted",
    });
    return { looks, upkeep };
  }

  /** One job's failure is its own, not its batch's. */
  async function settle<Q extends QueueName>(worker: Worker<Q>, job: Job<JobPayloads[Q]>): Promise<JobResult> {
    try {
      await worker.run(job.data, job.signal);
      return { id: job.id, status: "completed" };
    } catch (error) {
      log.warn({ error: errorMessage(error), queue: worker.queue, job: job.id }, "a job failed");
      running?.looks.wake();
      return { id: job.id, status: "failed", output: { message: errorMessage(error) } };
    }
  }

  return {
    /** Sends jobs when the transaction of `sql` commits; they start once `delaySeconds` have passed. */
    async sendAll<Q extends QueueName>(
      sql: Sql | TransactionSql,
      queue: Q,
      payloads: readonly JobPayloads[Q][],
      delaySeconds = 0,
    ): Promise<void> {
      if (payloads.length === 0) return;
      const db = { executeSql: (text: string, values?: unknown[]) => executeSql(sql, text, values) };
      const when = delaySeconds > 0 ? { startAfter: delaySeconds } : {};
      const jobs = payloads.map((data) => ({ data, ...when }));
      await boss.insert(queue, jobs, { db });
      // Seen once the transaction is committed, which is soon.
      sentAtMs = clock.monotonicMs();
      running?.looks.wake();
    },
    /** Jobs that wait, run, or failed to the end. */
    async counts(queue: QueueName) {
      const [stats] = await boss.getQueueStats(queue, { force: true });
      const [dead] = await boss.getQueueStats(deadLettersOf(queue), { force: true });
      return { waiting: stats?.queuedCount ?? 0, active: stats?.activeCount ?? 0, failed: dead?.totalCount ?? 0 };
    },
    /** Connections of the jobs' own driver; null before the start and after the stop. */
    load(): PoolLoad | null {
      const pool = (boss.getDb() as DriverOfJobs).poolCounts();
      return pool && { open: pool.total, busy: pool.total - pool.idle, waiting: pool.waiting };
    },
    /** Makes tables and queues, hands on what queues of former versions still hold, and begins to work. */
    async start(steps: readonly Worker<QueueName>[], announce: Announce): Promise<void> {
      await boss.start();
      await clearRetiredQueues(boss, database, announce);
      for (const step of steps) await prepare(step);
      for (const step of steps) await work(step);
      running = startLooking();
    },
    /** Takes no more jobs and waits for those that run; safe to call twice. */
    async stop(): Promise<void> {
      const { looks, upkeep } = running ?? {};
      running = undefined;
      await Promise.all([looks?.stop(), upkeep?.stop(), boss.stop({ graceful: true, timeout: STOP_MS })]);
    },
  };
}

export type Jobs = ReturnType<typeof createJobs>;
/** Makes the jobs' tables, or brings them up to date, as `start` does. */
export async function migrateJobs(database: JobsDatabase, log: Log): Promise<void> {
  const boss = new PgBoss({
    ...connectionOptions(database),
    supervise: false,
    schedule: false,
    registerInstance: false,
  });
  boss.on("error", (error) => log.warn({ error: errorMessage(error) }, "the jobs' tables are held up"));
  await boss.start();
  await boss.stop({ graceful: false });
}

/** Whether the driver of the jobs gets on with a database: rejects with why not. Nothing is changed there. */
export async function tryJobsDriver(database: JobsDatabase): Promise<void> {
  const driver = new PgBoss(connectionOptions(database)).getDb() as DriverOfJobs;
  await driver.open();
  try {
    await driver.executeSql("select 1");
  } finally {
    await driver.close();
  }
}

/** What pg-boss makes of its options; it opens and closes it by itself only when it starts to work. */
type DriverOfJobs = Db & {
  open(): Promise<void>;
  close(): Promise<void>;
  poolCounts(): Record<"total" | "idle" | "waiting", number> | null;
};

function connectionOptions({ sessionTarget: target, createSocket, layout }: JobsDatabase) {
  const { host, port, user, database, tls: ssl } = target;
  return {
    schema: `"${layout.jobs}"`,
    createSchema: layout.jobs !== layout.tables,
    ...serverLimits(target),
    connectionTimeoutMillis: ANSWER_LIMITS_MS.connect,
    query_timeout: ANSWER_LIMITS_MS.statement,
    stream: createSocket,
    ...{ host, port, user, password: passwordOf(target), database, ssl },
    max: CONNECTIONS_MAX,
    application_name: "opspilot jobs",
  };
}

function deadLettersOf(queue: QueueName): string {
  return `${queue}.dead`;
}

/** What each queue's jobs carry: ids only, so that a job is as good as the rows it speaks of. */
interface JobPayloads {
  /** A batch of incidents that have just been opened. */
  "incidents.explain": { ids: number[] };
  /** One incident that a model is asked about. */
  "incidents.ask": { id: number; actor: string | null };
  /** One investigation. */
  "incidents.investigate": { id: string };
}
export type QueueName = keyof JobPayloads;
/** All of them. */
export const QUEUES: readonly QueueName[] = ["incidents.explain", "incidents.ask", "incidents.investigate"];

/** How a queue's jobs are run. */
interface QueueLimits {
  /** Jobs that are fetched together, and run one after the other. While as many come, the next are fetched without a wait. */
  batch: number;
  /** Who fetch and run jobs beside each other, one if it is not said: what takes long in one holds up no other. */
  workers?: number;
  /** Longest run of one job, seconds: one that takes longer is taken to be stuck and is given to another worker. */
  deadlineS: number;
  /** Tries after the first one; with back-off and jitter between them. */
  retries: number;
}

/** What was decided in jobs once, and is decided for rows that are behind now. */
const ANNOUNCING = ["incidents.announce", "incidents.announce.dead"];
/** Their rows say when they are due. A queue stands before its dead letters, which it would keep from being deleted. */
const RETIRED = [...ANNOUNCING, "decisions.carry", "decisions.carry.dead", "decisions.verify", "decisions.verify.dead"];
/** Incidents of one transaction. */
const CHUNK = 1_000;

/** Of these incidents it is still to be decided who is told; must bear a second run. */
type Announce = (tx: TransactionSql, ids: readonly number[]) => Promise<void>;

/**
 * Deletes the queues of former versions, which would stay for ever. What they had not done is handed on first, so that a crash in
 * between hands it on again. Nothing but a look when they are gone; several nodes may do so at once. `boss` is started.
 */
export async function clearRetiredQueues(boss: PgBoss, database: JobTables, announce: Announce): Promise<void> {
  if ((await boss.getQueues(RETIRED)).length === 0) return;
  const ids = await findLeftOver(database, ANNOUNCING);
  for (let at = 0; at < ids.length; at += CHUNK)
    await database.sql.begin((tx) => announce(tx, ids.slice(at, at + CHUNK)));
  await database.sql.begin(async (tx) => {
    await lockRetiredQueues(tx);
    const left = new Set((await boss.getQueues(RETIRED)).map(({ name }) => name));
    for (const name of RETIRED.filter((one) => left.has(one))) await boss.deleteQueue(name);
  });
}
