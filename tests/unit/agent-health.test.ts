import { beforeEach, describe, expect, test } from "bun:test";
import { createHealth, STEADY_MS } from "../../src/agent/collectors/health.ts";
import { supervise } from "../../src/agent/collectors/supervise.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";

let clock: TestClock;
beforeEach(() => {
  clock = createTestClock();
});

const stateOf = (health: ReturnType<typeof createHealth>) => {
  const { state, forMs, why } = health.now();
  return [state, forMs, why];
};

describe("what a collector says of itself", () => {
  test("is that it cannot see, until it watches", () => {
    const health = createHealth(clock);
    clock.leap(5_000);
    expect(stateOf(health)).toEqual(["cannot", 5_000, "it has not begun to watch yet"]);
    health.watches();
    clock.leap(1_000);
    health.watches();
    expect(stateOf(health)).toEqual(["sees", 1_000, undefined]);
  });

  test("counts from the first failure on, though the reason changes", () => {
    const health = createHealth(clock);
    health.watches();
    clock.leap(60_000);
    health.fails("no answer");
    clock.leap(3_000);
    health.fails("refused");
    expect(stateOf(health)).toEqual(["cannot", 3_000, "refused"]);
  });

  test("is believed after a failure once it has watched for a while, and what breaks off again and again is not", () => {
    const health = createHealth(clock);
    health.fails("refused");
    for (let turn = 0; turn < 10; turn++) {
      health.watches();
      clock.leap(STEADY_MS - 1);
      health.fails("broken off");
    }
    expect(stateOf(health)).toEqual(["cannot", 10 * (STEADY_MS - 1), "broken off"]);
    health.watches();
    clock.leap(STEADY_MS);
    expect(stateOf(health)).toEqual(["sees", STEADY_MS, undefined]);
  });

  test("is absent only while nothing of it was ever there, and sees at once when it comes", () => {
    const health = createHealth(clock, ["one", "two"]);
    health.fails("not here", { part: "one", isAbsent: true });
    expect(health.now().state).toBe("cannot");
    health.fails("not here either", { part: "two", isAbsent: true });
    expect(health.now()).toMatchObject({ state: "absent", why: "not here; not here either" });
    health.watches("one");
    expect(health.now().state).toBe("sees");
  });

  test("names each part that cannot, and is told already only where all of those are", () => {
    const health = createHealth(clock, ["files"]);
    health.watches("files");
    health.fails("a.log: denied", { part: "a.log" });
    health.fails("no engine", { part: "containers", isTold: true });
    expect(health.now()).toMatchObject({ state: "cannot", why: "a.log: denied; no engine", isTold: false });
    health.forget("a.log");
    expect(health.now()).toMatchObject({ state: "cannot", isTold: true });
  });

  test("is short, of one line, and names what is left out until nothing is", () => {
    const health = createHealth(clock);
    health.fails(`${"x".repeat(499)}😀\n`);
    for (let n = 0; n < 20; n++) health.gaveUp(String(n), "y\n".repeat(500));
    const { why, gaveUp } = health.now();
    expect(why).toHaveLength(500);
    expect(why?.isWellFormed()).toBe(true);
    expect(gaveUp).toHaveLength(10);
    expect(gaveUp[0]).toMatch(/^[y ]{200}$/);
    for (let n = 0; n < 20; n++) health.gaveUp(String(n), undefined);
    expect(health.now().gaveUp).toEqual([]);
  });

  test("changes when its work fails, and when it ends without a word", async () => {
    const health = createHealth(clock);
    const ends: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => ends.push(resolve));
    const running = supervise(work, { name: "x", clock, log: quiet, health });
    health.watches();
    ends[0]?.();
    await clock.advance(500);
    expect(health.now()).toMatchObject({ state: "cannot", why: expect.stringContaining("come to an end") });
    const stopped = running.stop();
    for (const end of ends) end();
    await stopped;
    const failing = createHealth(clock);
    const second = supervise(() => Promise.reject(new Error("no way")), {
      name: "x",
      clock,
      log: quiet,
      health: failing,
      judge: () => ({ isTold: true }),
    });
    await clock.advance(500);
    expect(failing.now()).toMatchObject({ state: "cannot", why: "no way", isTold: true });
    await second.stop();
  });
});
