import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { alertFrame } from "../../src/agent/frames.ts";
import { emptyFolder, isAlive, removeFolder } from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { occurrencesBySource, rest } from "../support/rest.ts";
import { spoolIn } from "../support/spool.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 240_000;
const CATCH_UP_LIMIT_MS = 60_000;
const ALERTS = 2_000;
/** Not compressible, so that the spool has many files. */
const LOGS_BYTES = 2_000;

const eachOnce = new Map(Array.from({ length: ALERTS }, (_, n) => [`service-${n}`, 1]));

let folder = "";
let port = "";
let server: RunningExecutable;
let network: TcpProxy;
let agent: RunningExecutable;
let agentId = "";
let token = "";

beforeAll(async () => {
  folder = await emptyFolder();
  port = String(await freePort());
  network = await startTcpProxy(Number(port));
  await startServer();
}, START_LIMIT_MS);
afterAll(async () => {
  network.stop();
  if (isAlive(server.pid)) await server.stop();
  await removeFolder(folder);
}, START_LIMIT_MS);

beforeEach(async () => {
  const { body } = await rest(server.url, "/v1/agents", {});
  agentId = body.id;
  token = body.token;
  await fillSpool();
  await startAgent();
}, START_LIMIT_MS);
afterEach(async () => {
  network.mend();
  if (isAlive(agent.pid)) await agent.stop();
  rmSync(join(folder, "host"), { recursive: true, force: true });
}, START_LIMIT_MS);

async function startServer(): Promise<void> {
  server = await startExecutable({ dir: folder, env: { PORT: port } });
  await server.waitReady(START_LIMIT_MS);
}

/** What a host has that could not tell anybody for a while. */
async function fillSpool(): Promise<void> {
  const spool = spoolIn(spoolDir());
  const frames = [...eachOnce.keys()].map((source) =>
    alertFrame({
      type: "systemd",
      source,
      message: `${source} failed`,
      logs: crypto.getRandomValues(new Uint8Array(LOGS_BYTES)).toBase64(),
      state: "firing",
      atMs: Date.now(),
    }),
  );
  await Promise.all(frames.map((frame) => spool.add(frame)));
  await spool.close();
}

const spoolDir = () => join(folder, "host/agent/spool");
const spoolFiles = () => (existsSync(spoolDir()) ? readdirSync(spoolDir()).length : 0);

async function startAgent(): Promise<void> {
  agent = await startExecutable({
    dir: folder,
    args: ["agent"],
    env: {
      OPSPILOT_SERVER: `http://127.0.0.1:${network.port}`,
      OPSPILOT_TOKEN: token,
      OPSPILOT_DATA_DIR: join(folder, "host"),
      OPSPILOT_COLLECTORS: "none",
    },
  });
}

/** Waits until so many of the spool's files are left: some of it was sent, and some was not. */
async function untilLeft(files: number): Promise<void> {
  await until(() => spoolFiles() <= files, { ms: CATCH_UP_LIMIT_MS, what: `${files} files in the spool` });
  expect(spoolFiles()).toBeGreaterThan(0);
}

async function allArriveOnce(): Promise<void> {
  await until(() => spoolFiles() === 0, { ms: CATCH_UP_LIMIT_MS }).catch((error) => {
    throw new Error(`${error.message}; ${spoolFiles()} files are left\n${agent.lines.join("\n")}`);
  });
  expect(await occurrencesBySource(server.url, agentId)).toEqual(eachOnce);
}

describe("2,000 alerts that waited on a host arrive once each,", () => {
  test(
    "when the agent is killed in the middle of them, again and again",
    async () => {
      for (const left of [14, 9, 4]) {
        await untilLeft(left);
        process.kill(agent.pid, "SIGKILL");
        expect(await agent.exited).toBe(137);
        await startAgent();
      }
      await allArriveOnce();
      expect(await agent.stop()).toBe(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "when the agent is stopped in order in the middle of them",
    async () => {
      await untilLeft(9);
      expect(await agent.stop("SIGTERM", 5_000)).toBe(0);
      await startAgent();
      await allArriveOnce();
    },
    TEST_LIMIT_MS,
  );

  test(
    "when the server is killed in the middle of them",
    async () => {
      await untilLeft(9);
      process.kill(server.pid, "SIGKILL");
      expect(await server.exited).toBe(137);
      await startServer();
      await allArriveOnce();
      expect(isAlive(agent.pid)).toBeTrue();
    },
    TEST_LIMIT_MS,
  );

  test(
    "when both are killed",
    async () => {
      await untilLeft(9);
      process.kill(server.pid, "SIGKILL");
      process.kill(agent.pid, "SIGKILL");
      await Promise.all([server.exited, agent.exited]);
      await startAgent();
      await startServer();
      await allArriveOnce();
    },
    TEST_LIMIT_MS,
  );

  test(
    "when the network is cut again and again",
    async () => {
      for (const left of [14, 9, 4]) {
        await untilLeft(left);
        const before = network.connections;
        network.cut();
        await until(() => network.connections > before, { ms: 10_000, what: "the agent tries again" });
        network.mend();
      }
      await allArriveOnce();
    },
    TEST_LIMIT_MS,
  );

  test(
    "when the server stands still for a while",
    async () => {
      await untilLeft(9);
      process.kill(server.pid, "SIGSTOP");
      await untilSettled();
      const left = spoolFiles();
      process.kill(server.pid, "SIGCONT");
      await allArriveOnce();
      expect(left).toBeGreaterThan(0);
      expect(agent.lines.filter((line) => line.includes("is lost"))).toEqual([]);
    },
    TEST_LIMIT_MS,
  );
});

/** Resolves once the spool has been the same for a hundred looks. */
async function untilSettled(): Promise<void> {
  let files = -1;
  let looks = 0;
  const isSame = () => {
    looks = spoolFiles() === files ? looks + 1 : 0;
    files = spoolFiles();
    return looks >= 100;
  };
  await until(isSame, { ms: 10_000, what: "no more is sent" });
}

describe("an agent", () => {
  test(
    "shows the host's facts on the server, and goes offline when it is stopped",
    async () => {
      const { hostname, meta } = await until(async () => {
        const { body } = await rest(server.url, "/v1/agents");
        const { status, meta, hostname } = body.find((one: { id: string }) => one.id === agentId);
        return status === "online" && meta && { hostname, meta };
      });
      expect(hostname).toEqual(expect.any(String));
      expect(meta.metrics).toMatchObject({ mem_total_bytes: expect.any(Number), load1: expect.any(Number) });
      expect(meta.allow).toContain("host_report:*");
      await allArriveOnce();
      expect(await agent.stop()).toBe(0);
      await until(async () => {
        const { body } = await rest(server.url, "/v1/agents");
        return body.find((one: { id: string }) => one.id === agentId).status === "offline";
      });
    },
    TEST_LIMIT_MS,
  );

  test(
    "sends a test alert when `agent once` asks for it, though another connection would throw it out",
    async () => {
      await allArriveOnce();
      const once = await startExecutable({
        dir: folder,
        args: ["agent", "once"],
        env: { OPSPILOT_SERVER: server.url, OPSPILOT_TOKEN: token, OPSPILOT_DATA_DIR: join(folder, "host") },
      });
      expect(await once.exited).toBe(0);
      expect(once.lines.join("\n")).toMatch(/has the test alert \(acknowledged after \d+ ms\)/);
      expect((await occurrencesBySource(server.url, agentId)).get("test")).toBe(1);
      expect(agent.lines.filter((line) => line.includes('"connected"'))).toHaveLength(1);
    },
    TEST_LIMIT_MS,
  );
});
