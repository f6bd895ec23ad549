import { describe, expect, test } from "bun:test";
import { figureOf } from "../bench/counter.ts";
import type { Measurement } from "../bench/load.ts";
import { median, summarise, table } from "../bench/report.ts";

const measured = (perSecond: number, latencyMs: Measurement["latencyMs"] = null): Measurement => ({
  perSecond,
  messages: 1000,
  serverCpuPer1000: 0.1,
  databaseCpuPer1000: 0.2,
  peakMemoryMib: 50,
  latencyMs,
});

describe("the benchmark's report", () => {
  test.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 2, 3], 2.5],
  ])("the median of %p is %p", (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  test("compares medians, not sums", () => {
    const summary = summarise({
      scenario: { mode: "alert", version: "1.1" },
      go: [measured(100), measured(2_000), measured(2_100)],
      opspilot: [
        measured(9_000, { p50: 1, p99: 5 }),
        measured(50_000, { p50: 2, p99: 9 }),
        measured(10_000, { p50: 3, p99: 6 }),
      ],
    });
    expect(summary).toMatchObject({ ratio: 5, go: { per_second: 2_000, latency_p50_ms: null } });
    expect(summary.opspilot).toMatchObject({ per_second: 10_000, latency_p50_ms: 2, latency_p99_ms: 6 });
    expect(table([summary])).toMatch(
      /^ +server .*\nalerts, protocol 1\.1 +plain Go +2,000 .*\n +OpsPilot +10,000 +5 ×/,
    );
  });
});

describe("a figure of a Prometheus page", () => {
  const page = '# TYPE a counter\na{type="x"} 12\na{type="x",outcome="ok"} 1500\n';

  test.each([
    ['a{type="x"}', 12],
    ['a{type="x",outcome="ok"}', 1500],
    ['a{type="y"}', 0],
  ])("%s is %p", (series, expected) => {
    expect(figureOf(page, series)).toBe(expected);
  });
});
