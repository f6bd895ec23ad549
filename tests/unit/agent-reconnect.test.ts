import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import type { Delivery } from "../../src/agent/delivery.ts";
import { createReconnectPolicy, keepConnected, type SessionEnd } from "../../src/agent/server-connection.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";

const FAILED: SessionEnd = {
  code: 1006,
  reason: "",
  wasOpen: false,
  welcomeMs: undefined,
  acknowledged: 0,
  refusal: undefined,
};
const WELCOMED: SessionEnd = { ...FAILED, wasOpen: true, welcomeMs: 1_000 };

describe("the wait before the next try", () => {
  test("grows from a second to a quarter of a minute, with jitter, and never ends", () => {
    const ceilings = [2, 4, 8, 15, 15];
    for (let round = 0; round < 50; round++) {
      const next = createReconnectPolicy(createTestClock());
      for (const ceiling of ceilings) {
        const { waitMs } = next(FAILED);
        expect(waitMs).toBeGreaterThanOrEqual(ceiling * 500);
        expect(waitMs).toBeLessThanOrEqual(ceiling * 1_000);
      }
      for (let n = 0; n < 2_000; n++) expect(next(FAILED).waitMs).toBeLessThanOrEqual(15_000);
    }
    const first = new Set(Array.from({ length: 20 }, () => createReconnectPolicy(createTestClock())(FAILED).waitMs));
    expect(first.size).toBeGreaterThan(10);
  });

  test.each([
    ["that lived for a while", { ...WELCOMED, welcomeMs: 10_000 }, true],
    ["on which something was acknowledged", { ...WELCOMED, acknowledged: 1 }, true],
    ["that was welcomed and broke off", WELCOMED, false],
    ["that was only opened", { ...FAILED, wasOpen: true }, false],
  ])("begins anew after a connection %s: %s", (_, end, isReset) => {
    const next = createReconnectPolicy(createTestClock());
    for (let n = 0; n < 6; n++) next(FAILED);
    expect(next(end).waitMs <= 2_000).toBe(isReset);
  });

  test("is at least what the server asked for", () => {
    const refusal = { code: "overloaded" as const, message: "", retryAfterS: 30 };
    expect(createReconnectPolicy(createTestClock())({ ...FAILED, code: 1013, refusal }).waitMs).toBe(30_000);
  });

  test.each([
    ["unauthorized", { refusal: { code: "unauthorized" as const, message: "", retryAfterS: undefined } }],
    ["of a deleted agent", { code: 4401 }],
    ["closed for want of a token", { code: 1008 }],
  ])("is a minute after a refusal, however often (%s)", (_, changes) => {
    const next = createReconnectPolicy(createTestClock());
    for (let n = 0; n < 10; n++) {
      const { waitMs, level } = next({ ...WELCOMED, ...changes });
      expect(level).toBe("error");
      expect(waitMs).toBeGreaterThanOrEqual(60_000);
      expect(waitMs).toBeLessThanOrEqual(66_000);
    }
  });

  test("is half a minute at least once this agent was thrown out twice, and stays so while two fight", async () => {
    const clock = createTestClock();
    const next = createReconnectPolicy(clock);
    const superseded = { ...WELCOMED, code: 4409 };
    expect(next(superseded)).toMatchObject({ level: "warn" });
    await clock.advance(181_000);
    expect(next(superseded).waitMs).toBeLessThanOrEqual(4_000);
    for (let n = 0; n < 20; n++) {
      await clock.advance(120_000);
      const { waitMs, level, message } = next(superseded);
      expect(waitMs).toBeGreaterThanOrEqual(30_000);
      expect(waitMs).toBeLessThanOrEqual(60_000);
      expect(level).toBe("error");
      expect(message).toContain("cloned");
    }
  });
});

describe("a server that is away for days", () => {
  /** A clock on which every wait is over at once, but for a breath now and then. */
  function createHurriedClock(): Clock {
    let nowMs = 0;
    let waits = 0;
    return {
      now: () => nowMs,
      monotonicMs: () => nowMs,
      sleep(ms) {
        nowMs += ms;
        return ++waits % 100 === 0 ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve();
      },
    };
  }

  test("costs no memory and few lines of the log", async () => {
    const clock = createHurriedClock();
    let told = 0;
    const log = Object.create(quiet, { warn: { value: () => void told++ }, error: { value: () => void told++ } });
    const objects: number[] = [];
    let tries = 0;
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const connection = keepConnected({
      serverUrl: "ws://nowhere",
      openSocket(events) {
        tries++;
        if (tries % 5_000 === 0) {
          Bun.gc(true);
          objects.push(heapStats().objectCount);
        }
        if (tries === 20_000) resolve();
        queueMicrotask(() => events.ended({ code: 1006, reason: "refused", wasOpen: false }));
        return { send: () => undefined, ping: () => undefined, close: () => undefined, terminate: () => undefined };
      },
      delivery: { end: () => undefined } as unknown as Delivery,
      readFacts: async () => ({}),
      command: () => undefined,
      welcomed: () => undefined,
      clock,
      log,
    });
    await enough;
    await connection.stop();
    const days = clock.monotonicMs() / 86_400_000;
    expect(days).toBeGreaterThan(2);
    expect((objects.at(-1) ?? 0) - (objects[0] ?? 0)).toBeLessThan(500);
    expect(told / days).toBeLessThanOrEqual(97);
  }, 180_000);
});
