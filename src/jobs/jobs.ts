/**
 * Durable work, by pg-boss: a job is a row, sent within the transaction that makes it necessary, and run at least once.
 *
 * A job that fails is tried again with back-off and jitter; one whose process dies is noticed within seconds, since its
 * heartbeat ends, and given to another worker. What fails to the end is moved to the queue's dead letters and handed to
 * `gaveUp`, which must tell an operator. LISTEN/NOTIFY starts a job within milliseconds; polling is the guarantee.
 */
import { type Db, type Job, type JobResult, PgBoss } from "pg-boss";
import type { Sql, TransactionSql } from "postgres";
import { ANSWER_LIMITS_MS, type Database, serverLimits } from "../db/client.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { executeSql } from "./job-store.ts";
import type { JobPayloads, QueueLimits, QueueName } from "./queues.ts";

/** pg-boss has a pool of its own driver; our own SQL does not go over it. */
const CONNECTIONS_MAX = 4;
/** A dead process's jobs are found this fast: its heartbeats stop, and somebody looks. */
const HEARTBEAT_SECONDS = 10;
const SUPERVISE_SECONDS = 5;
/** Above the step's own deadline, which comes first. */
const EXPIRE_GRACE_SECONDS = 10;
const RETRY_DELAY_SECONDS = 1;
const RETRY_DELAY_SECONDS_MAX = 60;
/** Where NOTIFY does not come, and behind it where it does. */
const POLL_SECONDS = 1;
const BACKSTOP_POLL_SECONDS = 5;
const STOP_MS = 15_000;

/** A queue and what is done with its jobs. */
export interface Worker<Q extends QueueName> {
  queue: Q;
  limits: QueueLimits;
  /** Must bear a second run. Throwing means: try again. */
  run: (payload: JobPayloads[Q], signal: AbortSignal) => Promise<void>;
  /** The last try failed. */
  gaveUp: (payload: JobPayloads[Q]) => Promise<void>;
}

/** Sending jobs and running them. */
export interface Jobs {
  /** Sends jobs when the transaction of `sql` commits; they start once `delaySeconds` have passed. */
  sendAll<Q extends QueueName>(
    sql: Sql | TransactionSql,
    queue: Q,
    payloads: readonly JobPayloads[Q][],
    delaySeconds?: number,
  ): Promise<void>;
  /** Jobs that wait, run, or failed to the end. */
  counts(queue: QueueName): Promise<{ waiting: number; active: number; failed: number }>;
  /** Makes tables and queues, and begins to work. */
  start(workers: readonly Worker<QueueName>[]): Promise<void>;
  /** Takes no more jobs and waits for those that run; safe to call twice. */
  stop(): Promise<void>;
}

/** Where the jobs lie: their driver needs sessions. */
type JobsDatabase = Pick<Database, "sessionTarget" | "createSocket">;

/** Makes the connection to the jobs; nothing happens before `start`. */
export function createJobs({ database, log }: { database: JobsDatabase; log: Log }): Jobs {
  const boss = new PgBoss({
    ...connectionOptions(database),
    useListenNotify: true,
    schedule: false,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    // Else a queue is looked at once a minute only, however often somebody looks.
    monitorIntervalSeconds: SUPERVISE_SECONDS,
  });
  boss.on("error", (error) => log.warn({ error: errorMessage(error) }, "jobs are held up"));
  boss.on("warning", (warning) => log.debug({ warning }, "a warning about jobs"));
  let isStarted = false;

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
    await boss.createQueue(deadLettersOf(queue), { notify: true, retryLimit: 10, retryBackoff: true });
    await boss.createQueue(queue, options);
  }

  async function work<Q extends QueueName>(worker: Worker<Q>): Promise<void> {
    const polling = { pollingIntervalSeconds: POLL_SECONDS, notifyPollingIntervalSeconds: BACKSTOP_POLL_SECONDS };
    const { queue, limits } = worker;
    const options = { ...polling, batchSize: limits.batch, burstWhenBatchFull: true, perJobResults: true } as const;
    await boss.work<JobPayloads[Q]>(queue, options, async (jobs) => {
      if (limits.together) return Promise.all(jobs.map((job) => settle(worker, job)));
      const results: JobResult[] = [];
      for (const job of jobs) results.push(await settle(worker, job));
      return results;
    });
    await boss.work<JobPayloads[Q]>(deadLettersOf(queue), polling, async (jobs) => {
      for (const job of jobs) await worker.gaveUp(job.data);
    });
  }

  /** One job's failure is its own, not its batch's. */
  async function settle<Q extends QueueName>(worker: Worker<Q>, job: Job<JobPayloads[Q]>): Promise<JobResult> {
    try {
      await worker.run(job.data, job.signal);
      return { id: job.id, status: "completed" };
    } catch (error) {
      log.warn({ error: errorMessage(error), queue: worker.queue, job: job.id }, "a job failed");
      return { id: job.id, status: "failed", output: { message: errorMessage(error) } };
    }
  }

  return {
    async sendAll(sql, queue, payloads, delaySeconds = 0) {
      if (payloads.length === 0) return;
      const db = { executeSql: (text: string, values?: unknown[]) => executeSql(sql, text, values) };
      const when = delaySeconds > 0 ? { startAfter: delaySeconds } : {};
      await boss.insert(
        queue,
        payloads.map((data) => ({ data, ...when })),
        { db },
      );
    },
    async counts(queue) {
      const [stats] = await boss.getQueueStats(queue, { force: true });
      const [dead] = await boss.getQueueStats(deadLettersOf(queue), { force: true });
      return { waiting: stats?.queuedCount ?? 0, active: stats?.activeCount ?? 0, failed: dead?.totalCount ?? 0 };
    },
    async start(workers) {
      await boss.start();
      isStarted = true;
      for (const worker of workers) await prepare(worker);
      for (const worker of workers) await work(worker);
    },
    async stop() {
      if (!isStarted) return;
      isStarted = false;
      await boss.stop({ graceful: true, timeout: STOP_MS });
    },
  };
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
type DriverOfJobs = Db & { open(): Promise<void>; close(): Promise<void> };

function connectionOptions({ sessionTarget: target, createSocket }: JobsDatabase) {
  return {
    ...serverLimits(target),
    connectionTimeoutMillis: ANSWER_LIMITS_MS.connect,
    query_timeout: ANSWER_LIMITS_MS.statement,
    stream: createSocket,
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    ssl: target.tls,
    max: CONNECTIONS_MAX,
    application_name: "opspilot jobs",
  };
}

function deadLettersOf(queue: QueueName): string {
  return `${queue}.dead`;
}
