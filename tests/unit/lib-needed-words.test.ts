import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LOG_PRESETS } from "../../src/config/log-presets.ts";
import { compileLinePattern } from "../../src/lib/linear-pattern.ts";
import { neededWords } from "../../src/lib/needed-words.ts";

describe("the words that an expression needs", () => {
  const cases: [string, readonly string[] | undefined][] = [
    ["ERROR", ["ERROR"]],
    ["ERROR|timed out", ["ERROR", "timed out"]],
    ["^panic: ", ["panic: "]],
    ["connect\\(\\) (to \\S+ )?failed", ["connect() "]],
    ["worker process \\d+ exited on signal", [" exited on signal"]],
    ["colou?red", ["colo"]],
    ["abc*d{0,2}efg", ["efg"]],
    ["abc{3}", undefined],
    ["(abc|def)+", undefined],
    ["[abc]+", undefined],
    ["fail|e", undefined],
    ["\\bMemoryError\\b", ["MemoryError"]],
    ["a.b.c", undefined],
    ["", undefined],
  ];
  test.each(cases)("of %j are %j", (source, words) => {
    expect(neededWords(source)).toEqual(words);
  });

  test("are in every line that it finds", () => {
    const piece = fc.constantFrom(
      "abc",
      "de",
      "xyz",
      "(",
      ")",
      "|",
      "*",
      "+",
      "?",
      "{2}",
      "{0,1}",
      "[ab]",
      "\\d",
      "\\.",
      ".",
      " ",
    );
    const line = fc
      .array(fc.constantFrom("abc", "ab", "c", "de", "d", "xyz", "xy", "1", ".", " "))
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.array(line, { maxLength: 20 }), (parts, lines) => {
        const pattern = compiled(parts.join(""));
        if (pattern?.words === undefined) return;
        for (const one of lines)
          if (pattern.test(one)) expect(pattern.words.some((word) => one.includes(word))).toBeTrue();
      }),
      { numRuns: 3_000 },
    );
  });

  test("are there for most patterns of the presets", () => {
    const patterns = Object.values(LOG_PRESETS).flatMap(({ patterns: all }) =>
      all.filter((one) => typeof one === "string"),
    );
    const without = patterns.filter((source) => neededWords(source) === undefined);
    expect(without.length).toBeLessThan(patterns.length / 4);
  });
});

/** Undefined where the parts make no expression. */
function compiled(source: string) {
  try {
    return compileLinePattern(source);
  } catch {
    return undefined;
  }
}
