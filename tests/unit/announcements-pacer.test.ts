import { describe, expect, test } from "bun:test";
import { createLookPacer, createPacer } from "../../src/announcements/pacer.ts";
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

describe("looks at the database", () => {
  /** Looks whenever it may, for so long; how often that was. */
  async function lookFor(ms: number, tookMs: number): Promise<number> {
    const clock = createTestClock();
    const looks = createLookPacer(clock);
    let count = 0;
    for (let atMs = 0; atMs < ms; atMs += 10) {
      if (looks.waitMs() === 0) {
        count++;
        looks.spent(tookMs);
      }
      await clock.advance(10);
    }
    return count;
  }

  test("come at once after quiet, and no more than ten a second while they are asked for all the time", async () => {
    const looks = createLookPacer(createTestClock());
    for (let n = 0; n < 5; n++) {
      expect(looks.waitMs()).toBe(0);
      looks.spent(2);
    }
    const [first, both] = [await lookFor(1_000, 2), await lookFor(11_000, 2)];
    expect(first).toBeLessThanOrEqual(22);
    expect(both - first).toBeLessThanOrEqual(101);
  });

  test("take a tenth of the time when they are slow, and are a second apart at most", async () => {
    const [first, both] = [await lookFor(10_000, 50), await lookFor(20_000, 50)];
    expect(both - first).toBeLessThanOrEqual(21);
    const looks = createLookPacer(createTestClock());
    for (let n = 0; n < 3; n++) looks.spent(5_000);
    expect(looks.waitMs()).toBe(1_000);
  });
});
