import { describe, expect, test } from "bun:test";
import { createRunLengths } from "../../src/agent/collectors/docker-runs.ts";
import { createMoments, whenSetBack } from "../../src/agent/moments.ts";
import { createTestClock } from "../support/clock.ts";

const HOUR_MS = 3_600_000;

describe("a moment", () => {
  test("tells how far the clock was set since, and how long it is ago all the same", () => {
    const clock = createTestClock();
    const moments = createMoments(clock);
    const moment = moments.now();
    clock.leap(HOUR_MS);
    expect(moments.stepMs(moment)).toBe(0);
    clock.setBack(2 * HOUR_MS);
    expect([moments.stepMs(moment), moments.ageMs(moment)]).toEqual([-2 * HOUR_MS, HOUR_MS]);
    clock.setBack(-5 * HOUR_MS);
    expect([moments.stepMs(moment), moments.ageMs(moment)]).toEqual([3 * HOUR_MS, HOUR_MS]);
  });

  test("of another start of the machine was before this one", () => {
    const clock = createTestClock();
    const moments = createMoments(clock);
    clock.leap(HOUR_MS);
    const before = { wallMs: clock.now() - 2 * HOUR_MS, monotonicMs: 9 * HOUR_MS, boot: "another" };
    expect(moments.stepMs(before)).toBe(0);
    expect(moments.stepMs({ ...before, wallMs: clock.now() + HOUR_MS })).toBe(-2 * HOUR_MS);
  });
});

describe("a clock that is put back", () => {
  test("is noticed within a second, with the last moment before", async () => {
    const clock = createTestClock();
    const moments = createMoments(clock);
    const waiting = whenSetBack(clock, moments, new AbortController().signal);
    await clock.advance(5_000);
    clock.setBack(-HOUR_MS);
    await clock.advance(5_000);
    clock.setBack(HOUR_MS);
    await clock.advance(1_000);
    const before = await waiting;
    expect(before && moments.ageMs(before)).toBe(1_000);
  });

  test("by a little each second is noticed too", async () => {
    const clock = createTestClock();
    const waiting = whenSetBack(clock, createMoments(clock), AbortSignal.timeout(1_000));
    for (let second = 0; second < 4; second++) {
      clock.setBack(900);
      await clock.advance(1_000);
    }
    expect(await waiting).toBeDefined();
  });
});

describe("how long a container ran", () => {
  test.each([2 * HOUR_MS, -2 * HOUR_MS])("is no other when the clock is put back by %d ms", (ms) => {
    const clock = createTestClock();
    const startedAt = new Date(clock.now()).toISOString();
    const runs = createRunLengths(clock, { get: () => ({ state: "running", startedAt, restarts: 0 }) } as never);
    runs.started("web");
    clock.leap(HOUR_MS);
    clock.setBack(ms);
    expect(runs.of("web", clock.now())).toBe(HOUR_MS);
  });
});
