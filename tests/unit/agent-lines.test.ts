import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createLineCutter } from "../../src/agent/collectors/lines.ts";

/** All lines of a text that comes in pieces. */
function cut(text: string, pieces: readonly number[], limit = 1000, tooLong: "cut" | "drop" = "cut"): string[] {
  const bytes = Buffer.from(text);
  const cutter = createLineCutter(limit, tooLong);
  const ends = [...new Set(pieces.map((piece) => piece % (bytes.length + 1)))].sort((one, other) => one - other);
  const lines = [0, ...ends].flatMap((start, at) => {
    const piece = bytes.subarray(start, ends[at] ?? bytes.length);
    return cutter.push(piece).map(({ text: line }) => line);
  });
  const rest = cutter.rest();
  return rest === undefined ? lines : [...lines, rest];
}

describe("lines", () => {
  test("are the same wherever the pieces end", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "\n", "é", "日", "\r\n", "\n\n")),
        fc.array(fc.nat()),
        (parts, pieces) => {
          const text = parts.join("");
          const expected = text.split("\n").map((line) => line.replace(/\r$/, ""));
          if (expected.at(-1) === "" && !text.endsWith("\r")) expected.pop();
          expect(cut(text, pieces)).toEqual(expected);
        },
      ),
    );
  });

  test("that are too long are cut, or left out", () => {
    const text = `short\n${"x".repeat(5000)}\nlast\n`;
    expect(cut(text, [7, 3000], 10)).toEqual(["short", "xxxxxxxxxx", "last"]);
    expect(cut(text, [7, 3000], 10, "drop")).toEqual(["short", "last"]);
  });

  test("say where they end", () => {
    const cutter = createLineCutter(100);
    cutter.push(Buffer.from("be"));
    expect(cutter.push(Buffer.from("gun\nnext\nop"))).toEqual([
      { text: "begun", endByte: 4 },
      { text: "next", endByte: 9 },
    ]);
    expect(cutter.openBytes).toBe(2);
  });
});
