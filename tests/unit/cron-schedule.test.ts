import { describe, expect, test } from "bun:test";
import { dueAfter, patternFault, zoneFault } from "../../src/cron/schedule.ts";

/** The next due times, one after the other, as UTC without the year. */
function dues(cron: string, zone: string, from: string, count: number): string[] {
  const found: string[] = [];
  for (let at = Date.parse(from); found.length < count; ) {
    at = dueAfter({ cron, zone }, at);
    found.push(new Date(at).toISOString().slice(5, 16).replace("T", " "));
  }
  return found;
}

describe("a schedule", () => {
  // Berlin leaves out 02:00 to 03:00 on 29 March (01:00 UTC), and has 02:00 to 03:00 twice on 25 October (00:00 and 01:00 UTC).
  test.each<[string, string, string, string, string[]]>([
    [
      "in the hour that is left out comes at its end",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-03-28T00:00Z",
      ["03-28 01:30", "03-29 01:00", "03-30 00:30"],
    ],
    [
      "after the hour that is left out comes by the new clock",
      "0 3 * * *",
      "Europe/Berlin",
      "2026-03-28T00:00Z",
      ["03-28 02:00", "03-29 01:00", "03-30 01:00"],
    ],
    [
      "within and after the hour that is left out comes twice, once for each",
      "30 2,3 * * *",
      "Europe/Berlin",
      "2026-03-28T12:00Z",
      ["03-29 01:30", "03-30 00:30", "03-30 01:30"],
    ],
    [
      "of all quarters of an hour has no hole where an hour is left out",
      "*/15 * * * *",
      "Europe/Berlin",
      "2026-03-29T00:20Z",
      ["03-29 00:30", "03-29 00:45", "03-29 01:00", "03-29 01:15", "03-29 01:30"],
    ],
    [
      "in the hour that comes twice comes the first time",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-10-24T00:00Z",
      ["10-24 00:30", "10-25 00:30", "10-26 01:30"],
    ],
    [
      "of several fixed hours comes the first time, too",
      "30 1,2,3 * * *",
      "Europe/Berlin",
      "2026-10-24T20:00Z",
      ["10-24 23:30", "10-25 00:30", "10-25 02:30", "10-26 00:30"],
    ],
    [
      "of all quarters of an hour has no hole where an hour comes twice",
      "*/15 * * * *",
      "Europe/Berlin",
      "2026-10-25T00:20Z",
      ["10-25 00:30", "10-25 00:45", "10-25 01:00", "10-25 01:15", "10-25 01:30", "10-25 01:45", "10-25 02:00"],
    ],
    [
      "of every hour comes each time that the clock shows it",
      "@hourly",
      "Europe/Berlin",
      "2026-10-24T23:20Z",
      ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"],
    ],
    [
      "after the hour that comes twice comes once",
      "0 3 * * *",
      "Europe/Berlin",
      "2026-10-24T00:00Z",
      ["10-24 01:00", "10-25 02:00", "10-26 02:00"],
    ],
    [
      "at a midnight that is left out comes at one o'clock",
      "0 0 * * *",
      "America/Sao_Paulo",
      "2018-11-03T12:00Z",
      ["11-04 03:00", "11-05 02:00"],
    ],
    [
      "at a midnight that comes twice comes the first time",
      "0 0 * * *",
      "Africa/Cairo",
      "2025-10-30T12:00Z",
      ["10-30 22:00", "10-31 22:00"],
    ],
    [
      "knows half hours that are left out",
      "15 2 * * *",
      "Australia/Lord_Howe",
      "2026-10-03T00:00Z",
      ["10-03 15:30", "10-04 15:15"],
    ],
    [
      "knows half hours that come twice",
      "45 1 * * *",
      "Australia/Lord_Howe",
      "2026-04-03T16:00Z",
      ["04-04 14:45", "04-05 15:15"],
    ],
    ["of UTC knows no such hours", "30 2 * * *", "UTC", "2026-03-28T12:00Z", ["03-29 02:30", "03-30 02:30"]],
    [
      "of a day or a weekday comes on either",
      "0 12 13 * 5",
      "UTC",
      "2026-03-07T00:00Z",
      ["03-13 12:00", "03-20 12:00"],
    ],
  ])("%s", (_, cron, zone, from, expected) => {
    expect(dues(cron, zone, from, expected.length)).toEqual(expected);
  });

  test.each([
    ["0 3 * * *", "2026-05-01T02:59:10Z", "2026-05-02T03:00:00.000Z"],
    ["0 3 * * *", "2026-05-01T02:58:50Z", "2026-05-01T03:00:00.000Z"],
    ["* * * * *", "2026-05-01T02:59:50Z", "2026-05-01T03:01:00.000Z"],
    ["* * * * *", "2026-05-01T02:59:40Z", "2026-05-01T03:00:00.000Z"],
  ])("%s is not due any more where it came a moment before: %s", (cron, heard, next) => {
    expect(new Date(dueAfter({ cron, zone: "UTC" }, Date.parse(heard))).toISOString()).toBe(next);
  });

  test("of an interval counts from when something was heard", () => {
    expect(dueAfter({ everyMs: 3_600_000 }, 5_000)).toBe(3_605_000);
  });

  test.each([
    ["0 3 * * *", undefined],
    ["@daily", undefined],
    ["0 3 * * MON-FRI", undefined],
    ["0 3 L * *", undefined],
    ["0 3 * *", "five"],
    ["0 0 3 * * *", "requires exactly 5 parts"],
    ["0 25 * * *", "Invalid value for hour: 25"],
    ["0 0 31 2 *", "no moment that ever comes"],
    ["? 3 * * *", "write *"],
    ["2026-01-01T00:00:00", "is a date"],
    ["@reboot", "not supported"],
    ["", "five"],
    [`${"1,".repeat(100)}1 * * * *`, "more than 200 characters"],
  ])("is refused with what is wrong: %p", (pattern, fault) => {
    if (fault === undefined) expect(patternFault(pattern, "UTC")).toBeUndefined();
    else expect(patternFault(pattern, "UTC")).toContain(fault);
  });

  test("needs a zone that is there", () => {
    expect(["Europe/Berlin", "UTC", "Asia/Kolkata"].map(zoneFault)).toEqual([undefined, undefined, undefined]);
    for (const zone of ["Europe/Nowhere", "", "Berlin", "0 3"]) expect(zoneFault(zone)).toContain("no time zone");
  });
});
