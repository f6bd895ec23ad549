import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createJobs, type Jobs, type QueueName, type Worker } from "../../src/jobs/jobs.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const QUEUE = "incidents.explain";
/** A heartbeat's length, and what comes after it. */
const FOUND_MS = 15_000;

let database: TestDatabase;
let jobs: Jobs | undefined;
let runs: number[] = [];
let givenUp: number[] = [];
let failures = 0;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await jobs?.stop();
  runs = [];
  givenUp = [];
  failures = 0;
});

afterAll(() => database.close());

/** Jobs of one queue that note when they ran, and fail while `failures` are left. */
async function start({ retries = 3, isAlone = false, log = quiet } = {}): Promise<Jobs> {
  const worker: Worker<typeof QUEUE> = {
    queue: QUEUE,
    limits: { batch: 2, deadlineS: 60, retries },
    async run() {
      runs.push(performance.now());
      if (failures-- > 0) throw new Error("not yet");
    },
    gaveUp: async () => void givenUp.push(performance.now()),
  };
  const clock = createSystemClock();
  const loops = createLoops(clock, quiet);
  jobs = createJobs({ database: database.database, loops, clock, log, isAlone: () => isAlone });
  await jobs.start([worker] as unknown as Worker<QueueName>[], async () => undefined);
  return jobs;
}

async function send(to: Jobs, delaySeconds = 0): Promise<void> {
  await database.database.sql.begin((tx) => to.sendAll(tx, QUEUE, [{ ids: [1] }], delaySeconds));
}

const ran = (times: number, ms = FOUND_MS) => until(() => runs.length >= times, { ms, what: `run ${times}` });

test("a job starts within moments of its commit", async () => {
  const started = await start();
  const waits: number[] = [];
  for (let n = 1; n <= 5; n++) {
    await send(started);
    const sentMs = performance.now();
    await ran(n);
    waits.push((runs[n - 1] ?? 0) - sentMs);
  }
  expect(waits.sort((a, b) => a - b)[2]).toBeLessThan(50);
});

test("one that fails is tried again after a second or two, and then after a little more", async () => {
  const started = await start();
  failures = 2;
  await send(started);
  await ran(3);
  const [first = 0, second = 0, third = 0] = runs;
  expect(second - first).toBeWithin(900, 3_500);
  expect(third - second).toBeWithin(900, 6_000);
}, 180_000);

test("one that fails to the end is handed over at once", async () => {
  const started = await start({ retries: 0 });
  await database.database.sql`update pgboss.queue set retry_limit = 0 where name = ${QUEUE}`;
  failures = 1;
  await send(started);
  await until(() => givenUp.length === 1, { ms: 5_000, what: "the job is given up" });
  expect((givenUp[0] ?? 0) - (runs[0] ?? 0)).toBeLessThan(2_500);
  await database.database.sql`update pgboss.queue set retry_limit = 3 where name = ${QUEUE}`;
});

test("one that is sent for later starts when it is due", async () => {
  const started = await start();
  const sentMs = performance.now();
  await started.sendAll(database.database.sql, QUEUE, [{ ids: [1] }], 2);
  await ran(1);
  expect((runs[0] ?? 0) - sentMs).toBeWithin(1_900, 3_500);
});

test("one that this node sent starts soon although its notification was missed, also where no other node would look", async () => {
  const started = await start({ isAlone: true });
  await until(isResting, { ms: 40_000, what: "all that comes with a start is over" });
  const { sql } = database.database;
  const unsafe = (text: string, values: never[]) => sql.unsafe(text.replaceAll("pg_notify(", "concat("), values);
  await started.sendAll({ unsafe } as never, QUEUE, [{ ids: [1] }]);
  const sentMs = performance.now();
  await ran(1);
  expect((runs[0] ?? 0) - sentMs).toBeLessThan(5_000);
}, 180_000);

test("one that nobody is notified of is found", async () => {
  await start();
  await until(isResting, { ms: 20_000, what: "all that comes with a start is over" });
  await database.database.sql`insert into pgboss.job (name, data) values (${QUEUE}, '{"ids":[1]}')`;
  await ran(1);
}, 180_000);

test("one whose process died goes on once its heartbeat is missed", async () => {
  const started = await start();
  const { sql } = database.database;
  await started.sendAll(sql, QUEUE, [{ ids: [1] }], 3_600);
  await sql`update pgboss.job set state = 'active', started_on = now(), heartbeat_on = now() - interval '5 s'
    where name = ${QUEUE} and state = 'created'`;
  const diedMs = performance.now();
  await ran(1);
  expect((runs[0] ?? 0) - diedMs).toBeWithin(4_900, 13_000);
}, 180_000);

test("one that was given up is handed over, also where processes die over that again and again, and former versions made the queue", async () => {
  await (await start()).stop();
  const { sql } = database.database;
  const dead = `${QUEUE}.dead`;
  await sql`update pgboss.queue set retry_limit = 10, heartbeat_seconds = null, expire_seconds = 900 where name = ${dead}`;
  const started = await start({ retries: 0 });
  await sql`insert into pgboss.job (name, data, state, retry_count, retry_limit, started_on, heartbeat_on, heartbeat_seconds, dead_letter)
    values (${QUEUE}, '{"ids":[1]}', 'active', 0, 0, now(), now() - interval '10 s', 10, ${dead})`;
  await until(() => givenUp.length === 1, { ms: FOUND_MS, what: "it is handed over" });
  await started.stop();
  // As a process leaves it that died over it for the eleventh time.
  await sql`update pgboss.job set state = 'active', started_on = now(), heartbeat_on = now() - interval '8 s', retry_count = 11,
    completed_on = null where name = ${dead} and retry_limit > 11`;
  await start();
  await until(() => givenUp.length === 2, { ms: FOUND_MS, what: "it is handed over again" });
}, 180_000);

test("at rest its driver asks nothing, and is as quick as ever when there is something to do", async () => {
  const started = await start();
  await until(isResting, { ms: 20_000, what: "nothing was asked for as long as nothing happened" });
  await send(started);
  const sentMs = performance.now();
  await ran(1);
  expect((runs[0] ?? 0) - sentMs).toBeLessThan(200);
}, 180_000);

/** Whether two sessions are left, the one that listens and one at hand, neither of which was asked anything lately. */
async function isResting(): Promise<boolean> {
  const [row] = await database.database.sql<{ resting: boolean }[]>`
    select count(*) = 2 and max(query_start) < now() - interval '9 s' as resting from pg_stat_activity
    where application_name = 'opspilot jobs' and datname = current_database()`;
  return row?.resting === true;
}

test("what holds jobs up is told in words, with the queue", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "warn", readable: false, destination: { write: (line) => void lines.push(line) } });
  await (await start()).stop();
  await database.database.sql`alter table pgboss.job_common rename to away`;
  await start({ log });
  await until(() => lines.some((line) => line.includes("jobs are held up")), { ms: 15_000 }).finally(
    () => database.database.sql`alter table pgboss.away rename to job_common`,
  );
  const { error, queue } = JSON.parse(lines.find((line) => line.includes("jobs are held up")) ?? "{}");
  expect(error).toStartWith('relation "pgboss.job_common" does not exist');
  expect(queue).toStartWith(QUEUE);
}, 180_000);
