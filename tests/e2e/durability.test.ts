import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { TestAgent } from "../support/agent.ts";
import {
  emptyFolder,
  isAlive,
  killAndWait,
  postmasterPid,
  removeFolder,
  runningPostmaster,
  sessionOf,
} from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { occurrencesBySource, rest } from "../support/rest.ts";
import { alertText, SpoolAgent } from "../support/spool-agent.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
/** On a machine that is busy with something else. */
const READY_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 240_000;
const ALERTS = 1_000;
/** So many acknowledged is the middle: more are on their way, and more have not been sent. */
const MIDDLE = 300;
/** Alerts without ids that were sent before the signal. */
const PLAIN_ALERTS = 200;
const CATCH_UP_LIMIT_MS = 30_000;

const sourcesOf = (count: number) => Array.from({ length: count }, (_, n) => `service-${n}`);
/** What must be found of so many alerts: each once. */
const eachOnce = (count: number) => new Map(sourcesOf(count).map((source) => [source, 1]));

/** The same folder and port for all: what one test leaves behind is what the next one starts with. */
let folder = "";
let port = "";
let server: RunningExecutable;
let agent: SpoolAgent | undefined;

beforeAll(async () => {
  folder = await emptyFolder();
  port = String(await freePort());
  await start();
  await server.stop();
}, START_LIMIT_MS);
afterAll(() => removeFolder(folder), START_LIMIT_MS);

beforeEach(start, START_LIMIT_MS);
afterEach(async () => {
  agent?.stop();
  if (isAlive(server.pid)) await server.stop();
}, START_LIMIT_MS);

/** As a shell starts a job: in a process group of its own. */
async function start(): Promise<void> {
  server = await startExecutable({ dir: folder, env: { PORT: port }, detached: true });
  await server.waitReady(READY_LIMIT_MS);
}

async function newAgent(): Promise<{ id: string; token: string }> {
  return (await rest(server.url, "/v1/agents", {})).body;
}

/** An agent that has had some of its alerts acknowledged, and is in the middle of the rest. */
async function agentInTheMiddle(): Promise<{ id: string; spool: SpoolAgent }> {
  const { id, token } = await newAgent();
  const spool = new SpoolAgent(server.url, token, sourcesOf(ALERTS));
  agent = spool;
  await until(() => spool.acknowledged.size >= MIDDLE, { ms: CATCH_UP_LIMIT_MS, what: "it is in the middle" });
  return { id, spool };
}

/** All are acknowledged in the end and there once; and no more than once when the agent sends all of them again. */
async function expectAllOnce(id: string, spool: SpoolAgent): Promise<void> {
  await allAcknowledged(spool);
  expect(await occurrencesBySource(server.url, id)).toEqual(eachOnce(ALERTS));
  spool.stop();
  agent = new SpoolAgent(server.url, spool.token, spool.sources);
  await allAcknowledged(agent);
  expect(await occurrencesBySource(server.url, id)).toEqual(eachOnce(ALERTS));
}

async function allAcknowledged(spool: SpoolAgent): Promise<void> {
  await until(() => spool.left === 0, { ms: CATCH_UP_LIMIT_MS }).catch((error) => {
    throw new Error(`${error.message}; ${spool.left} alerts are left, and there came ${spool.surprises}`);
  });
}

describe("an orderly end in the middle of alerts", () => {
  test.each([
    ["Ctrl-C", () => process.kill(-server.pid, "SIGINT")],
    ["SIGTERM", () => process.kill(server.pid, "SIGTERM")],
  ])(
    "by %s loses none: neither acknowledged ones nor ones without ids that were sent before",
    async (_, end) => {
      const postmaster = runningPostmaster(folder);
      const plain = await newAgent();
      const plainAgent = await TestAgent.connect(`${server.url.replace("http", "ws")}/v1/stream`);
      const { id, spool } = await agentInTheMiddle();
      for (const source of sourcesOf(PLAIN_ALERTS)) plainAgent.send(alertText("1.0", plain.token, source));
      const leftAtEnd = spool.left;
      expect(sessionOf(postmaster)).not.toBe(sessionOf(server.pid));
      end();

      expect(await server.exited).toBe(0);
      expect(leftAtEnd).toBeGreaterThan(0);
      expect(isAlive(postmaster)).toBeFalse();
      expect(await plainAgent.ended()).toMatchObject({ code: 1001 });
      // On a busy machine it comes back while the end is going on, and is sent away in the same way.
      expect([...new Set(spool.closings)]).toEqual([1001]);
      expect(plainAgent.frames).toEqual([]);

      await start();
      expect(await occurrencesBySource(server.url, plain.id)).toEqual(eachOnce(PLAIN_ALERTS));
      await expectAllOnce(id, spool);
    },
    TEST_LIMIT_MS,
  );
});

describe("SIGKILL in the middle of alerts loses no acknowledged one, and doubles none", () => {
  test(
    "of the server: the next one takes over its PostgreSQL",
    async () => {
      const postmaster = runningPostmaster(folder);
      const { id, spool } = await agentInTheMiddle();
      expect(spool.left).toBeGreaterThan(0);
      process.kill(server.pid, "SIGKILL");
      expect(await server.exited).toBe(137);
      await start();
      expect(postmasterPid(folder)).toBe(postmaster);
      await expectAllOnce(id, spool);
      expect(await server.stop()).toBe(0);
      expect(postmasterPid(folder)).toBeUndefined();
    },
    TEST_LIMIT_MS,
  );

  test(
    "of PostgreSQL: the server and its sockets stay, and go on when it is back",
    async () => {
      const readyz = async () => (await rest(server.url, "/readyz")).status;
      const postmaster = runningPostmaster(folder);
      const { id, spool } = await agentInTheMiddle();
      expect(spool.left).toBeGreaterThan(0);
      process.kill(postmaster, "SIGKILL");
      await until(async () => (await readyz()) === 503, { ms: CATCH_UP_LIMIT_MS, what: "/readyz says 503" });
      await until(async () => (await readyz()) === 200, { ms: CATCH_UP_LIMIT_MS, what: "/readyz says 200 again" });
      await expectAllOnce(id, spool);
      expect({ closings: spool.closings, surprises: spool.surprises }).toEqual({ closings: [], surprises: [] });
      expect(isAlive(server.pid)).toBeTrue();
      expect(postmasterPid(folder)).not.toBe(postmaster);
    },
    TEST_LIMIT_MS,
  );

  test(
    "of both",
    async () => {
      const postmaster = runningPostmaster(folder);
      const { id, spool } = await agentInTheMiddle();
      expect(spool.left).toBeGreaterThan(0);
      process.kill(server.pid, "SIGKILL");
      await killAndWait(postmaster);
      expect(await server.exited).toBe(137);
      await start();
      expect(postmasterPid(folder)).not.toBe(postmaster);
      await expectAllOnce(id, spool);
    },
    TEST_LIMIT_MS,
  );
});
