import { describe, expect, test } from "bun:test";
import { decodeEnvelope } from "../../src/protocol/decode.ts";
import { FRAME_BYTES_MAX } from "../../src/protocol/limits.ts";
import { envelopeOf } from "../support/frames.ts";

const decode = (changes: Record<string, unknown>) => decodeEnvelope(JSON.stringify(envelopeOf(changes)));
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

describe("a good envelope", () => {
  const cases: [string, Record<string, unknown>][] = [
    ["of version 1.0", {}],
    ["of version 1.1", { ver: "1.1" }],
    ["with an id", { ver: "1.1", id: "x".repeat(64) }],
    ["with a fraction of a second", { ts: 1706140800.25 }],
    ["with an empty token, for a Bearer header", { token: "" }],
    ["with the longest token", { token: "t".repeat(256) }],
    ["with unknown keys", { future: { nested: [1, 2, { three: 3 }] } }],
    ["of an alert", { type: "alert", data: "e30=", compression: "gzip" }],
  ];
  test.each(cases)("%s", (_, changes) => {
    expect(decode(changes)).toEqual({ ok: true, envelope: envelopeOf(changes) as never });
  });

  test("loses an id that is null, and any id in 1.0, which has none", () => {
    for (const changes of [
      { ver: "1.1", id: null },
      { ver: "1.0", id: "a" },
      { ver: "1.0", id: 7 },
    ]) {
      const decoded = decode(changes);
      expect(decoded.ok && "id" in decoded.envelope).toBe(false);
      expect(decoded.ok).toBe(true);
    }
  });
});

describe("a bad envelope", () => {
  const cases: [string, Record<string, unknown>, string, string][] = [
    ["version of the future", { ver: "2.0" }, "unsupported_version", "Expected ver 1.0 or 1.1"],
    ["version that is a number", { ver: 1 }, "bad_envelope", "ver: Expected string"],
    ["no version", { ver: undefined }, "bad_envelope", "ver: Expected required property"],
    ["ts before 1970", { ts: -1 }, "bad_envelope", "ts: Expected number to be greater or equal to 0"],
    ["ts after 2100", { ts: 4102444801 }, "bad_envelope", "ts: Expected number to be less or equal to 4102444800"],
    ["ts as text", { ts: "1706140800" }, "bad_envelope", "ts: Expected number"],
    ["no ts", { ts: undefined }, "bad_envelope", "ts: Expected required property"],
    ["short token", { token: "short" }, "bad_envelope", "token: Expected 8 to 256 characters"],
    ["long token", { token: "t".repeat(257) }, "bad_envelope", "token: Expected 8 to 256 characters"],
    ["no token", { token: undefined }, "bad_envelope", "token: Expected required property"],
    ["unknown type", { type: "metric" }, "bad_envelope", "type: Expected one of heartbeat, alert, result"],
    ["unknown compression", { compression: "zstd" }, "bad_envelope", "compression: Expected one of none, gzip"],
    ["data that is an object", { data: {} }, "bad_envelope", "data: Expected string"],
    ["id that is a number", { ver: "1.1", id: 5 }, "bad_envelope", "id: Expected string"],
    ["id that is empty", { ver: "1.1", id: "" }, "bad_envelope", "id: Expected string length greater or equal to 1"],
    ["id of 65", { ver: "1.1", id: "x".repeat(65) }, "bad_envelope", "id: Expected string length less or equal to 64"],
    ["id with NUL", { ver: "1.1", id: "a\0b" }, "bad_envelope", "id: Expected no NUL and no lone surrogate"],
    ["id with half a pair", { ver: "1.1", id: "a\ud83d" }, "bad_envelope", "id: Expected no NUL and no lone surrogate"],
  ];
  test.each(cases)("%s", (_, changes, reason, message) => {
    expect(decode(changes)).toMatchObject({ ok: false, reason, message });
  });

  const texts: [string, unknown, string][] = [
    ["an empty text", "", "bad_json"],
    ["a word", "hello", "bad_json"],
    ["half an object", '{"ver":"1.0"', "bad_json"],
    ["a binary frame", Buffer.from(JSON.stringify(envelopeOf())), "bad_json"],
    ["nothing", undefined, "bad_json"],
    ["a number", "12", "bad_envelope"],
    ["a string", '"hello"', "bad_envelope"],
    ["null", "null", "bad_envelope"],
    ["an array", "[]", "bad_envelope"],
    ["an empty object", "{}", "bad_envelope"],
    ["more than a frame", `"${"x".repeat(FRAME_BYTES_MAX)}"`, "too_large"],
    ["nesting that would break a parser", nested(400_000), "too_large"],
    ["a million values", `[${"1,".repeat(500_000)}1]`, "too_large"],
  ];
  test.each(texts)("%s", (_, text, reason) => {
    expect(decodeEnvelope(text)).toMatchObject({ ok: false, reason: reason as never });
  });

  test("names its id in the answer, whatever else is wrong", () => {
    expect(decode({ ver: "9.9", id: "a1" })).toMatchObject({ id: "a1" });
    expect(decode({ ver: "1.1", id: "a1", ts: "?" })).toMatchObject({ id: "a1" });
    expect(decode({ ver: "1.1", id: 4, ts: "?" })).toMatchObject({ id: undefined });
  });

  test("is too deep by the same measure, short or long", () => {
    for (const filler of ["", "x".repeat(100_000)]) {
      const of = (levels: number) =>
        decodeEnvelope(JSON.stringify(envelopeOf({ filler })).replace(/}$/, `,"deep":${nested(levels)}}`));
      expect(of(31).ok).toBe(true);
      expect(of(32)).toMatchObject({ reason: "too_large", message: "Expected at most 32 levels of nesting" });
    }
  });
});
