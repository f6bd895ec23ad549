import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileLinePattern } from "../../src/lib/linear-pattern.ts";

/** Small patterns over few letters, so that texts of the same letters often match. */
const PATTERN = fc.letrec<{ pattern: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(
      "a",
      "b",
      "B",
      ".",
      "\\w",
      "\\W",
      "\\d",
      "\\s",
      "\\b",
      "^",
      "$",
      "[ab]",
      "[^a]",
      "[a-c_]",
      "[^\\w]",
      "_",
      " ",
      "1",
      "é",
    ),
    tie("pattern").map((inner) => `(?:${inner})`),
    tie("pattern").map((inner) => `(${inner})`),
  ),
  pattern: fc
    .array(
      fc
        .tuple(tie("atom"), fc.constantFrom("", "", "", "*", "+", "?", "*?", "{2}", "{1,}", "{0,2}", "|"))
        .map(([atom, quantifier]) => (/^(\\b|\^|\$)$/.test(atom) && quantifier !== "|" ? atom : atom + quantifier)),
      { maxLength: 4 },
    )
    .map((parts) => parts.join("")),
})).pattern;
const TEXT = fc
  .array(fc.constantFrom("a", "b", "A", "B", "c", "_", " ", "1", "é", "É", "\n"), { maxLength: 8 })
  .map((parts) => parts.join(""));

describe("a line's pattern", () => {
  test("means what JavaScript's regular expressions mean", () => {
    fc.assert(
      fc.property(PATTERN, TEXT, fc.boolean(), (source, text, ignoresCase) => {
        const expected = new RegExp(source, ignoresCase ? "i" : "").test(text);
        expect({ source, text, matches: compileLinePattern(source, { ignoresCase }).test(text) }).toEqual({
          source,
          text,
          matches: expected,
        });
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["upstream (timed out|prematurely closed)", "upstream prematurely closed connection", true],
    ["^\\d{4}-\\d\\d ERROR\\b", "2026-11 ERROR: x", true],
    ["^\\d{4}-\\d\\d ERROR\\b", "2026-11 ERRORS", false],
    ["\\[error\\] \\d+#\\d+:", "2026/11/24 [error] 17#17: *1", true],
    ['" 5\\d\\d ', '"GET / HTTP/1.1" 502 157', true],
    ["\\x41\\u0042", "AB", true],
    ["a{,2}", "a{,2}", true],
    ["[\\d-z]", "-", true],
    ["(?<name>x)+$", "axx", true],
    ["", "", true],
    ["[[:alpha:]]", ":]", true],
    ["[[:alpha:]]", "b", false],
    ["[a-\\d]", "-", true],
    ["[]", "a", false],
    ["^[^]$", "\n", true],
    ["^.$", "\r", false],
    ["^\\s[\\s-x]$", "\u00a0-", true],
    ["[^\\S]", "\v", true],
    ["^[\\b\\]\\/]+$", "\b]/", true],
    ["\\ud83d\\ude00", "\u{1f600}", true],
  ])("/%s/ on %j is %p", (source, text, expected) => {
    expect(compileLinePattern(source).test(text)).toBe(expected);
    expect(new RegExp(source).test(text)).toBe(expected);
  });

  test("does not take longer for a pattern that backtracks for ever elsewhere", () => {
    const line = `${"a".repeat(4000)}!`;
    for (const source of ["(a+)+$", "(a|aa)+$", "(a|a?)+b$", "(.*a){12}$", "(\\w+\\s?)*$x"]) {
      expect(compileLinePattern(source).test(line)).toBe(false);
    }
  });

  test("forgets what it found out, and still finds", () => {
    const pattern = compileLinePattern("[^x]{30}y");
    const line = Array.from({ length: 50_000 }, (_, at) => String.fromCharCode(200 + (at % 40_000))).join("");
    expect(pattern.test(line)).toBe(false);
    expect(pattern.test(`${line}y`)).toBe(true);
  });

  test.each([
    ["(a)\\1", "back-references are not supported"],
    ["(?=a)", "looking ahead or behind is not supported"],
    ["(?<!a)b", "looking ahead or behind is not supported"],
    ["(?i)a", "(?i is not supported"],
    ["(a", "a ( has no )"],
    ["a)", "a ) has no ("],
    ["[a", "a [ has no ]"],
    ["*a", "nothing to repeat before *"],
    ["a{3,2}", "{3,2} ends before it begins"],
    ["a{5000}", "{5000} repeats more than 1000 times"],
    ["(a{100}){100}", "it repeats too much"],
    ["a{1000}".repeat(4), "it repeats too much"],
    ["\\pL", "\\p is not supported"],
    ["\\Aa", "\\A is not supported"],
    ["(?P<name>a)", "(?P is not supported"],
    ["\\x4", "\\x and \\u take 2 and 4 digits"],
    ["\\b*", "nothing to repeat before a quantifier"],
    ["a**", "two quantifiers follow each other"],
    ["[c-a]", "a range in [ ] ends before it begins"],
    ["a\\", "it ends with a single \\"],
    ["x".repeat(1001), "it is longer than 1000 characters"],
    ["(".repeat(60), "its groups are nested deeper than 50"],
  ])("/%s/ is refused: %s", (source, message) => {
    expect(() => compileLinePattern(source)).toThrow(message);
  });
});
