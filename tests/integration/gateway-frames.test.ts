import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { TestAgent } from "../support/agent.ts";
import { alertOf, gzipped } from "../support/frames.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";

let gateway: TestGateway;

beforeEach(() => {
  gateway = startGateway();
});
afterEach(() => gateway.stop());

const COMMAND_ID = "0190f5b0-7f57-7aaa-8bbb-0123456789ab";
const alert = (message: string, changes: Record<string, unknown> = {}) => ({
  type: "alert",
  token: "token-one",
  data: gzipped(alertOf({ message })),
  compression: "gzip",
  ...changes,
});
/** A 1.1 heartbeat: its ack shows that everything before it was handled. */
const marker = (id: string, token = "token-one") => ({ ver: "1.1", id, token });

async function connected(headers?: Record<string, string>): Promise<TestAgent> {
  return TestAgent.connect(gateway.url, headers);
}

async function framesBefore(agent: TestAgent, id: string): Promise<ServerFrame[]> {
  const at = await until(() => agent.frames.findIndex((frame) => frame.type === "ack" && frame.id === id) + 1);
  return agent.frames.slice(0, at - 1).filter((frame) => frame.type !== "welcome");
}

describe("version 1.0", () => {
  test("hears nothing back when all is well", async () => {
    const agent = await connected();
    agent.send({ token: "token-one" });
    agent.send(alert("one"));
    agent.send({
      token: "token-one",
      type: "result",
      data: JSON.stringify({ command_id: COMMAND_ID, status: "done" }),
    });
    await until(() => gateway.ingest.accepted.length === 2);
    expect(gateway.ingest.accepted).toMatchObject([
      { kind: "alert", agentId: "agent-one", messageId: null, ageMs: 0, alert: alertOf({ message: "one" }) },
      { kind: "result", agentId: "agent-one", messageId: null, result: { command_id: COMMAND_ID, status: "done" } },
    ]);
    expect(gateway.presence.sightings[0]).toMatchObject({ agentId: "agent-one", heartbeat: {} });
    expect(agent.frames).toEqual([]);
  });

  test("has no ids: one is ignored", async () => {
    const agent = await connected();
    agent.send(alert("one", { id: "a1" }));
    agent.send(marker("end"));
    expect(await framesBefore(agent, "end")).toEqual([]);
    expect(gateway.ingest.accepted).toMatchObject([{ messageId: null }]);
  });
});

describe("version 1.1", () => {
  test("is welcomed once, after the first frame", async () => {
    const agent = await connected();
    agent.send({ ver: "1.1", token: "token-one" });
    agent.send({ ver: "1.1", token: "token-one", id: "h1" });
    expect(await agent.frame(0)).toEqual({ type: "welcome", agent_id: "agent-one", heartbeat_s: 30 });
    expect(await agent.frame(1)).toEqual({ type: "ack", id: "h1" });
  });

  test("has a heartbeat acknowledged at once, an alert and a result when they are durable", async () => {
    gateway.ingest.settles = false;
    const agent = await connected();
    agent.send(alert("one", { ver: "1.1", id: "a1" }));
    agent.send({
      ...marker("r1"),
      type: "result",
      data: JSON.stringify({ command_id: COMMAND_ID, status: "done" }),
    });
    agent.send(marker("h1"));
    expect(await framesBefore(agent, "h1")).toEqual([]);
    const [first, second] = gateway.ingest.accepted;
    second?.settled?.({ ok: true });
    first?.settled?.({ ok: true });
    expect(await agent.frame(2)).toEqual({ type: "ack", id: "r1" });
    expect(await agent.frame(3)).toEqual({ type: "ack", id: "a1" });
  });

  test("without an id is not acknowledged", async () => {
    const agent = await connected();
    agent.send(alert("one", { ver: "1.1" }));
    agent.send(marker("end"));
    expect(await framesBefore(agent, "end")).toEqual([]);
    expect(gateway.ingest.messages()).toEqual(["one"]);
  });

  test("hears when a frame was refused for good after it was queued", async () => {
    gateway.ingest.settles = false;
    const agent = await connected();
    agent.send(alert("one", { ver: "1.1", id: "a1" }));
    await until(() => gateway.ingest.accepted.length === 1);
    gateway.ingest.accepted[0]?.settled?.({ ok: false, reason: "bad_payload", message: "cannot be stored" });
    expect(await agent.frame(1)).toEqual({ type: "error", code: "bad_payload", message: "cannot be stored", id: "a1" });
  });
});

describe("a bad frame gets its error, and the connection lives on:", () => {
  const cases: [string, Record<string, unknown> | string | Uint8Array, string, string | undefined][] = [
    ["no JSON", "hello", "bad_json", undefined],
    ["an empty text", "", "bad_json", undefined],
    ["a binary frame", Buffer.from("{}"), "bad_json", undefined],
    ["a number", "12", "bad_envelope", undefined],
    ["no type", { ...marker("e1"), type: undefined }, "bad_envelope", "e1"],
    ["another version", { ...marker("e1"), ver: "2.0" }, "unsupported_version", "e1"],
    ["no base64", { ...marker("e1"), type: "alert", data: "%%%" }, "bad_base64", "e1"],
    ["no gzip", { ...marker("e1"), type: "alert", data: "e30=", compression: "gzip" }, "bad_gzip", "e1"],
    ["too much", { ...marker("e1"), data: gzipped("x".repeat(2_000_000)), compression: "gzip" }, "too_large", "e1"],
    ["too deep", `{"deep":${"[".repeat(40)}${"]".repeat(40)}}`, "too_large", undefined],
    ["no alert", { ...marker("e1"), type: "alert", data: "e30=" }, "bad_payload", "e1"],
    ["another token", marker("e1", "token-two"), "token_mismatch", "e1"],
    ["no token", marker("e1", ""), "token_mismatch", "e1"],
  ];
  test.each(cases)("%s", async (_, message, code, id) => {
    const agent = await connected();
    agent.send({ token: "token-one" });
    for (let round = 0; round < 6; round++) agent.send(message);
    agent.send(marker("end"));
    const errors = await framesBefore(agent, "end");
    expect(errors).toHaveLength(6);
    expect(errors[5]).toMatchObject({ type: "error", code: code as never, message: expect.stringMatching(/./) });
    expect((errors[5] as { id?: string }).id).toBe(id);
    expect(agent.closed).toBeUndefined();
  });
});

describe("effects", () => {
  test("come in the order of the frames, though the token must be looked up", async () => {
    const opened = Promise.withResolvers();
    gateway.tokens.gate = opened.promise;
    gateway.tokens.remembers = false;
    const agent = await connected();
    const expected = Array.from({ length: 300 }, (_, at) => `alert ${at}`);
    for (const message of expected) agent.send(alert(message));
    await until(() => gateway.tokens.asked.length === 1);
    expect(gateway.ingest.accepted).toEqual([]);
    opened.resolve(undefined);
    await until(() => gateway.ingest.accepted.length === 300);
    expect(gateway.ingest.messages()).toEqual(expected);
    expect(gateway.tokens.asked).toEqual(["token-one"]);
  });

  test("carry the clock's skew when it is over five minutes", async () => {
    const agent = await connected();
    const nowSeconds = Date.now() / 1000;
    for (const ts of [nowSeconds, nowSeconds - 299, nowSeconds - 1000, nowSeconds + 1000])
      agent.send({ token: "token-one", ts });
    await until(() => gateway.presence.sightings.length === 4);
    const skews = gateway.presence.sightings.map(
      (sighting) => sighting.skewSeconds && Math.round(sighting.skewSeconds / 10) * 10,
    );
    expect(skews).toEqual([undefined, undefined, 1000, -1000]);
  });

  test("carry how long ago an alert happened, within seven days", async () => {
    const agent = await connected();
    const week = 7 * 24 * 3600;
    const ages: [number, number][] = [
      [0, 0],
      [90.5, 90_500],
      [week, week * 1000],
      [week + 1, 0],
      [-1, 0],
    ];
    for (const [ageSeconds] of ages) {
      const ts = 1_706_140_800;
      agent.send(alert("one", { ts, data: gzipped(alertOf({ at: ts - ageSeconds })) }));
    }
    await until(() => gateway.ingest.accepted.length === ages.length);
    const accepted = gateway.ingest.accepted.map((frame) => (frame.kind === "alert" ? frame.ageMs : undefined));
    expect(accepted).toEqual(ages.map(([, ageMs]) => ageMs));
  });
});

test("a surprise costs the connection, not the server", async () => {
  const agent = await connected();
  gateway.presence.seen = () => {
    throw new Error("a surprise");
  };
  agent.send({ token: "token-one" });
  expect(await agent.ended()).toMatchObject({ code: 1011 });
});

test("a command reaches the agent's socket, and none that has gone", async () => {
  const agent = await connected();
  const command = { type: "command", id: COMMAND_ID, command: "ping", params: {}, ttl_s: 60 } as const;
  expect(gateway.connections.deliver("agent-one", command)).toBe(false);
  agent.send(marker("h1"));
  await agent.frame(1);
  expect(gateway.connections.holds("agent-one")).toBe(true);
  expect(gateway.connections.deliver("agent-one", command)).toBe(true);
  expect(await agent.frame(2)).toEqual(command);
  await agent.close();
  await until(() => !gateway.connections.holds("agent-one"));
  expect(gateway.connections.deliver("agent-one", command)).toBe(false);
});

test("frames are counted by type and outcome", async () => {
  const agent = await connected();
  agent.send(alert("one"));
  agent.send({ token: "token-one" });
  agent.send("hello");
  agent.send(marker("x", "token-two"));
  agent.send(marker("end"));
  await framesBefore(agent, "end");
  const text = await gateway.registry.metrics();
  for (const line of [
    'opspilot_frames_total{type="alert",outcome="ok"} 1',
    'opspilot_frames_total{type="heartbeat",outcome="ok"} 2',
    'opspilot_frames_total{type="unknown",outcome="bad_json"} 1',
    'opspilot_frames_total{type="heartbeat",outcome="token_mismatch"} 1',
    "opspilot_connections 1",
  ]) {
    expect(text).toContain(line);
  }
});
