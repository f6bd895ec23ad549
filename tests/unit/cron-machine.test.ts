import { describe, expect, test } from "bun:test";
import { afterAlarm, afterPing, alarmOf, beginning } from "../../src/cron/machine.ts";
import type { JobSpec } from "../../src/cron/model.ts";

/** Each night at three, half an hour of grace. */
const NIGHTLY: JobSpec = { schedule: { cron: "0 3 * * *", zone: "UTC" }, graceMs: 30 * 60_000, limitMs: null };
const LIMITED = { ...NIGHTLY, limitMs: 2 * 3_600_000 };
const HOURLY: JobSpec = { schedule: { everyMs: 3_600_000 }, graceMs: 5 * 60_000, limitMs: null };

/** "1 03:00" is three o'clock of the first day. */
const at = (moment: string) => Date.parse(`2026-05-0${moment.replace(" ", "T")}:00Z`);
const when = (ms: number) => new Date(ms).toISOString().slice(9, 16).replace("T", " ");

/** Plays what happens to a job from noon of the first day on, and answers what is told, and when: alarms come by themselves. */
function told(spec: JobSpec, pings: readonly string[], end: string): string[] {
  const said: string[] = [];
  let state = beginning(spec, at("1 12:00"));
  const pass = (untilMs: number) => {
    const alarm = alarmOf(spec, state);
    if (alarm === null || alarm.atMs > untilMs) return;
    said.push(`${when(alarm.atMs)} ${alarm.trouble}`);
    state = afterAlarm(state, alarm.trouble);
    pass(untilMs);
  };
  for (const ping of pings) {
    const [day, time, kind] = ping.split(" ");
    const nowMs = at(`${day} ${time}`);
    pass(nowMs);
    const after = afterPing(spec, state, kind as "start", nowMs);
    state = after.state;
    if (after.outcome) said.push(`${when(nowMs)} ${after.outcome}`);
  }
  pass(at(end));
  return said;
}

describe("a job", () => {
  test.each<[string, JobSpec, string[], string[]]>([
    ["that comes each night is not told of", NIGHTLY, ["2 03:05 success", "3 03:20 success", "4 03:01 success"], []],
    [
      "that tells its beginning, too",
      NIGHTLY,
      ["2 03:00 start", "2 06:00 success", "3 03:00 start", "3 06:00 success", "4 03:00 start"],
      [],
    ],
    ["that never came is late", NIGHTLY, [], ["2 03:30 late"]],
    [
      "whose run ended just before the next is due has that one still to come",
      NIGHTLY,
      ["2 03:00 start", "3 02:59 success"],
      ["3 03:30 late"],
    ],
    [
      "that is late comes after all",
      NIGHTLY,
      ["2 04:00 success", "3 03:00 success", "4 03:00 success"],
      ["2 03:30 late", "2 04:00 recovered"],
    ],
    [
      "that is late and only begins is late until it has ended",
      NIGHTLY,
      ["2 04:00 start", "2 05:00 success", "3 03:00 success", "4 03:00 success"],
      ["2 03:30 late", "2 05:00 recovered"],
    ],
    ["that does not come for days is told of once", NIGHTLY, ["2 03:00 success"], ["3 03:30 late"]],
    [
      "that fails is told each time, its recovery once",
      NIGHTLY,
      ["2 03:05 fail", "3 03:05 fail", "3 09:00 success", "3 09:05 success", "4 03:00 success"],
      ["2 03:05 failed", "3 03:05 failed", "3 09:00 recovered"],
    ],
    ["that failed and does not come again is late, too", NIGHTLY, ["2 03:05 fail"], ["2 03:05 failed", "3 03:30 late"]],
    [
      "that comes a little early is not expected again",
      NIGHTLY,
      ["2 02:59 success", "3 03:00 success", "4 03:00 success"],
      [],
    ],
    ["that somebody runs by day is expected by night all the same", NIGHTLY, ["1 15:00 success"], ["2 03:30 late"]],
    [
      "without a limit may run until it is due again and the grace is over",
      NIGHTLY,
      ["2 03:00 start"],
      ["3 03:30 overdue"],
    ],
    [
      "of which each run dies is found out, though each begins",
      NIGHTLY,
      ["2 03:00 start", "3 03:00 start", "4 03:00 start"],
      ["3 03:30 overdue"],
    ],
    [
      "with a limit is overdue then",
      LIMITED,
      ["2 03:00 start", "2 05:30 success", "3 03:00 success", "4 03:00 success"],
      ["2 05:00 overdue", "2 05:30 recovered"],
    ],
    [
      "with a limit is told of once, however long it runs",
      LIMITED,
      ["2 03:00 start", "3 03:00 start"],
      ["2 05:00 overdue"],
    ],
    [
      "with a limit is not late while it runs within that",
      { ...HOURLY, limitMs: 6 * 3_600_000 },
      ["1 12:30 start", "1 13:30 start", "1 17:00 success"],
      ["1 18:05 late"],
    ],
    [
      "of which two runs overlap counts from the first, and ends with any",
      LIMITED,
      ["2 03:00 start", "2 04:30 start", "2 04:50 success", "3 03:00 success", "4 03:00 success"],
      [],
    ],
    [
      "that is overdue and then fails",
      LIMITED,
      ["2 03:00 start", "2 06:00 fail", "2 07:00 success", "3 03:00 success", "4 03:00 success"],
      ["2 05:00 overdue", "2 06:00 failed", "2 07:00 recovered"],
    ],
    [
      "of an interval counts from the last ping, whatever it says",
      HOURLY,
      ["1 12:50 success", "1 13:40 fail"],
      ["1 13:40 failed", "1 14:45 late"],
    ],
  ])("%s", (_, spec, pings, expected) => {
    expect(told(spec, pings, "4 03:29")).toEqual(expected);
  });
});
