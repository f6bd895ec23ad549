import { describe, expect, test } from "bun:test";
import { createFigureBuffer } from "../../src/figures/buffer.ts";
import { planOf } from "../../src/figures/reader.ts";
import { tallyOf } from "../../src/figures/samples.ts";

const NOW_MINUTE = 29_500_000;
const NOW_S = NOW_MINUTE * 60 + 30;

describe("figures that wait to be written", () => {
  test("are bounded: the oldest minutes go, and it is told how many", () => {
    const buffer = createFigureBuffer(100);
    for (const key of [3, 4, 5])
      for (let host = 0; host < 20; host++) buffer.add(key, key, `host-${host}`, tallyOf({ cpu_pct: 1, load1: 1 }));
    const taken = buffer.take(undefined).map(([key, { byAgent }]) => [key, byAgent.size]);
    expect(taken).toEqual([
      [4, 20],
      [5, 20],
    ]);
    expect([buffer.takeLost(), buffer.takeLost()]).toEqual([20, 0]);
    expect(buffer.isEmpty()).toBe(true);
    // What was taken out has its room back.
    for (let host = 0; host < 50; host++) buffer.add(6, 6, `host-${host}`, tallyOf({ cpu_pct: 1, load1: 1 }));
    expect(buffer.takeLost()).toBe(0);
  });

  test("of the present minute stay, whatever the clock made of the others", () => {
    const buffer = createFigureBuffer();
    for (const [key, middleMs] of [
      [9, 1],
      [2, 2],
      [3, 3],
    ] as const)
      buffer.add(key, middleMs, "host", tallyOf({ cpu_pct: key }));
    expect(buffer.take(3).map(([key]) => key)).toEqual([9, 2]);
    expect(buffer.isEmpty()).toBe(false);
  });
});

describe("a range of figures", () => {
  const cases = [
    [{}, 60, 180],
    [{ fromS: NOW_S - 3 * 3_600 }, 60, 180],
    [{ fromS: NOW_S - 4 * 3_600 }, 300, 49],
    [{ fromS: NOW_S - 4 * 3_600, toS: NOW_S - 3 * 3_600 }, 300, 13],
    [{ fromS: NOW_S - 24 * 3_600 }, 300, 289],
    [{ fromS: NOW_S - 30 * 86_400 }, 3_600, 721],
    [{ fromS: NOW_S - 3 * 3_600, stepS: 3_600 }, 3_600, 4],
    [{ fromS: NOW_S - 100, toS: NOW_S + 1e6 }, 60, 3],
  ] as const;

  test.each(cases)("%j is answered by the finest step that is kept for as long", (range, stepS, steps) => {
    const planned = planOf(range, NOW_MINUTE);
    if (!planned.ok) throw new Error(planned.message);
    expect(planned.stepS).toBe(stepS);
    expect(planned.fromS % stepS).toBe(0);
    expect(Math.abs((planned.toS - planned.fromS) / stepS - steps)).toBeLessThanOrEqual(1);
    expect(planned.fromS).toBeLessThanOrEqual("fromS" in range ? range.fromS : NOW_S);
  });

  test("has 2,000 steps at most", () => {
    const toS = NOW_MINUTE * 60;
    expect(planOf({ fromS: toS - 2_000 * 60, toS, stepS: 60 }, NOW_MINUTE)).toMatchObject({ ok: true });
    expect(planOf({ fromS: toS - 2_001 * 60, toS, stepS: 60 }, NOW_MINUTE)).toMatchObject({ ok: false, field: "step" });
    expect(planOf({ fromS: toS - 2_001 * 3_600, toS }, NOW_MINUTE)).toMatchObject({ ok: false, field: "from" });
  });
});
