import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RawAgent, TestAgent } from "../support/agent.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import { alertOf } from "../support/frames.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";

let gateway: TestGateway;
let clock: TestClock;

beforeEach(() => {
  clock = createTestClock();
  gateway = startGateway({ clock, limits: { sendBufferBytesMax: 64 * 1024 } });
});
afterEach(() => gateway.stop());

const alert = (message: string, changes: Record<string, unknown> = {}) => ({
  token: "token-one",
  type: "alert",
  data: JSON.stringify(alertOf({ message, logs: "x".repeat(10_000) })),
  ...changes,
});

/** More than fits into the buffers of both sides, so that the sender must feel it. */
const MANY = 3_000;

async function isStuck(raw: RawAgent): Promise<boolean> {
  let before = -1;
  return until(() => {
    const now = raw.socket.writableLength;
    const isStill = now === before;
    before = now;
    return isStill && now > 0;
  });
}

async function rawAgent(token = "token-one"): Promise<RawAgent> {
  const raw = await RawAgent.connect(gateway.port);
  raw.send({ token });
  await until(() => gateway.connections.holds(token.replace("token", "agent")));
  return raw;
}

describe("a full queue", () => {
  test("holds the sender back by TCP, and nothing is lost", async () => {
    const raw = await rawAgent();
    gateway.connections.pauseAll();
    for (let n = 0; n < MANY; n++) raw.send(alert(`${n}`));
    expect(await isStuck(raw)).toBe(true);
    expect(gateway.ingest.accepted.length).toBeLessThan(100);
    gateway.connections.resumeAll();
    await until(() => gateway.ingest.accepted.length === MANY);
    expect(gateway.ingest.messages()).toEqual(Array.from({ length: MANY }, (_, n) => `${n}`));
  });

  test("holds back a socket that comes meanwhile", async () => {
    gateway.connections.pauseAll();
    const raw = await RawAgent.connect(gateway.port);
    for (let n = 0; n < MANY; n++) raw.send(alert("late"));
    expect(await isStuck(raw)).toBe(true);
    expect(gateway.ingest.accepted).toEqual([]);
    gateway.connections.resumeAll();
    await until(() => gateway.ingest.accepted.length === MANY);
  });

  test("of one agent holds back that agent alone, also when it connects anew", async () => {
    await rawAgent("token-one");
    const two = await rawAgent("token-two");
    gateway.connections.pauseAgent("agent-one");
    const again = await RawAgent.connect(gateway.port);
    again.send({ token: "token-one" });
    await until(() => gateway.presence.claims.length === 3);
    again.send(alert("one"));
    two.send(alert("two", { token: "token-two" }));
    await until(() => gateway.ingest.accepted.length === 1);
    expect(gateway.ingest.messages()).toEqual(["two"]);
    gateway.connections.pauseAll();
    gateway.connections.resumeAll();
    two.send(alert("three", { token: "token-two" }));
    await until(() => gateway.ingest.accepted.length === 2);
    expect(gateway.ingest.messages()).toEqual(["two", "three"]);
    gateway.connections.resumeAgent("agent-one");
    await until(() => gateway.ingest.accepted.length === 3);
  });

  test("is no reason to think an agent dead", async () => {
    const raw = await rawAgent();
    gateway.connections.pauseAll();
    await clock.advance(600_000);
    expect(gateway.connections.holds("agent-one")).toBe(true);
    gateway.connections.resumeAll();
    raw.send(alert("alive"));
    await until(() => gateway.ingest.messages()[0] === "alive");
  });
});

describe("a look-up", () => {
  test("holds back only so much: the rest is refused", async () => {
    const tight = startGateway({ limits: { backlogBytesMax: 25_000 } });
    const opened = Promise.withResolvers();
    tight.tokens.gate = opened.promise;
    const agent = await TestAgent.connect(tight.url);
    for (let n = 0; n < 4; n++) agent.send(alert(`${n}`, { ver: "1.1", id: `a${n}` }));
    expect(await agent.frame(0)).toMatchObject({ code: "overloaded", id: "a3", retry_after_s: 5 });
    opened.resolve(undefined);
    await until(() => tight.ingest.accepted.length === 3);
    expect(tight.ingest.messages()).toEqual(["0", "1", "2"]);
    await tight.stop();
  });
});

describe("a reader that does not read", () => {
  const frame = (n: number) =>
    alert(`${n}`, { ver: "1.1", id: `${n}`.padEnd(64, "-"), data: JSON.stringify(alertOf()) });

  async function flood(raw: RawAgent): Promise<void> {
    raw.socket.pause();
    let sent = 0;
    await until(
      () => {
        for (let n = 0; n < 500; n++) raw.send(frame(sent++));
        return raw.socket.writableLength > 1_000_000;
      },
      { ms: 20_000 },
    );
    expect(await isStuck(raw)).toBe(true);
  }

  test("is not read either, so that its answers stay bounded; and goes on once it reads", async () => {
    const raw = await rawAgent();
    await flood(raw);
    const [connection] = gateway.connections.all();
    expect(connection?.socket.getBufferedAmount()).toBeGreaterThan(64 * 1024);
    expect(connection?.socket.getBufferedAmount()).toBeLessThan(1024 * 1024);
    raw.socket.resume();
    await until(() => raw.socket.writableLength === 0, { ms: 20_000 });
    raw.send({ token: "token-one", ver: "1.1", id: "last" });
    await until(() => raw.received.includes('{"type":"ack","id":"last"}'), { ms: 20_000 });
  }, 180_000);

  test("is cut off when it goes on", async () => {
    const raw = await rawAgent();
    await flood(raw);
    await clock.advance(90_000);
    await until(() => gateway.connections.size() === 0);
  }, 180_000);
});

describe("all sockets together", () => {
  const KIB = 1024;

  test("hold only so many unread answers: those with the most are cut off, the others go on", async () => {
    const SUM_MAX = 300 * KIB;
    const limits = { sendBufferBytesMax: 200 * KIB, sendBuffersBytesMax: SUM_MAX };
    const tight = startGateway({ limits });
    const unsent = () => [...tight.connections.all()].reduce((sum, one) => sum + one.socket.getBufferedAmount(), 0);
    const reader = await TestAgent.connect(tight.url);
    const floods = await Promise.all([1, 2, 3].map(() => RawAgent.connect(tight.port)));
    let most = 0;
    for (const [at, raw] of floods.entries()) {
      raw.socket.pause();
      let sent = 0;
      await until(
        () => {
          for (let n = 0; n < 500 && !raw.isEnded; n++)
            raw.send({ token: `token-flood${at}`, ver: "1.1", id: `${sent++}`.padEnd(64, "-") });
          most = Math.max(most, unsent());
          return raw.isEnded || raw.socket.writableLength > 1_000_000;
        },
        { ms: 20_000, what: "the flood" },
      );
    }
    expect(most).toBeGreaterThan(100 * KIB);
    expect(unsent()).toBeLessThanOrEqual(SUM_MAX);
    expect(tight.connections.size()).toBeWithin(2, 4);
    expect(await tight.registry.metrics()).toMatch(/opspilot_socket_buffers_full_total{buffer="send"} [12]\n/);
    reader.send({ token: "token-reader", ver: "1.1", id: "still here" });
    await until(() => reader.frames.some((one) => one.type === "ack" && one.id === "still here"));
    await tight.stop();
  }, 180_000);

  test("hold only so much that waits for a look-up: the rest is refused for now, and there is room again after it", async () => {
    const data = JSON.stringify(alertOf({ logs: "x".repeat(3_000) }));
    const tight = startGateway({ limits: { backlogsBytesMax: 17_000 } });
    tight.tokens.remembers = false;
    const opened = Promise.withResolvers();
    tight.tokens.gate = opened.promise;
    const agents = await Promise.all([0, 1, 2, 3, 4].map(() => RawAgent.connect(tight.port)));
    for (const [at, raw] of agents.entries()) {
      // In one packet, so that all are read before the socket is not.
      raw.socket.cork();
      for (let n = 0; n < 3; n++)
        raw.send({ token: `token-wait${at}`, type: "alert", data, ver: "1.1", id: `${at}-${n}` });
      raw.socket.uncork();
    }
    const errors = () =>
      agents.flatMap(
        ({ received }) => `${received}`.match(/"type":"error","code":"overloaded"[^}]*"id":"\d-\d"/g) ?? [],
      );
    await until(() => errors().length === 5);
    expect(await tight.registry.metrics()).toContain('opspilot_socket_buffers_full_total{buffer="backlog"} 5\n');
    opened.resolve(undefined);
    await until(() => tight.ingest.accepted.length === 10);
    for (const [at, raw] of agents.entries()) raw.send({ token: `token-wait${at}`, type: "alert", data });
    await until(() => tight.ingest.accepted.length === 15);
    expect(errors()).toHaveLength(5);
    await tight.stop();
  });
});
