/**
 * When a job is due, as cron would run it in its zone. What falls into an hour that the clock leaves out is due when that is over.
 * In an hour that comes twice a job that runs at fixed times is due the first time only; one whose minutes or hours are a star is
 * due all the time.
 */
import { Cron } from "croner";
import { errorMessage } from "../lib/errors.ts";
import type { Schedule } from "./model.ts";

const PATTERN_CHARS_MAX = 200;
/**
 * A ping so long before the job is due is the one that is expected: the host's clock is ahead of the database's. Never more than a part
 * of the time from one due time to the next.
 */
const EARLY_MS_MAX = 60_000;
const EARLY_PART = 1 / 4;
/** No clock is set back by more: a station in Antarctica does by two hours. */
const SET_BACK_MS_MAX = 3 * 3_600_000;

/** When a job is due next of which something has just been heard: that it came, or, where it told its beginning, how that run ended. */
export function dueAfter(schedule: Schedule, nowMs: number, isEndOfRun = false): number {
  if ("everyMs" in schedule) return nowMs + schedule.everyMs;
  const next = nextIn(schedule.cron, schedule.zone);
  const first = next(nowMs);
  if (isEndOfRun) return first;
  const second = next(first);
  const earlyMs = Math.min(EARLY_MS_MAX, (second - first) * EARLY_PART);
  return first - nowMs <= earlyMs ? second : first;
}

/** What is wrong with a pattern, for a person; undefined when there is nothing. */
export function patternFault(pattern: string, zone: string): string | undefined {
  if (pattern.length > PATTERN_CHARS_MAX) return `has more than ${PATTERN_CHARS_MAX} characters`;
  // Who writes it means some minute; here it would be another one at each look.
  if (pattern.includes("?")) return "holds a ?, which has no meaning here; write *";
  try {
    const cron = parse(pattern, zone);
    if (cron.getPattern() === undefined) return "is a date; expected five fields such as 0 3 * * *, or @daily";
    return nextOf(cron, 0) === undefined ? "names no moment that ever comes" : undefined;
  } catch (error) {
    return errorMessage(error).replace(/^CronPattern: /, "");
  }
}

/** What is wrong with the name of a zone, for a person; undefined when there is nothing. */
export function zoneFault(zone: string): string | undefined {
  try {
    formatIn(zone);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return "is no time zone; expected a name such as Europe/Berlin or UTC";
    throw error;
  }
}

/** Five fields, or a nickname such as @daily. Throws what is wrong with them. */
const parse = (pattern: string, timezone: string) => new Cron(pattern, { timezone, mode: "5-part" });

const nextOf = (cron: Cron, afterMs: number) => cron.nextRun(new Date(afterMs))?.getTime();

function nextIn(pattern: string, zone: string): (afterMs: number) => number {
  const cron = parse(pattern, zone);
  const isByStar = hasStar(cron.getPattern() ?? pattern);
  const isRepeated = repeatedIn(zone);
  return (afterMs) => {
    for (let at = nextOf(cron, afterMs); at !== undefined; at = nextOf(cron, at))
      if (isByStar || !isRepeated(at)) return at;
    throw new Error("a schedule has no next time");
  };
}

/** As cron itself tells the two kinds apart. */
function hasStar(pattern: string): boolean {
  const [minutes, hours] = pattern.trim().split(/\s+/);
  return minutes?.startsWith("*") === true || hours?.startsWith("*") === true;
}

/** Whether a clock of the zone has shown the same time before, since it was set back. */
function repeatedIn(zone: string): (atMs: number) => boolean {
  const format = formatIn(zone);
  return (atMs) => {
    const before = offsetMs(format, atMs - SET_BACK_MS_MAX);
    const setBackMs = before - offsetMs(format, atMs);
    return setBackMs > 0 && offsetMs(format, atMs - setBackMs) === before;
  };
}

const formatIn = (timeZone: string) => new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });

/** Of "GMT+02:00", "GMT-03:30", or "GMT". */
function offsetMs(format: Intl.DateTimeFormat, atMs: number): number {
  const name = format.formatToParts(atMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /^GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  const size = Number(hours ?? 0) * 3_600_000 + Number(minutes ?? 0) * 60_000;
  return sign === "-" ? -size : size;
}
