import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isSelective, matchesGlob } from "../../src/lib/glob.ts";

describe("a pattern", () => {
  test.each([
    ["", "", true],
    ["", "a", false],
    ["nginx", "nginx", true],
    ["nginx", "nginx.service", false],
    ["nginx*", "nginx.service", true],
    ["*", "", true],
    ["*", "anything at all", true],
    ["*.service", "nginx.service", true],
    ["*.service", "nginx.service.d", false],
    ["web-??", "web-01", true],
    ["web-??", "web-1", false],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["**a**", "a", true],
    ["[a-z].+", "b.", false],
    ["[a-z].+", "[a-z].+", true],
    ["?", "", false],
    ["a*c", "abbbc", true],
    ["a*c", "abbbcd", false],
    ["*a*b*", "xxaxxbxx", true],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["a.c", "abc", false],
    ["**", "anything", true],
  ])("%p over %p matches: %p", (pattern, text, isMatch) => {
    expect(matchesGlob(pattern, text)).toBe(isMatch);
  });

  test("agrees with the expression that it stands for", () => {
    const letters = (extra: string) => fc.string({ unit: fc.constantFrom(..."ab", ...extra), maxLength: 12 });
    fc.assert(
      fc.property(letters("*?"), letters("."), (pattern, text) => {
        const source = RegExp.escape(pattern).replaceAll("\\*", "[^]*").replaceAll("\\?", "[^]");
        expect(matchesGlob(pattern, text)).toBe(new RegExp(`^${source}$`).test(text));
      }),
    );
  });

  test("takes no longer than the product of the lengths", () => {
    expect(matchesGlob(`${"*a".repeat(120)}*b`, "a".repeat(255))).toBe(false);
    expect(matchesGlob(`${"a*".repeat(120)}b`, "a".repeat(255))).toBe(false);
  });

  test.each([
    [null, false],
    ["*", false],
    ["**", false],
    ["?", true],
    ["a*", true],
  ])("%p excludes something: %p", (pattern, is) => {
    expect(isSelective(pattern)).toBe(is);
  });
});
