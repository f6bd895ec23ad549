import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RawAgent, TestAgent } from "../support/agent.ts";
import { createTestClock } from "../support/clock.ts";
import { alertOf } from "../support/frames.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";

let gateway: TestGateway;

beforeEach(() => {
  gateway = startGateway({ limits: { unprovedMax: 3, unprovedGraceMs: 0, connectionsMax: 10 } });
});
afterEach(() => gateway.stop());

const connect = (headers?: Record<string, string>) => TestAgent.connect(gateway.url, headers);
const hello = (token: string, id = "h1") => ({ ver: "1.1", id, token });

async function proved(token: string): Promise<TestAgent> {
  const agent = await connect();
  agent.send(hello(token));
  await agent.frame(1);
  return agent;
}

describe("a token", () => {
  test("that is unknown is refused, and the socket closed", async () => {
    const agent = await connect();
    agent.send(hello("stranger"));
    expect(await agent.frame(0)).toMatchObject({ type: "error", code: "unauthorized", id: "h1" });
    expect(await agent.ended()).toEqual({ code: 1008, reason: "unauthorized" });
    expect(agent.frames).toHaveLength(1);
    expect(gateway.presence.claims).toEqual([]);
  });

  test("that is wrong again and again is not looked up any more; a right one from the same address is never held back", async () => {
    const answers: string[] = [];
    for (let n = 0; n < 12; n++) {
      const agent = await connect();
      agent.send(hello("stranger"));
      const frame = await agent.frame(0);
      answers.push(frame.type === "error" ? frame.code : frame.type);
      await agent.close();
    }
    expect(answers).toEqual([...Array(10).fill("unauthorized"), "rate_limited", "rate_limited"]);
    expect(gateway.tokens.asked).toHaveLength(10);
    const agent = await connect();
    agent.send(hello("token-anew"));
    expect(await agent.frame(0)).toMatchObject({ type: "welcome" });
  });

  test("that nobody gave is refused without asking", async () => {
    const agent = await connect();
    agent.send(hello(""));
    expect(await agent.frame(0)).toMatchObject({ type: "error", code: "unauthorized" });
    expect(await agent.ended()).toMatchObject({ code: 1008 });
    expect(gateway.tokens.asked).toEqual([]);
  });

  test("may come with the upgrade instead", async () => {
    const agent = await connect({ Authorization: "Bearer token-one" });
    agent.send(hello(""));
    expect(await agent.frame(0)).toMatchObject({ type: "welcome", agent_id: "agent-one" });
    agent.send(hello("token-one", "h2"));
    expect(await agent.frame(2)).toEqual({ type: "ack", id: "h2" });
  });

  test.each(["Basic token-one", "token-one", "Bearer", ""])("is not in the header %p", async (header) => {
    const agent = await connect({ Authorization: header });
    agent.send(hello(""));
    expect(await agent.frame(0)).toMatchObject({ code: "unauthorized" });
  });

  test("is looked up before a payload is decoded", async () => {
    gateway.tokens.failure = { ok: false, reason: "overloaded", message: "away" };
    const agent = await connect();
    agent.send({ token: "token-one", type: "alert", data: "%%%" });
    expect(await agent.frame(0)).toMatchObject({ code: "overloaded" });
  });

  test.each(["overloaded", "rate_limited"] as const)(
    "that is %s is for later: the connection lives",
    async (reason) => {
      gateway.tokens.failure = { ok: false, reason, message: "try again" };
      const agent = await connect();
      for (let n = 0; n < 20; n++) agent.send(hello("token-one", `h${n}`));
      expect(await agent.frame(19)).toEqual({
        type: "error",
        code: reason,
        message: "try again",
        id: "h19",
        retry_after_s: reason === "overloaded" ? 5 : 1,
      });
      expect(gateway.tokens.asked).toHaveLength(1);
      gateway.tokens.failure = undefined;
      await until(() => {
        agent.send(hello("token-one", "later"));
        return agent.frames.some((frame) => frame.type === "ack" && frame.id === "later");
      });
      expect(agent.closed).toBeUndefined();
    },
  );

  test("that never gets an answer is overloaded", async () => {
    const impatient = startGateway({ limits: { authenticationMs: 20 } });
    impatient.tokens.gate = new Promise(() => undefined);
    const agent = await TestAgent.connect(impatient.url);
    agent.send(hello("token-one"));
    expect(await agent.frame(0)).toMatchObject({ code: "overloaded", id: "h1", retry_after_s: 5 });
    await impatient.stop();
  });

  test("is checked again once the cache has forgotten it", async () => {
    const strict = startGateway({ limits: { trustMs: 0 } });
    const agent = await TestAgent.connect(strict.url);
    agent.send(hello("token-one"));
    await agent.frame(1);
    strict.tokens.forget();
    agent.send(hello("token-one", "h2"));
    expect(await agent.frame(2)).toEqual({ type: "ack", id: "h2" });
    expect(strict.tokens.asked).toHaveLength(2);

    strict.tokens.forget();
    strict.tokens.failure = { ok: false, reason: "overloaded", message: "away" };
    agent.send(hello("token-one", "h3"));
    expect(await agent.frame(3)).toEqual({ type: "ack", id: "h3" });

    strict.tokens.failure = undefined;
    strict.tokens.revoked.add("token-one");
    agent.send({ ...hello("token-one", "a4"), type: "alert", data: JSON.stringify(alertOf()) });
    expect(await agent.frame(4)).toMatchObject({ code: "unauthorized", id: "a4" });
    expect(await agent.ended()).toMatchObject({ code: 1008 });
    expect(strict.ingest.accepted).toEqual([]);
    await strict.stop();
  });
});

describe("strangers", () => {
  test("may send five bad frames", async () => {
    const agent = await connect();
    for (let n = 0; n < 4; n++) agent.send("hello");
    await agent.frame(3);
    expect(agent.closed).toBeUndefined();
    agent.send("hello");
    expect(await agent.ended()).toEqual({ code: 1008, reason: "too many bad frames and no token" });
    expect(agent.frames).toHaveLength(5);
  });

  test("go when there are too many, the oldest first; agents stay", async () => {
    const agent = await proved("token-one");
    const strangers = [await connect(), await connect(), await connect()];
    const fourth = await connect();
    expect(await strangers[0]?.ended()).toEqual({ code: 1013, reason: "too many without a token" });
    expect([agent, fourth, ...strangers.slice(1)].map((each) => each.closed)).toEqual(Array(4).fill(undefined));
  });

  test("stay while they may be agents that have just come, and go after that", async () => {
    const clock = createTestClock();
    const patient = startGateway({ clock, limits: { unprovedMax: 2 } });
    const crowd = await Promise.all(Array.from({ length: 5 }, () => TestAgent.connect(patient.url)));
    expect(patient.connections.unproved().size).toBe(5);
    await clock.advance(11_000);
    const late = await TestAgent.connect(patient.url);
    await until(() => crowd.filter(({ closed }) => closed?.code === 1013).length === 4);
    expect(patient.connections.unproved().size).toBe(2);
    expect(late.closed).toBeUndefined();
    await patient.stop();
  });

  test("make room for whoever comes when all is full, the oldest first", async () => {
    const full = startGateway({ limits: { connectionsMax: 4 } });
    const agent = await TestAgent.connect(full.url);
    agent.send(hello("token-one"));
    await agent.frame(1);
    const strangers: TestAgent[] = [];
    for (let n = 0; n < 3; n++) strangers.push(await TestAgent.connect(full.url));
    const late = await TestAgent.connect(full.url);
    late.send(hello("token-1000"));
    expect(await late.frame(1)).toEqual({ type: "ack", id: "h1" });
    expect(await strangers[0]?.ended()).toEqual({ code: 1013, reason: "too many without a token" });
    expect([agent, ...strangers.slice(1)].map((each) => each.closed)).toEqual(Array(3).fill(undefined));
    await full.stop();
  });

  test("that send invalid UTF-8 or a frame over the limit are cut off", async () => {
    const agent = await connect();
    agent.send(`"${"x".repeat(1024 * 1024)}"`);
    expect(await agent.ended()).toMatchObject({ code: 1009 });
    const raw = await RawAgent.connect(gateway.port);
    raw.socket.write(new Uint8Array([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]));
    await until(() => raw.isEnded);
    await until(() => gateway.connections.size() === 0);
  });
});

describe("a socket is turned away", () => {
  test("at the connection limit", async () => {
    const agents: TestAgent[] = [];
    for (let n = 0; n < 10; n++) agents.push(await proved(`token-${1000 + n}`));
    const late = await connect();
    expect(await late.ended()).toMatchObject({ code: 1013 });
    expect(late.frames).toMatchObject([{ type: "error", code: "overloaded", retry_after_s: 5 }]);
    await agents[0]?.close();
    await until(() => gateway.connections.size() === 9);
    await proved("token-1010");
  });

  test("while the queue is full because the database is away; the others stay", async () => {
    const agent = await proved("token-one");
    gateway.ingest.stalled = true;
    const late = await connect();
    expect(await late.ended()).toMatchObject({ code: 1013 });
    expect(late.frames).toMatchObject([{ type: "error", code: "overloaded" }]);
    agent.send(hello("token-one", "h2"));
    expect(await agent.frame(2)).toEqual({ type: "ack", id: "h2" });
  });
});

describe("an agent has one connection", () => {
  test("the newer wins", async () => {
    const first = await proved("token-one");
    const second = await proved("token-one");
    expect(await first.ended()).toMatchObject({ code: 4409 });
    second.send(hello("token-one", "h2"));
    await second.frame(2);
    const [older, newer] = gateway.presence.claims;
    expect(newer?.connectionId).toBe(gateway.connections.connectionOf("agent-one"));
    await until(() => gateway.presence.released.length === 1);
    expect(gateway.presence.released).toEqual([older as never]);
    expect(gateway.connections.agentIds()).toEqual(["agent-one"]);
  });

  test("also with another token of the same agent", async () => {
    const first = await proved("token-one~old");
    await proved("token-one~new");
    expect(await first.ended()).toMatchObject({ code: 4409 });
  });

  test("another node may take it over", async () => {
    const agent = await proved("token-one");
    const id = gateway.connections.connectionOf("agent-one");
    gateway.connections.closeAgent("agent-one", "superseded", id);
    gateway.connections.closeAgent("agent-two", "superseded");
    expect(gateway.connections.holds("agent-one")).toBe(true);
    gateway.connections.closeAgent("agent-one", "superseded", "another");
    expect(gateway.connections.holds("agent-one")).toBe(false);
    expect(await agent.ended()).toMatchObject({ code: 4409 });
  });

  test.each([
    ["deleted", 4401, []],
    ["revoked", 1008, [{ type: "error", code: "unauthorized" }]],
  ] as const)("which closes when it is %s", async (why, code, frames) => {
    const agent = await proved("token-one");
    gateway.connections.closeAgent("agent-one", why);
    expect(await agent.ended()).toMatchObject({ code });
    expect(agent.frames.slice(2)).toMatchObject([...frames]);
    await until(() => gateway.presence.released.length === 1);
  });
});

describe("a goodbye", () => {
  test.each([
    [1000, true],
    [1001, true],
    [4000, false],
  ])("is a close with code %d: %p", async (code, isGoodbye) => {
    const agent = await proved("token-one");
    await agent.close(code);
    await until(() => gateway.presence.released.length === 1);
    expect(gateway.presence.goodbyes).toEqual(isGoodbye ? ["agent-one"] : []);
  });

  test("is not what the server closes itself", async () => {
    const agent = await proved("token-one");
    gateway.connections.closeAgent("agent-one", "superseded");
    await agent.ended();
    await until(() => gateway.presence.released.length === 1);
    expect(gateway.presence.goodbyes).toEqual([]);
  });
});

describe("a claim", () => {
  test("is tried until it is recorded, and the agent is served meanwhile", async () => {
    gateway.presence.failures = 2;
    const agent = await proved("token-one");
    expect(gateway.presence.claims).toEqual([]);
    await until(() => gateway.presence.claims.length === 1);
    expect(agent.closed).toBeUndefined();
  });

  test("is given back only after it was made", async () => {
    const opened = Promise.withResolvers();
    gateway.presence.gate = opened.promise;
    const agent = await proved("token-one");
    await agent.close();
    await until(() => gateway.connections.size() === 0);
    expect(gateway.presence.released).toEqual([]);
    opened.resolve(undefined);
    await until(() => gateway.presence.released.length === 1);
    expect(gateway.presence.claims).toEqual(gateway.presence.released);
  });
});

test("500 agents at once are all served, though not one has proved its token when the last one comes", async () => {
  const crowd = startGateway({ limits: { unprovedMax: 50 } });
  const agents = await Promise.all(Array.from({ length: 500 }, () => TestAgent.connect(crowd.url)));
  const frame = (n: number, id: string) => ({
    ...hello(`token-${1000 + n}`, id),
    type: "alert",
    data: JSON.stringify(alertOf({ message: `${n}` })),
  });
  for (const [n, agent] of agents.entries()) agent.send(frame(n, "first"));
  for (const [n, agent] of agents.entries()) agent.send(frame(n, "second"));
  await until(() => agents.every((agent) => agent.frames.length === 3));
  for (const [n, agent] of agents.entries()) {
    expect(agent.frames).toEqual([
      { type: "welcome", agent_id: `agent-${1000 + n}`, heartbeat_s: 30 },
      { type: "ack", id: "first" },
      { type: "ack", id: "second" },
    ]);
  }
  expect(new Set(crowd.ingest.accepted.map((accepted) => accepted.agentId)).size).toBe(500);
  expect(crowd.connections.agentIds()).toHaveLength(500);
  await crowd.stop();
  await until(() => agents.every((agent) => agent.closed?.code === 1001));
});
