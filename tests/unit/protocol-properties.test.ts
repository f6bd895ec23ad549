import { expect, test } from "bun:test";
import fc from "fast-check";
import { scanJson } from "../../src/protocol/json.ts";
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from "../../src/protocol/limits.ts";
import { keepEnds } from "../../src/protocol/text.ts";
import { fuzzEnvelopes, fuzzPayloads, hostileJson } from "../support/hostile-frames.ts";

const CASES = 5_000;

test("anything gives an envelope or a typed error", () => {
  fuzzEnvelopes({ cases: CASES });
});

test("any data gives a clean payload within its bounds or a typed error", () => {
  expect(fuzzPayloads({ cases: CASES }).good).toBeGreaterThan(100);
});

test("the scan agrees with a walk through the parsed value", () => {
  const measure = (value: unknown): { depth: number; values: number } => {
    if (typeof value !== "object" || value === null) return { depth: 0, values: 1 };
    const inner = Object.values(value).map(measure);
    const keys = Array.isArray(value) ? 0 : inner.length;
    const values = inner.reduce((sum, each) => sum + each.values, 1 + keys + (inner.length === 0 ? 1 : 0));
    return { depth: 1 + Math.max(0, ...inner.map((each) => each.depth)), values };
  };
  const deep = fc.tuple(hostileJson, fc.integer({ min: 0, max: 40 })).map(([value, levels]) => {
    let nested: unknown = value;
    for (let level = 0; level < levels; level++) nested = level % 2 ? [nested] : { 'a"\\': nested };
    return nested;
  });
  const wide = fc
    .tuple(hostileJson, fc.integer({ min: 0, max: 12_000 }))
    .map(([value, n]) => Array.from({ length: n }, () => value));
  fc.assert(
    fc.property(fc.oneof(deep, wide), (value) => {
      const { depth, values } = measure(value);
      const fault = scanJson(JSON.stringify(value));
      expect(fault === undefined).toBe(depth <= JSON_DEPTH_MAX && values <= JSON_VALUES_MAX);
    }),
    { numRuns: 500 },
  );
});

test("cut text keeps its ends within the limit", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 2_000 }),
      fc.integer({ min: 100, max: 1_000 }),
      (whole, limit) => {
        const kept = keepEnds(whole, limit);
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(limit);
        if (Buffer.byteLength(whole) <= limit) return expect(kept).toBe(whole);
        const [head = "", tail = ""] = kept.split(/\n\[\.\.\. \d+ bytes left out \.\.\.\]\n/);
        expect(whole.startsWith(head) && whole.endsWith(tail)).toBe(true);
      },
    ),
  );
});
