import { describe, expect, test } from "bun:test";
import type { AcceptedFrame } from "../../src/ingest/model.ts";
import { createIngestQueue, uuidOf } from "../../src/ingest/service.ts";
import { isUuid } from "../../src/lib/uuid.ts";

const AGENTS = ["00000000-0000-4000-8000-0000000000a0", "00000000-0000-4000-8000-0000000000b1"];
const ONE_KIB = 1024;

function frame(agentId: string, sizeBytes: number, uuid = crypto.randomUUID() as string): AcceptedFrame {
  const alert = { type: "systemd", source: "nginx", message: "down" };
  return {
    kind: "alert",
    origin: "agent",
    agentId,
    messageId: null,
    alert,
    ageMs: 0,
    sizeBytes: sizeBytes - 512,
    uuid,
    acceptedAtMs: 0,
  };
}

function createQueue(limitBytes: number, lanes = 2) {
  const told: string[] = [];
  const flow = {
    pauseAll: () => told.push("pause all"),
    resumeAll: () => told.push("resume all"),
    pauseAgent: (id: string) => told.push(`pause ${AGENTS.indexOf(id)}`),
    resumeAgent: (id: string) => told.push(`resume ${AGENTS.indexOf(id)}`),
  };
  return { queue: createIngestQueue({ limitBytes, lanes, flow }), told };
}

describe("the ingest queue", () => {
  test("keeps the order of an agent's frames, all in one lane", () => {
    const { queue } = createQueue(100 * ONE_KIB);
    const uuids = Array.from({ length: 20 }, (_, n) => `u${n}`);
    for (const uuid of uuids) queue.push(frame(AGENTS[0] as string, ONE_KIB, uuid));
    const lane = queue.waiting(0) > 0 ? 0 : 1;
    expect(queue.waiting(1 - lane)).toBe(0);
    const taken = [...queue.take(lane, { frames: 15, bytes: 1e9 }), ...queue.take(lane, { frames: 15, bytes: 1e9 })];
    expect(taken.map((one) => one.uuid)).toEqual(uuids);
  });

  test("cuts a batch by frames and by bytes, but never takes none", () => {
    const { queue } = createQueue(10_000 * ONE_KIB, 1);
    for (let n = 0; n < 10; n++) queue.push(frame(AGENTS[0] as string, 4 * ONE_KIB));
    expect(queue.take(0, { frames: 3, bytes: 1e9 })).toHaveLength(3);
    expect(queue.take(0, { frames: 100, bytes: 1 })).toHaveLength(1);
  });

  test("holds everybody back at its limit, and lets go at half of it", () => {
    const { queue, told } = createQueue(10 * ONE_KIB, 1);
    for (let n = 0; n < 10; n++) queue.push(frame(`agent-${n}`, ONE_KIB));
    expect(told).toEqual(["pause all"]);
    expect(queue.isFull()).toBe(true);
    const taken = queue.take(0, { frames: 10, bytes: 1e9 });
    queue.release(taken.slice(0, 4));
    expect(queue.isFull()).toBe(true);
    queue.release(taken.slice(4));
    expect(told).toEqual(["pause all", "resume all"]);
    expect([queue.bytes(), queue.frames()]).toEqual([0, 0]);
  });

  test("holds back an agent alone that has more than its share", () => {
    const { queue, told } = createQueue(80 * ONE_KIB, 2);
    for (let n = 0; n < 10; n++) queue.push(frame(AGENTS[0] as string, ONE_KIB));
    queue.push(frame(AGENTS[1] as string, ONE_KIB));
    expect(told).toEqual(["pause 0"]);
    for (const lane of [0, 1]) queue.release(queue.take(lane, { frames: 100, bytes: 1e9 }));
    expect(told).toEqual(["pause 0", "resume 0"]);
  });

  test("counts frames that were taken until they are released", () => {
    const { queue } = createQueue(10 * ONE_KIB, 1);
    queue.push(frame(AGENTS[0] as string, ONE_KIB));
    const taken = queue.take(0, { frames: 1, bytes: 1e9 });
    expect([queue.waiting(0), queue.frames(), queue.bytes()]).toEqual([0, 1, ONE_KIB]);
    queue.release(taken);
    expect(queue.frames()).toBe(0);
  });
});

describe("an alert's uuid", () => {
  const [agentId = "", otherId = ""] = AGENTS;
  const ids = Array.from({ length: 100 }, (_, n) => Bun.randomUUIDv7("hex", Date.UTC(2026, 0, 1) + n));

  test("is the same for the same message of the same agent, and another for every other", () => {
    const all = [...ids, "7", "alert-7", crypto.randomUUID()].flatMap((messageId) => [
      uuidOf({ agentId, messageId }),
      uuidOf({ agentId: otherId, messageId }),
      uuidOf({ origin: "server", agentId, messageId }),
    ]);
    expect(new Set(all).size).toBe(all.length);
    expect(uuidOf({ agentId, messageId: "7" })).toBe(uuidOf({ agentId, messageId: "7" }));
    const [messageId = ""] = ids;
    expect(uuidOf({ agentId, messageId: messageId.toUpperCase() })).not.toBe(uuidOf({ agentId, messageId }));
  });

  test("is in order of time where the message's id is, whoever sent it", () => {
    const uuids = ids.map((messageId, n) => uuidOf({ agentId: n % 2 === 0 ? agentId : otherId, messageId }));
    expect(uuids.toSorted()).toEqual(uuids);
    for (const uuid of uuids) expect(isUuid(uuid)).toBe(true);
  });
});
