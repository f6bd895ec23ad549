import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSettableClock } from "../support/clock.ts";
import { type FakeExecutor, HostAgent, type HostAgentOptions } from "../support/host-agent.ts";
import { type AgentFrame, StreamServer, type StreamServerOptions } from "../support/stream-server.ts";
import { until } from "../support/until.ts";

let dir = "";
let server: StreamServer;
const agents: HostAgent[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-agent-"));
  server = new StreamServer();
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function startAgent(options: Partial<HostAgentOptions> = {}, url = server.url): Promise<HostAgent> {
  const agent = await HostAgent.start(url, { dir, ...options });
  agents.push(agent);
  return agent;
}

/** Another server on the same port, once the first one is gone. */
async function restartServer(options: StreamServerOptions = {}): Promise<void> {
  const { port } = server;
  await server.stop();
  server = new StreamServer({ ...options, port });
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `alert ${n}`);
const ofType = (type: AgentFrame["type"]) => server.frames.filter((frame) => frame.type === type);
const arrived = (count: number) => until(() => ofType("alert").length >= count, { what: `${count} alerts` });

describe("an agent", () => {
  test("shows its token when it asks for the socket, and in no frame", async () => {
    const agent = await startAgent();
    await agent.report();
    await arrived(1);
    // On a machine that is slow it may have to ask again.
    const asked = { authorization: "Bearer token-of-a-test", userAgent: "opspilot/0.0.0-test" };
    expect(new Set(server.upgrades.map((one) => JSON.stringify(one)))).toEqual(new Set([JSON.stringify(asked)]));
    expect(server.frames.map(({ ver, token, type }) => ({ ver, token, type }))).toEqual([
      { ver: "1.1", token: "", type: "heartbeat" },
      { ver: "1.1", token: "", type: "alert" },
    ]);
    expect(agent.log.join("")).not.toContain("token-of-a-test");
  });

  test.each([
    ["back", 7_200_000],
    ["forward", -7_200_000],
  ])("says how long ago an alert was that waited while the clock was put %s", async (_, ms) => {
    const clock = createSettableClock();
    const { port } = server;
    await server.stop();
    const agent = await startAgent({ clock }, `ws://127.0.0.1:${port}/v1/stream`);
    await agent.report({ atMs: clock.now() - 60_000 });
    clock.setBack(ms);
    await agent.report({ source: "redis", atMs: clock.now() + Math.max(0, ms) });
    await agent.stop();
    agents.pop();
    server = new StreamServer({ port });
    await startAgent({ clock }, server.url);
    await arrived(2);
    const [before, after] = ofType("alert").map(({ ts, payload }) => ts - payload.at);
    expect(before).toBeWithin(60, 75);
    expect(after).toBeWithin(0, 15);
    expect(ofType("heartbeat").every(({ ts }) => Math.abs(ts * 1000 - clock.now()) < 15_000)).toBe(true);
  });

  test("tells the host's facts, what is allowed here and how its spool is, as often as the server asks", async () => {
    server.options = { heartbeatSeconds: 1 };
    await startAgent();
    const heartbeats = await until(() => server.frames.length >= 4 && server.frames);
    for (const { type, payload } of heartbeats) {
      expect(type).toBe("heartbeat");
      expect(payload).toMatchObject({ version: "0.0.0-test", allow: ["ping:*", "restart_service:nginx"] });
      expect(payload.hostname).toBeString();
      expect(payload.uptime_s).toBeGreaterThan(0);
      expect(payload.metrics.mem_total_bytes).toBeGreaterThan(payload.metrics.mem_used_bytes);
      expect(payload.metrics.swap_total_bytes).toBeGreaterThanOrEqual(payload.metrics.swap_used_bytes);
      expect(payload.metrics.disks).toContainEqual(expect.objectContaining({ mount: "/" }));
      expect(payload.spool).toMatchObject({ waiting: 0, dropped_repeats: 0 });
    }
  });

  test("says goodbye when it stops", async () => {
    const agent = await startAgent();
    await until(() => server.frames.length > 0);
    await agent.stop();
    expect(await until(() => server.closes[0])).toEqual({ code: 1000, reason: "goodbye" });
  });

  test("is alone in its directory", async () => {
    const first = await startAgent();
    const second = HostAgent.start(server.url, { dir });
    await expect(second).rejects.toThrow(`an agent runs here already: ${first.config.stateDir} is held by process`);
    await first.stop();
    await startAgent();
  });

  test("tells when this host's clock is wrong", async () => {
    server.options = { nowMs: () => Date.now() + 3_600_000 };
    const agent = await startAgent();
    await until(() => agent.said("warn").includes("this host's clock is behind the server's"));
  });
});

describe("an alert", () => {
  test("says when it happened, however much later it is sent", async () => {
    const { port } = server;
    await server.stop();
    const agent = await startAgent();
    const atMs = agent.clock.now() - 5_000;
    await agent.report({ atMs, exitCode: 3, severity: "critical", logs: "one\ntwo" });
    server = new StreamServer({ port });
    const { ts, payload } = await until(() => ofType("alert")[0]);
    expect(payload).toEqual({
      type: "systemd",
      source: "nginx",
      message: "nginx failed",
      logs: "one\ntwo",
      exit_code: 3,
      severity: "critical",
      state: "firing",
      at: atMs / 1000,
    });
    expect(ts - payload.at).toBeGreaterThan(5);
  });

  test("is compressed from 512 bytes on", async () => {
    const agent = await startAgent();
    await agent.report();
    await agent.report({ logs: "x".repeat(600) });
    await arrived(2);
    expect(ofType("alert").map(({ compression }) => compression)).toEqual(["none", "gzip"]);
  });

  test("fits into a frame of 512 KiB whatever its logs are: their head and their tail are kept", async () => {
    const agent = await startAgent();
    const noise = crypto.getRandomValues(new Uint8Array(60_000)).toBase64().repeat(50);
    await agent.report({ logs: `the beginning\n${noise}\nthe end` });
    await agent.report({ logs: `the beginning\n${String.fromCharCode(1, 0, 0xd800).repeat(500_000)}\nthe end` });
    await arrived(2);
    for (const { sizeBytes, payload } of ofType("alert")) {
      expect(sizeBytes).toBeLessThan(512 * 1024);
      expect(payload.logs).toStartWith("the beginning\n");
      expect(payload.logs).toContain(" bytes left out ");
      expect(payload.logs).toEndWith("\nthe end");
    }
  });

  test("is within the protocol's limits whatever a host says", async () => {
    const agent = await startAgent();
    await agent.report({ source: "s".repeat(300), message: "ü".repeat(9_000), exitCode: 2 ** 40 });
    await agent.report({ source: "", message: "" });
    await arrived(2);
    const [long, empty] = ofType("alert").map(({ payload }) => payload);
    expect(long.source).toBe("s".repeat(255));
    expect(Buffer.byteLength(long.message)).toBeLessThanOrEqual(8 * 1024);
    expect(long.exit_code).toBeUndefined();
    expect(empty).toMatchObject({ source: "unknown", message: "(no message)" });
  });
});

describe("alerts are sent in their order, each until it is acknowledged,", () => {
  test("when the server was away while they happened", async () => {
    const { port } = server;
    await server.stop();
    const agent = await startAgent();
    for (const message of numbered(200)) await agent.report({ message });
    server = new StreamServer({ port });
    await arrived(200);
    expect(server.messages).toEqual(numbered(200));
  });

  test("when the agent was started anew before", async () => {
    const { port } = server;
    await server.stop();
    const first = await startAgent();
    for (const message of numbered(3)) await first.report({ message });
    await first.stop();
    server = new StreamServer({ port });
    const second = await startAgent();
    await second.report({ message: "alert 3" });
    await arrived(4);
    expect(server.messages).toEqual(numbered(4));
  });

  test("when connections are cut before the acknowledgements: then with the same ids again", async () => {
    const takes = (n: number): StreamServerOptions["answer"] => {
      let left = n;
      return ({ type }, socket) => {
        if (type === "heartbeat" || left-- > 0) return true;
        socket.cut();
        return false;
      };
    };
    server.options = { answer: takes(10) };
    const agent = await startAgent();
    for (const message of numbered(30)) await agent.report({ message });
    await until(() => server.closes.length > 0);
    server.options = {};
    await until(() => new Set(server.messages).size === 30);
    const ids = ofType("alert").map(({ id }) => id);
    const messagesById = new Map(ofType("alert").map(({ id, payload }) => [id, payload.message]));
    expect(ids.length).toBeGreaterThan(30);
    expect([...messagesById.values()]).toEqual(numbered(30));
    expect(server.messages.slice(-20)).toEqual(numbered(30).slice(10));
  });

  test("no more than 64 at a time without an acknowledgement", async () => {
    server.options = { answer: ({ type }) => type === "heartbeat" };
    const agent = await startAgent();
    await until(() => server.frames.length > 0);
    for (const message of numbered(100)) await agent.report({ message });
    await arrived(64);
    const [first] = ofType("alert");
    server.send({ type: "ack", id: first?.id ?? "" });
    await arrived(65);
    expect(ofType("alert")).toHaveLength(65);
  });
});

test("a full spool gives up repeats, and the heartbeats say how many", async () => {
  const { port } = server;
  await server.stop();
  const agent = await startAgent({ env: { OPSPILOT_SPOOL: "1MiB" } });
  const noise = crypto.getRandomValues(new Uint8Array(4_000)).toBase64();
  await agent.report({ source: "rare", message: "the first of all" });
  for (let n = 0; n < 500; n++) await agent.report({ source: "flapping", message: `failed ${n} times`, logs: noise });
  server = new StreamServer({ port });
  const [heartbeat] = await until(() => ofType("heartbeat").length > 0 && ofType("heartbeat"));
  await until(() => agent.waiting() === 0, { ms: 10_000 });
  const { dropped_repeats, dropped_others, bytes } = heartbeat?.payload.spool ?? {};
  expect({ dropped_others, isWithin: bytes <= 2 ** 20 }).toEqual({ dropped_others: 0, isWithin: true });
  expect(server.messages.length + dropped_repeats).toBe(501);
  expect(server.messages.slice(0, 2)).toEqual(["the first of all", "failed 0 times"]);
  expect(server.messages.at(-1)).toBe("failed 499 times");
});

test("an alert that was told twice, since it has a name, is one", async () => {
  const agent = await startAgent();
  await agent.report({ key: "journal-7-3" });
  await agent.report({ key: "journal-7-3" });
  await agent.report({ source: "last", key: "no key: ü" });
  const last = await until(() => ofType("alert").find(({ payload }) => payload.source === "last"));
  expect(last.id).toMatch(/^[0-9a-f-]{36}$/);
  const named = ofType("alert").filter(({ payload }) => payload.source === "nginx");
  expect(new Set(named.map(({ id }) => id))).toEqual(new Set(["alert-journal-7-3"]));
});

describe("a command", () => {
  const id = "0b8f1c7e-5a6d-4e3f-9a1b-2c3d4e5f6a7b";

  async function commanded(executor?: FakeExecutor): Promise<HostAgent> {
    const agent = await startAgent(executor ? { executor } : {});
    await until(() => server.frames.length > 0);
    server.send({ type: "command", id, command: "ping", params: {}, ttl_s: 60 });
    return agent;
  }

  test("is run, and its result goes to the server until that has it", async () => {
    server.options = { answer: ({ type }) => type === "heartbeat" };
    const agent = await commanded();
    const result = await until(() => ofType("result")[0]);
    expect(result.payload).toEqual({ command_id: id, status: "done", exit_code: 0, output: "pong" });
    expect(agent.executor.commands).toMatchObject([{ id, command: "ping", params: {}, ttl_s: 60 }]);
    expect(agent.executor.settledIds).toEqual([]);
    await restartServer();
    await until(() => agent.executor.settledIds.length > 0);
    expect(agent.executor.settledIds).toEqual([id]);
    expect(ofType("result").map((frame) => frame.id)).toEqual([result.id]);
  });

  test("whose result an earlier agent could not send is answered by the next one, once", async () => {
    server.options = { answer: ({ type }) => type === "heartbeat" };
    const first = await commanded();
    await until(() => ofType("result")[0]);
    await first.stop();
    await restartServer();
    const { executor } = first;
    executor.left = [{ command_id: id, status: "done", exit_code: 0, output: "pong" }];
    await startAgent({ executor });
    await until(() => executor.settledIds.length > 0);
    await until(() => ofType("heartbeat").length > 0);
    expect(ofType("result")).toHaveLength(1);
  });

  test("without a proper id, or of no proper form, is nobody's", async () => {
    const agent = await startAgent();
    await until(() => server.frames.length > 0);
    for (const frame of [
      { type: "command", id: "../../etc", command: "ping", params: {}, ttl_s: 60 },
      { type: "command", id, command: 7 },
      { type: "ack" },
      { type: "error", code: null },
      { type: "of the future" },
    ])
      server.send(frame as never);
    await agent.report();
    await arrived(1);
    expect(agent.executor.commands).toEqual([]);
    expect(ofType("result")).toEqual([]);
  });
});
