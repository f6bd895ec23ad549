import { describe, expect, test } from "bun:test";
import { createThreshold, type Level } from "../../src/agent/collectors/threshold.ts";

const LIMITS = { high: 90, critical: 97, margin: 2, holdMs: 60_000 };

/** Takes a figure every ten seconds; what is told, with the second of it. */
function told(values: readonly number[], initial?: Level): string[] {
  let nowMs = 0;
  const threshold = createThreshold(LIMITS, { monotonicMs: () => nowMs }, initial);
  return values.flatMap((value, at) => {
    nowMs = at * 10_000;
    const level = threshold.take(value);
    return level === undefined ? [] : [`${at * 10} s: ${level}`];
  });
}
const times = (count: number, value: number) => Array<number>(count).fill(value);

describe("a figure with a limit", () => {
  test.each<[string, number[], string[]]>([
    ["is high after its hold time", times(10, 91), ["60 s: high"]],
    ["is fine with a peak", [...times(6, 95), ...times(10, 50)], []],
    ["is fine just below", times(20, 89.99), []],
    ["starts its hold time anew after a moment below", [...times(5, 95), 80, ...times(7, 95)], ["120 s: high"]],
    ["is critical at once when it was", times(8, 99), ["60 s: critical"]],
    ["is critical in the time of high", [...times(4, 92), ...times(4, 98)], ["60 s: critical"]],
    ["gets worse", [...times(7, 92), ...times(8, 98)], ["60 s: high", "130 s: critical"]],
    [
      "stays high while it dances around its limit",
      [...times(7, 91), ...times(20, 88.5), ...times(9, 91)],
      ["60 s: high"],
    ],
    ["recovers below its margin", [...times(7, 91), ...times(8, 87.9)], ["60 s: high", "130 s: fine"]],
    ["recovers from critical", [...times(7, 99), ...times(8, 20)], ["60 s: critical", "130 s: fine"]],
  ])("%s", (_, values, expected) => {
    expect(told(values)).toEqual(expected);
  });

  test("recovers from what was told before a restart", () => {
    expect(told(times(7, 50), "high")).toEqual(["60 s: fine"]);
    expect(told(times(7, 95), "high")).toEqual([]);
  });
});
