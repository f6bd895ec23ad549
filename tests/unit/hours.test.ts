import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { lookAtDaily, lookAtHours, parseDaily, parseHours } from "../../src/lib/hours.ts";

const HOUR_MS = 3_600_000;
const at = (iso: string) => Date.parse(iso);

/** Whether it is within the hours then, and at which moment that changes. */
function look(hours: string, iso: string): [boolean, string | null] {
  const parsed = parseHours(hours);
  if (!parsed) throw new Error(`not understood: ${hours}`);
  const { isWithin, changesInMs } = lookAtHours(parsed, at(iso));
  return [isWithin, changesInMs === null ? null : new Date(at(iso) + changesInMs).toISOString().replace(":00.000", "")];
}

describe("hours", () => {
  test.each([
    // 2026-11-30 is a Monday.
    ["mon-fri 08:00-18:00 Europe/Berlin", "2026-11-30T06:59:59Z", false, "2026-11-30T07:00Z"],
    ["mon-fri 08:00-18:00 Europe/Berlin", "2026-11-30T07:00:00Z", true, "2026-11-30T17:00Z"],
    ["mon-fri 08:00-18:00 Europe/Berlin", "2026-12-04T17:00:00Z", false, "2026-12-07T07:00Z"],
    ["08:00-18:00", "2026-12-05T18:00:00Z", false, "2026-12-06T08:00Z"],
    ["sat,sun 00:00-24:00", "2026-12-05T03:00:00Z", true, "2026-12-07T00:00Z"],
    ["fri 22:00-06:00", "2026-12-05T05:59:00Z", true, "2026-12-05T06:00Z"],
    ["fri-sun 22:00-06:00", "2026-12-07T06:00:00Z", false, "2026-12-11T22:00Z"],
    [
      "mon-fri 08:00-12:00; mon-fri 12:00-18:00; sat 10:00-14:00 UTC",
      "2026-12-04T09:00:00Z",
      true,
      "2026-12-04T18:00Z",
    ],
    ["mon-fri 08:00-12:00; sat 10:00-14:00 UTC", "2026-12-05T09:00:00Z", false, "2026-12-05T10:00Z"],
    ["00:00-24:00", "2026-12-05T09:00:00Z", true, null],
    // Clocks go forward at 02:00 on 2026-03-29, and back at 03:00 on 2026-10-25.
    ["08:00-18:00 Europe/Berlin", "2026-03-28T20:00:00Z", false, "2026-03-29T06:00Z"],
    ["08:00-18:00 Europe/Berlin", "2026-10-24T20:00:00Z", false, "2026-10-25T07:00Z"],
    ["01:00-04:00 Europe/Berlin", "2026-03-29T00:00:00Z", true, "2026-03-29T02:00Z"],
    ["01:00-04:00 Europe/Berlin", "2026-10-24T23:00:00Z", true, "2026-10-25T03:00Z"],
    ["02:15-08:00 Europe/Berlin", "2026-03-29T01:10:00Z", false, "2026-03-29T01:15Z"],
    ["02:15-02:45 Europe/Berlin", "2026-10-25T01:20:00Z", false, "2026-10-26T01:15Z"],
  ])("%s at %s", (hours, iso, isWithin, changes) => {
    expect(look(hours, iso)).toEqual([isWithin, changes]);
  });

  test.each(["", "mon-fri", "8-18", "08:00", "08:00-18:61", "25:00-26:00", "08:00-08:00", "mon-fry 08:00-18:00"])(
    "are not %p",
    (text) => expect(parseHours(text)).toBeUndefined(),
  );
  test.each(["08:00-18:00 Europe/Atlantis", "08:00-18:00 10:00-11:00", "mon fri 08:00-18:00", "08:00-18:00;"])(
    "are not %p either",
    (text) => expect(parseHours(text)).toBeUndefined(),
  );

  test("change at the moment that was said, and not before, whatever the zone does meanwhile", () => {
    const zones = fc.constantFrom(
      "Europe/Berlin",
      "America/New_York",
      "Australia/Lord_Howe",
      "Asia/Kolkata",
      "Africa/Cairo",
    );
    const spans = fc.constantFrom(
      "mon-fri 08:00-18:00",
      "22:00-06:00",
      "01:30-02:30",
      "sun 00:00-03:00; sat 23:00-24:00",
    );
    const moments = fc.integer({ min: at("2026-01-01"), max: at("2027-01-01") });
    fc.assert(
      fc.property(zones, spans, moments, fc.double({ min: 0, max: 1, noNaN: true }), (zone, span, nowMs, share) => {
        const hours = parseHours(`${span} ${zone}`);
        if (!hours) throw new Error("not understood");
        const { isWithin, changesInMs } = lookAtHours(hours, nowMs);
        const changes = changesInMs ?? 0;
        expect(changes).toBeGreaterThan(0);
        expect(lookAtHours(hours, nowMs + Math.floor((changes - 1) * share)).isWithin).toBe(isWithin);
        expect(lookAtHours(hours, nowMs + changes).isWithin).toBe(!isWithin);
      }),
      { numRuns: 300 },
    );
  });
});

/** When it was due last, and is due next. */
function dueAround(text: string, iso: string): string[] {
  const daily = parseDaily(text);
  if (!daily) throw new Error(`not understood: ${text}`);
  const { before, last, next } = lookAtDaily(daily, at(iso));
  return [before, last, next].map((one) => `${one.date} ${new Date(one.atMs).toISOString().slice(11, 16)}`);
}

describe("a time of the day", () => {
  test.each([
    ["08:00 Europe/Berlin", "2026-11-30T07:00:00Z", "2026-11-29 07:00", "2026-11-30 07:00", "2026-12-01 07:00"],
    ["08:00 Europe/Berlin", "2026-11-30T06:59:00Z", "2026-11-28 07:00", "2026-11-29 07:00", "2026-11-30 07:00"],
    ["mon-fri 08:00", "2026-11-30T08:30:00Z", "2026-11-27 08:00", "2026-11-30 08:00", "2026-12-01 08:00"],
    ["sun 08:00", "2026-11-28T08:30:00Z", "2026-11-15 08:00", "2026-11-22 08:00", "2026-11-29 08:00"],
    ["sat 08:00", "2026-11-27T08:30:00Z", "2026-11-14 08:00", "2026-11-21 08:00", "2026-11-28 08:00"],
    // Of a time that is left out the day is kept, and of one that comes twice the first is meant.
    ["02:30 Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28 01:30", "2026-03-29 01:30", "2026-03-30 00:30"],
    ["02:30 Europe/Berlin", "2026-10-25T01:45:00Z", "2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"],
    ["08:00 Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24 06:00", "2026-10-25 07:00", "2026-10-26 07:00"],
    ["23:30 Pacific/Auckland", "2026-11-30T12:00:00Z", "2026-11-29 10:30", "2026-11-30 10:30", "2026-12-01 10:30"],
  ])("%s at %s", (text, iso, before, last, next) => expect(dueAround(text, iso)).toEqual([before, last, next]));

  test("comes once on each day of a year, an hour more or less apart where clocks change", () => {
    const daily = parseDaily("02:30 America/New_York");
    if (!daily) throw new Error("not understood");
    let { next } = lookAtDaily(daily, at("2026-01-01T12:00:00Z"));
    const dates = new Set<string>();
    for (let days = 0; days < 365; days++) {
      dates.add(next.date);
      const after = lookAtDaily(daily, next.atMs).next;
      expect(Math.abs(after.atMs - next.atMs - 24 * HOUR_MS)).toBeLessThanOrEqual(HOUR_MS);
      next = after;
    }
    expect(dates.size).toBe(365);
  });

  test.each(["", "24:00", "8", "08:00-09:00", "08:00 Mars/Crater", "x 08:00", "mon 08:00 09:00"])("is not %p", (text) =>
    expect(parseDaily(text)).toBeUndefined(),
  );
});
