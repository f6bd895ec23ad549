import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { decodeEnvelope, decodePayload } from "../../src/protocol/decode.ts";
import { type Envelope, FRAME_ERRORS } from "../../src/protocol/frames.ts";
import { scanJson } from "../../src/protocol/json.ts";
import {
  JSON_DEPTH_MAX,
  JSON_VALUES_MAX,
  LOGS_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  OUTPUT_BYTES_MAX,
} from "../../src/protocol/limits.ts";
import { isCleanText, keepEnds } from "../../src/protocol/text.ts";
import { envelopeOf } from "../support/frames.ts";

/** Text of every kind: with NUL, with halves of pairs, with what looks like JSON. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom("\0", "\ud800", "\udc00", "ä", "🦊", "{", "[", '"', "\\", "\\u0000", ",", ":", "1", "x"),
  }),
);
const json = fc.jsonValue({ stringUnit: "binary", maxDepth: 5 });
const payload = fc.oneof(
  json,
  fc.record(
    {
      type: fc.oneof(fc.constant("systemd"), text),
      source: fc.oneof(fc.constant("nginx"), text),
      message: text,
      logs: fc.oneof(
        text,
        fc.integer({ min: 80_000, max: 300_000 }).map((n) => "ä€🦊x".repeat(n / 4)),
      ),
      output: fc.integer({ min: 0, max: 200_000 }).map((n) => "ä".repeat(n)),
      error: text,
      exit_code: fc.oneof(fc.integer(), fc.double(), fc.constant(null)),
      at: fc.oneof(fc.double(), fc.constant(null)),
      command_id: fc.uuid(),
      status: fc.constantFrom("done", "failed", "nothing"),
      hostname: fc.oneof(text, fc.constant(null)),
      metrics: json,
      unknown: json,
    },
    { requiredKeys: [] },
  ),
);
const bytes = fc.oneof(
  payload.map((value) => Buffer.from(JSON.stringify(value))),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  text.map((value) => Buffer.from(value)),
);
const data = fc.oneof(
  text,
  bytes.map((plain) => plain.toString("base64")),
  bytes.map((plain) => gzipSync(plain).toString("base64")),
  payload.map((value) => JSON.stringify(value)),
);
const envelope = fc.record({
  data,
  type: fc.constantFrom("heartbeat", "alert", "result"),
  compression: fc.constantFrom("none", "gzip"),
});

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...strings(inner)]);
}

function isTypedError(decoded: { reason?: unknown; message?: unknown }): boolean {
  return (
    FRAME_ERRORS.includes(decoded.reason as never) && typeof decoded.message === "string" && decoded.message !== ""
  );
}

test("anything gives an envelope or a typed error", () => {
  const message = fc.oneof(
    text,
    json.map((value) => JSON.stringify(value)),
    fc
      .record(
        { ver: text, ts: json, token: text, type: text, id: json, data: json, compression: text },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
    fc.anything(),
  );
  fc.assert(
    fc.property(message, (value) => {
      const decoded = decodeEnvelope(value);
      expect(decoded.ok || isTypedError(decoded)).toBe(true);
    }),
    { numRuns: 3_000 },
  );
});

test("any data gives a clean payload within its bounds or a typed error", () => {
  let good = 0;
  fc.assert(
    fc.property(envelope, (changes) => {
      const decoded = decodePayload(envelopeOf(changes) as Envelope);
      if (!decoded.ok) return expect(isTypedError(decoded)).toBe(true);
      good++;
      const { alert, result } = decoded.payload as { alert?: Record<string, string>; result?: Record<string, string> };
      expect(strings(decoded.payload).every(isCleanText)).toBe(true);
      expect(Buffer.byteLength(alert?.message ?? "")).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
      expect(Buffer.byteLength(alert?.logs ?? "")).toBeLessThanOrEqual(LOGS_BYTES_MAX);
      expect(Buffer.byteLength(result?.output ?? "")).toBeLessThanOrEqual(OUTPUT_BYTES_MAX);
      expect(decoded.sizeBytes).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 3_000 },
  );
  expect(good).toBeGreaterThan(100);
});

test("the scan agrees with a walk through the parsed value", () => {
  const measure = (value: unknown): { depth: number; values: number } => {
    if (typeof value !== "object" || value === null) return { depth: 0, values: 1 };
    const inner = Object.values(value).map(measure);
    const keys = Array.isArray(value) ? 0 : inner.length;
    const values = inner.reduce((sum, each) => sum + each.values, 1 + keys + (inner.length === 0 ? 1 : 0));
    return { depth: 1 + Math.max(0, ...inner.map((each) => each.depth)), values };
  };
  const deep = fc.tuple(json, fc.integer({ min: 0, max: 40 })).map(([value, levels]) => {
    let nested: unknown = value;
    for (let level = 0; level < levels; level++) nested = level % 2 ? [nested] : { 'a"\\': nested };
    return nested;
  });
  const wide = fc
    .tuple(json, fc.integer({ min: 0, max: 12_000 }))
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
