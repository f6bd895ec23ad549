import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { demultiplex } from "../../src/agent/docker-logs.ts";
import { createBoundedOutput } from "../../src/agent/run-process.ts";
import { logFrame } from "../support/fake-docker.ts";

/** The bytes in pieces, cut at the given places. */
function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((one, other) => one - other);
  return [0, ...cuts].map((start, at) => bytes.subarray(start, cuts[at] ?? bytes.length));
}

describe("bounded output", () => {
  test("is the whole text while it fits, in whatever pieces it came", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), fc.array(fc.nat()), (text, places) => {
        const output = createBoundedOutput(1024);
        for (const piece of cutAt(Buffer.from(text), places)) output.push(piece);
        expect(output.text()).toBe(Buffer.from(text).toString());
      }),
    );
  });

  test("else is its head, how much is missing, and its tail, within the limit and with no character cut", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", minLength: 300, maxLength: 2000 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.integer({ min: 200, max: 300 }),
        (text, places, limit) => {
          const bytes = Buffer.from(text.toWellFormed());
          const output = createBoundedOutput(limit);
          for (const piece of cutAt(bytes, places)) output.push(piece);
          const whole = bytes.toString();
          const shown = output.text();
          if (bytes.length <= limit) return expect(shown).toBe(whole);
          expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(limit);
          const [, head = "?", left, tail = "?"] =
            /^([\s\S]*)\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n([\s\S]*)$/.exec(shown) ?? [];
          expect(whole.startsWith(head)).toBe(true);
          expect(whole.endsWith(tail)).toBe(true);
          expect(Buffer.byteLength(head) + Number(left) + Buffer.byteLength(tail)).toBe(bytes.length);
          // Not more was left out than had to be.
          expect(Math.min(Buffer.byteLength(head), Buffer.byteLength(tail))).toBeGreaterThan((limit - 64) / 2 - 5);
        },
      ),
    );
  });

  test("is within the limit for bytes that are no text, too", () => {
    const output = createBoundedOutput(1000);
    output.push(new Uint8Array(900).fill(0xff));
    expect(Buffer.byteLength(output.text())).toBeLessThanOrEqual(1000);
  });

  test("keeps what it was given, though the giver uses its buffer again", () => {
    const output = createBoundedOutput(100);
    const buffer = Buffer.from("one\n");
    output.push(buffer);
    buffer.write("two\n");
    output.push(buffer);
    expect(output.text()).toBe("one\ntwo\n");
  });
});

describe("Docker's multiplexed stream", () => {
  const read = async (pieces: readonly Uint8Array[]) => {
    const texts = { stdout: "", stderr: "" };
    async function* source() {
      yield* pieces;
    }
    for await (const { stream, bytes } of demultiplex(source())) texts[stream] += Buffer.from(bytes).toString("latin1");
    return texts;
  };

  test("is taken apart wherever the network cuts it", async () => {
    const frame = fc.record({ stream: fc.constantFrom(1 as const, 2 as const), text: fc.string({ maxLength: 40 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(frame), fc.array(fc.nat(), { maxLength: 30 }), async (frames, places) => {
        const bytes = Buffer.concat(frames.map(({ stream, text }) => logFrame(stream, text)));
        const expected = { stdout: "", stderr: "" };
        for (const { stream, text } of frames)
          expected[stream === 1 ? "stdout" : "stderr"] += Buffer.from(text).toString("latin1");
        expect(await read(cutAt(bytes, places))).toEqual(expected);
      }),
    );
  });

  test.each([
    ["ends in a header", logFrame(1, "x").subarray(0, 5), "ended in a frame"],
    ["ends in a frame", logFrame(1, "xyz").subarray(0, 10), "ended in a frame"],
    ["is none", Buffer.from("2026-01-01 a plain line"), "is not multiplexed as expected"],
  ])("that %s is told apart from a good one", async (_, bytes, message) => {
    expect(await read([bytes]).catch((error) => error.message)).toContain(message);
  });
});
