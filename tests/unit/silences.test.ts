import { describe, expect, test } from "bun:test";
import { baselineOf, worseThan } from "../../src/silences/service.ts";

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
