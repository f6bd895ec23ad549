import { describe, expect, test } from "bun:test";
import { createPacer } from "../../src/announcements/pacer.ts";
import { createTestClock } from "../support/clock.ts";

describe("the pace of an outlet", () => {
  test("is one call each interval", async () => {
    const clock = createTestClock();
    const pacer = createPacer(clock, 1_000);
    expect(pacer.waitMs()).toBe(0);
    pacer.began();
    expect(pacer.waitMs()).toBe(1_000);
    await clock.advance(1_000);
    expect(pacer.waitMs()).toBe(0);
  });

  test("keeps the quiet that the outlet asked for", () => {
    const pacer = createPacer(createTestClock(), 1_000);
    pacer.began();
    pacer.failed(30_000);
    expect(pacer.waitMs()).toBe(30_000);
  });

  test("slows down to a call a minute while the outlet is down, and says when that is over", () => {
    const clock = createTestClock();
    const pacer = createPacer(clock, 100);
    for (let n = 0; n < 20; n++) pacer.failed(null);
    expect(pacer.waitMs()).toBeGreaterThanOrEqual(30_000);
    expect(pacer.waitMs()).toBeLessThanOrEqual(60_000);
    expect([pacer.succeeded(), pacer.succeeded()]).toEqual([true, false]);
  });

  test("takes one failure for a message's", () => {
    const pacer = createPacer(createTestClock(), 100);
    pacer.failed(null);
    expect(pacer.succeeded()).toBe(false);
  });
});
