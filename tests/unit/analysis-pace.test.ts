import { describe, expect, test } from "bun:test";
import { createPace } from "../../src/analysis/explain.ts";
import type { Clock } from "../../src/lib/clock.ts";

/** A clock on which work takes as long as a test says, and which notes each rest. */
function createWork() {
  let nowMs = 0;
  const rests: number[] = [];
  const clock: Clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms) {
      rests.push(ms);
      nowMs += ms;
    },
  };
  const work = (ms: number) => {
    nowMs += ms;
  };
  return { clock, rests, work };
}

const { signal } = new AbortController();

describe("the pace of explaining", () => {
  test("rests for nobody while there is little to do", async () => {
    const { clock, rests, work } = createWork();
    const pace = createPace(clock, () => false);
    pace.start();
    for (let slice = 0; slice < 50; slice++) {
      work(10);
      await pace.rest(signal);
    }
    expect(rests).toEqual(Array(50).fill(0));
  });

  test("does not give way for a piece of work that is shorter than a slice", async () => {
    const { clock, rests, work } = createWork();
    const pace = createPace(clock, () => true);
    pace.start();
    work(4);
    await pace.rest(signal);
    expect(rests).toEqual([]);
  });

  test("leaves half of the time to others in a backlog, over all its jobs", async () => {
    const { clock, rests, work } = createWork();
    const pace = createPace(clock, () => false);
    for (let job = 0; job < 300; job++) {
      pace.start();
      work(10);
      await pace.rest(signal);
    }
    const restedMs = rests.reduce((sum, ms) => sum + ms, 0);
    expect(restedMs).toBe(300 * 10 - 1_000);
  });

  test("works at once again after a pause", async () => {
    const { clock, rests, work } = createWork();
    const pace = createPace(clock, () => false);
    pace.start();
    work(1_500);
    await pace.rest(signal);
    work(2_000);
    pace.start();
    work(10);
    await pace.rest(signal);
    expect(rests).toEqual([1_500, 0]);
  });

  test("takes a sixty-fourth of a core while ingest is behind", async () => {
    const { clock, rests, work } = createWork();
    const pace = createPace(clock, () => true);
    pace.start();
    for (const ms of [10, 1_000]) {
      work(ms);
      await pace.rest(signal);
    }
    expect(rests).toEqual([630, 2_000]);
  });

  test("hears the stop at once, before a piece of work and while it rests", async () => {
    const stopping = new AbortController();
    const { clock, work } = createWork();
    const resting: Clock = {
      ...clock,
      sleep: (_, heard) => new Promise((resolve) => heard?.addEventListener("abort", () => resolve())),
    };
    const pace = createPace(resting, () => true);
    pace.start();
    work(10);
    const rest = pace.rest(stopping.signal);
    stopping.abort(new Error("the server stops"));
    await expect(rest).rejects.toThrow("the server stops");
    await expect(pace.rest(stopping.signal)).rejects.toThrow("the server stops");
  });
});
