import { describe, expect, test } from "bun:test";
import { figureOf } from "../bench/counter.ts";
import { readOptions } from "../bench/options.ts";
import { median, quantile, summarise, tables } from "../bench/report.ts";

describe("the benchmark's report", () => {
  test.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 2, 3], 2.5],
  ])("the median of %p is %p", (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  test.each([
    [0.5, 6],
    [0.99, 10],
    [1, 10],
  ])("of 1 to 10, in any order, the quantile %p is %p", (part, expected) => {
    expect(quantile([10, 2, 3, 1, 5, 4, 7, 6, 9, 8], part)).toBe(expected);
  });

  test("compares medians, not sums, with the first subject", () => {
    const summary = summarise({
      title: "alerts, protocol 1.1",
      subjects: [
        {
          name: "OpsPilot",
          runs: [
            { per_second: 9_000, latency_p99_ms: 5 },
            { per_second: 50_000, latency_p99_ms: 9 },
            { per_second: 10_000, latency_p99_ms: 6 },
          ],
        },
        { name: "plain Go", runs: [{ per_second: 100 }, { per_second: 2_000 }, { per_second: 2_100 }] },
      ],
    });
    expect(summary.subjects).toMatchObject([
      { medians: { per_second: 10_000, latency_p99_ms: 6 }, ratios: {} },
      { medians: { per_second: 2_000 }, ratios: { per_second: 5 } },
    ]);
    expect(tables([summary])).toMatch(
      /^ +per second +p99 ms\nalerts, protocol 1\.1 +OpsPilot +10,000 +6\.0\n +plain Go +2,000 \(5\.0 ×\)$/,
    );
  });

  test("scenarios that show the same figures share a table", () => {
    const of = (title: string, figures: object) =>
      summarise({ title, subjects: [{ name: "OpsPilot", runs: [figures] }] });
    const one = of("one", { per_second: 1 });
    expect(tables([one, of("other", { peak_memory_mib: 1 }), of("two", { per_second: 2 })]).split("\n\n")).toEqual([
      expect.stringMatching(/one .*\n *two /),
      expect.stringMatching(/other /),
    ]);
  });
});

describe("the benchmark's options", () => {
  const read = (...words: string[]) => readOptions(words, "peers");

  test("it measures all that is possible", () => {
    expect(read()?.subjects).toEqual(["ours", "plain", "tuned", "limit"]);
    expect(read("--against", "dist/other")?.subjects).toContain("against");
    expect(read()).toMatchObject({ peers: "peers", runs: 3, seconds: 8 });
  });

  test("what is chosen comes in the order of all", () => {
    expect(read("--subjects", "tuned,ours", "--only", "latency,alerts")).toMatchObject({
      subjects: ["ours", "tuned"],
      scenarios: ["alerts", "latency"],
    });
  });

  test.each([
    [["--only", "alert"]],
    [["--subjects", "ours,theirs"]],
    [["--subjects", "against"]],
    [["--runs", "0"]],
    [["--duration", "long"]],
    [["--help"]],
    [["--peers", ""]],
  ])("%p is explained", (words) => {
    expect(readOptions(words, "peers")).toBeUndefined();
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
