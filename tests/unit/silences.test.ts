import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isSelective, matchesPattern } from "../../src/silences/pattern.ts";
import { baselineOf, worseThan } from "../../src/silences/worse.ts";

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
  ])("%p over %p matches: %p", (pattern, text, isMatch) => {
    expect(matchesPattern(pattern, text)).toBe(isMatch);
  });

  test("agrees with the expression that it stands for", () => {
    const letters = (extra: string) => fc.string({ unit: fc.constantFrom(..."ab", ...extra), maxLength: 12 });
    fc.assert(
      fc.property(letters("*?"), letters("."), (pattern, text) => {
        const source = RegExp.escape(pattern).replaceAll("\\*", "[^]*").replaceAll("\\?", "[^]");
        expect(matchesPattern(pattern, text)).toBe(new RegExp(`^${source}$`).test(text));
      }),
    );
  });

  test("takes no longer than the product of the lengths", () => {
    expect(matchesPattern(`${"*a".repeat(120)}*b`, "a".repeat(255))).toBe(false);
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

describe("what got worse", () => {
  test.each([
    [0, 0, 1],
    [1, 0, 1],
    [4, 0, 4],
    // A burst is no rate: five at once are as five within a minute.
    [5, 0, 240],
    // Each ten seconds since five minutes.
    [31, 300, 360],
    [60, 3_540, 60],
  ])("%d alerts within %d s are %d an hour", (alerts, spanS, perHour) => {
    expect(baselineOf("warning", { alerts, spanS })).toEqual({ severity: "warning", per_hour: perHour });
  });

  test.each([
    ["warning", 2, "warning", 4, undefined],
    ["warning", 2, "warning", 5, "it came 5 times within an hour, and 2 times when it was ignored"],
    ["warning", 2, "critical", 1, "it is critical now, and was warning"],
    ["critical", 2, "warning", 1, undefined],
    [null, 2, "info", 1, "it is info now, and was of no severity"],
    ["info", 2, null, 1, undefined],
  ] as const)("%p with %d an hour, now %p with %d", (severity, perHour, now, alerts, why) => {
    expect(worseThan({ severity, per_hour: perHour }, now, alerts)).toBe(why);
  });
});
