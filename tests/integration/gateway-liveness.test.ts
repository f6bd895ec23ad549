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
  gateway = startGateway({ clock });
});
afterEach(() => gateway.stop());

const alert = (n: number, changes: Record<string, unknown> = {}) => ({
  token: "token-one",
  type: "alert",
  data: JSON.stringify(alertOf({ message: `${n}` })),
  ...changes,
});

async function rawAgent(): Promise<RawAgent> {
  const raw = await RawAgent.connect(gateway.port);
  raw.send({ token: "token-one" });
  await until(() => gateway.connections.holds("agent-one"));
  return raw;
}

describe("a silent agent", () => {
  test("that answers no ping is cut off after the timeout, and released", async () => {
    const raw = await rawAgent();
    await clock.advance(29_000);
    expect(raw.pings()).toBe(0);
    await clock.advance(2_000);
    await until(() => raw.pings() === 1);
    await clock.advance(58_000);
    expect(gateway.connections.size()).toBe(1);
    await clock.advance(2_000);
    await until(() => raw.isEnded);
    expect(raw.pings()).toBe(2);
    expect(gateway.connections.size()).toBe(0);
    await until(() => gateway.presence.released[0]?.agentId === "agent-one");
  });

  test("that answers pings stays, and was seen", async () => {
    const raw = await rawAgent();
    for (let round = 1; round <= 10; round++) {
      await clock.advance(31_000);
      await until(() => raw.pings() === round);
      const before = gateway.presence.sightings.length;
      raw.pong();
      await until(() => gateway.presence.sightings.length > before);
    }
    expect(gateway.presence.sightings.at(-1)).toEqual({ agentId: "agent-one" });
    expect(gateway.connections.size()).toBe(1);
  });

  test("that sends frames stays without pings", async () => {
    const raw = await rawAgent();
    for (let round = 2; round <= 11; round++) {
      await clock.advance(25_000);
      raw.send({ token: "token-one" });
      await until(() => gateway.presence.sightings.length === round);
    }
    expect(raw.pings()).toBe(0);
    expect(gateway.connections.size()).toBe(1);
  });
});

test("a stranger has 60 s for its token", async () => {
  const agent = await TestAgent.connect(gateway.url);
  await clock.advance(59_000);
  expect(agent.closed).toBeUndefined();
  await clock.advance(2_000);
  expect(await agent.ended()).toEqual({ code: 1008, reason: "no token in time" });
});

describe("a shutdown", () => {
  test("closes with 1001 after what had been sent is accepted and acknowledged", async () => {
    gateway.ingest.settles = false;
    const agent = await TestAgent.connect(gateway.url);
    for (let n = 0; n < 1_000; n++) agent.send(alert(n, { ver: "1.1", id: `a${n}` }));
    const stopped = gateway.gateway.stop(10_000);
    await until(() => gateway.ingest.accepted.length === 1_000);
    expect(agent.closed).toBeUndefined();
    for (const frame of gateway.ingest.accepted) frame.settled?.({ ok: true });
    await stopped;
    expect(await agent.ended()).toMatchObject({ code: 1001 });
    expect(agent.frames.filter((frame) => frame.type === "ack")).toHaveLength(1_000);
    expect(gateway.connections.size()).toBe(0);
  });

  test("waits for a token that is being looked up", async () => {
    const opened = Promise.withResolvers();
    gateway.tokens.gate = opened.promise;
    const agent = await TestAgent.connect(gateway.url);
    agent.send(alert(0));
    agent.send(alert(1));
    await until(() => gateway.tokens.asked.length === 1);
    const stopped = gateway.gateway.stop(10_000);
    opened.resolve(undefined);
    await stopped;
    expect(gateway.ingest.messages()).toEqual(["0", "1"]);
    expect(await agent.ended()).toMatchObject({ code: 1001 });
  });

  test("waits for a look-up that began in the last packet", async () => {
    const raw = await rawAgent();
    gateway.tokens.forget();
    await clock.advance(31_000);
    await until(() => raw.pings() === 1);
    raw.pong();
    await until(() => gateway.presence.sightings.length === 2);
    const opened = Promise.withResolvers();
    gateway.tokens.gate = opened.promise;
    const stopped = gateway.gateway.stop(10_000);
    raw.socket.cork();
    raw.send(alert(0));
    raw.pong();
    raw.socket.uncork();
    await until(() => gateway.tokens.asked.length === 2 && gateway.presence.sightings.length === 3);
    expect(gateway.connections.size()).toBe(1);
    opened.resolve(undefined);
    await stopped;
    expect(gateway.ingest.messages()).toEqual(["0"]);
  });

  test("does not wait long for who answers no ping", async () => {
    await rawAgent();
    const stopped = gateway.gateway.stop(60_000);
    await clock.advance(3_000);
    await stopped;
    expect(gateway.connections.size()).toBe(0);
  });

  test("closes by force at its deadline", async () => {
    gateway.ingest.settles = false;
    const agent = await TestAgent.connect(gateway.url);
    agent.send(alert(0, { ver: "1.1", id: "a0" }));
    await until(() => gateway.ingest.accepted.length === 1);
    const stopped = gateway.gateway.stop(10_000);
    await clock.advance(9_000);
    expect(gateway.connections.size()).toBe(1);
    await clock.advance(1_000);
    await stopped;
    expect(await agent.ended()).toMatchObject({ code: 1001 });
  });

  test("turns new sockets away, and may be asked for twice", async () => {
    await Promise.all([gateway.gateway.stop(1_000), gateway.gateway.stop(1_000)]);
    const late = await TestAgent.connect(gateway.url);
    expect(await late.ended()).toMatchObject({ code: 1001 });
    expect(gateway.connections.size()).toBe(0);
  });
});
