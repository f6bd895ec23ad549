import { describe, expect, test } from "bun:test";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { createLoops, type LoopOptions } from "../../src/lib/loops.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

const HOUR_MS = 3_600_000;
const loops = createLoops(createSystemClock(), quiet);

function start(turn: LoopOptions["turn"], options: Partial<LoopOptions> = {}) {
  return loops.start({ name: "test", turn, everyMs: HOUR_MS, failed: "a turn failed", ...options });
}

describe("a loop", () => {
  test("turns at once, then when it is woken, and not by itself before its time", async () => {
    let turns = 0;
    const loop = start(async () => void turns++);
    await until(() => turns === 1, { what: "the first turn" });
    loop.wake();
    await until(() => turns === 2, { what: "the second turn" });
    await loop.stop();
    expect(turns).toBe(2);
  });

  test("does not lose a wake that comes during a turn", async () => {
    let turns = 0;
    const loop = start(
      async () => {
        turns++;
        if (turns === 1) loop.wake();
      },
      { restsFirst: true },
    );
    loop.wake();
    await until(() => turns === 2, { what: "the turn that was asked for" });
    await loop.stop();
  });

  test("comes again when its turn says that something is due", async () => {
    let turns = 0;
    const loop = start(async () => (++turns < 3 ? 1 : undefined));
    await until(() => turns === 3, { what: "three turns" });
    await loop.stop();
  });

  test("comes again at once when its turn says that something was due before", async () => {
    const waits: number[] = [];
    const clock = createSystemClock();
    const sleep: Clock["sleep"] = (ms, signal) => {
      waits.push(ms);
      return clock.sleep(ms, signal);
    };
    let turns = 0;
    const turn = async () => (++turns < 3 ? -20 : undefined);
    const loop = createLoops({ ...clock, sleep }, quiet).start({
      name: "test",
      turn,
      everyMs: HOUR_MS,
      failed: "a turn failed",
    });
    await until(() => turns === 3, { what: "three turns" });
    await loop.stop();
    expect(waits.slice(0, 2)).toEqual([0, 0]);
  });

  test("that comes by itself waits until the one before it is over, and a long one holds it up for a moment only", async () => {
    const clock = createSystemClock();
    const turns = { a: 0, b: 0 };
    // Rests are short; a wait in line is as long as it can be, until one is to be seen that was too long.
    const sleep: Clock["sleep"] = (ms, signal) => clock.sleep(ms > 1_000 || turns.a >= 10 ? 1 : HOUR_MS, signal);
    const quick = createLoops({ ...clock, sleep }, quiet);
    const under = new Set<string>();
    const beside: string[][] = [];
    let beforeLong = Number.POSITIVE_INFINITY;
    const held = Promise.withResolvers<void>();
    const turnOf = (name: "a" | "b") => async () => {
      if (turns[name]++ > 0) beside.push([...under]);
      if (name === "a" && turns.a === 10) beforeLong = beside.length;
      under.add(name);
      await (name === "a" && turns.a === 10 ? held.promise : Bun.sleep(5));
      under.delete(name);
      return undefined;
    };
    const started = (["a", "b"] as const).map((name) =>
      quick.start({ name, turn: turnOf(name), everyMs: HOUR_MS, failed: "a turn failed" }),
    );
    await until(() => turns.a === 10, { what: "turns of both" });
    await until(() => beside.length > beforeLong + 1, { what: "turns beside the long one" });
    held.resolve();
    for (const loop of started) await loop.stop();
    expect(beside.slice(0, beforeLong).flat()).toEqual([]);
    expect(beside.slice(beforeLong).flat()).toContain("a");
  });

  test("goes on after a turn that failed", async () => {
    let turns = 0;
    const loop = start(async () => {
      if (++turns === 1) throw new Error("for once");
      return undefined;
    });
    await until(() => turns === 2, { what: "the turn after it" });
    await loop.stop();
  });

  test("comes to an end with all others", async () => {
    const all = createLoops(createSystemClock(), quiet);
    let begun = 0;
    let ended = 0;
    const turn = async (signal: AbortSignal) => {
      begun++;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended++;
      return undefined;
    };
    const two = [1, 2].map((n) => all.start({ name: `loop ${n}`, turn, everyMs: HOUR_MS, failed: "a turn failed" }));
    await until(() => begun === 2, { what: "both are under way" });
    all.halt();
    await until(() => ended === 2, { what: "both hear of it" });
    await Promise.all(two.map((one) => one.stop()));
  });

  test("is named while its turn takes too long, and its turn hears of the stop", async () => {
    const loop = start(
      (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined))),
      { turnLimitMs: 10 },
    );
    await until(() => loops.late().includes("test"), { what: "the loop is late" });
    await loop.stop();
    expect(loops.late()).toEqual([]);
  });
});
