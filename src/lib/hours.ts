/**
 * Hours of the week and times of the day, in somebody's time zone. What a clock on the wall would show counts: a time that is left
 * out when clocks go forward is as much later, and of one that comes twice the first is meant.
 */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const DAY_MINUTES = 1_440;
const MINUTE_MS = 60_000;

/** Minutes of some days; what ends before it begins ends on the next day. */
interface Span {
  /** 1 is Monday, as Temporal counts. */
  readonly days: ReadonlySet<number>;
  readonly fromMin: number;
  readonly toMin: number;
}

/** "mon-fri 08:00-18:00; sat 10:00-14:00 Europe/Berlin", taken apart. */
export interface Hours {
  readonly spans: readonly Span[];
  readonly zone: string;
}

/** "mon-fri 08:00 Europe/Berlin", taken apart. */
export interface Daily {
  readonly days: ReadonlySet<number>;
  readonly atMin: number;
  readonly zone: string;
}

/** Hours as a person writes them; days and zone may be left out, for every day and UTC. Undefined when they are none. */
export function parseHours(text: string): Hours | undefined {
  const { rest, zone } = takeZone(text);
  const spans = rest.split(";").map(parseSpan);
  return zone === undefined || spans.includes(undefined) ? undefined : { spans: spans as Span[], zone };
}

/** A time of the day as a person writes it; days and zone may be left out, for every day and UTC. Undefined when it is none. */
export function parseDaily(text: string): Daily | undefined {
  const { rest, zone } = takeZone(text);
  const [time = "", dayNames, ...more] = rest.trim().split(/\s+/).reverse();
  const days = daysOf(dayNames);
  const atMin = minuteOf(time);
  if (zone === undefined || days === undefined || atMin === undefined || atMin === DAY_MINUTES) return undefined;
  return more.length > 0 ? undefined : { days, atMin, zone };
}

/** The zone at the end, UTC where none is named; undefined where it is none. */
function takeZone(text: string): { rest: string; zone: string | undefined } {
  const [, rest = "", last = ""] = /^(.*?)(\S*)\s*$/s.exec(text) ?? [];
  if (/^[\d:-]*$/.test(last)) return { rest: text, zone: "UTC" };
  return { rest, zone: isZone(last) ? last : undefined };
}

function isZone(name: string): boolean {
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId !== "";
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function parseSpan(text: string): Span | undefined {
  const [times = "", dayNames, ...more] = text.trim().split(/\s+/).reverse();
  const [fromMin, toMin, ...others] = times.split("-").map(minuteOf);
  const days = daysOf(dayNames);
  if (fromMin === undefined || toMin === undefined || days === undefined || more.length + others.length > 0) return;
  return fromMin === toMin || fromMin === DAY_MINUTES ? undefined : { days, fromMin, toMin };
}

function minuteOf(text: string): number | undefined {
  const [, hour, minute] = /^(\d{1,2}):(\d\d)$/.exec(text) ?? [];
  const at = Number(hour) * 60 + Number(minute);
  return at <= DAY_MINUTES && Number(minute) < 60 ? at : undefined;
}

/** "mon-fri", "sat,sun", "fri-mon,wed"; all where nothing is said. */
function daysOf(text: string | undefined): ReadonlySet<number> | undefined {
  const days = new Set<number>();
  if (text === undefined) return new Set(DAYS.map((_, at) => at + 1));
  for (const part of text.toLowerCase().split(",")) {
    const [from = -1, to = from, ...more] = part.split("-").map((name) => DAYS.indexOf(name as never));
    if (from < 0 || to < 0 || more.length > 0) return undefined;
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.add(day + 1);
      if (day === to) break;
    }
  }
  return days;
}

/** Temporal takes whole milliseconds only. */
const localOf = (zone: string, ms: number) =>
  Temporal.Instant.fromEpochMilliseconds(Math.floor(ms)).toZonedDateTimeISO(zone);

function instantMs(date: Temporal.PlainDate, minute: number, zone: string): number {
  const day = date.add({ days: Math.floor(minute / DAY_MINUTES) });
  const time = { hour: Math.floor(minute / 60) % 24, minute: minute % 60 };
  return day.toPlainDateTime(Temporal.PlainTime.from(time)).toZonedDateTime(zone).epochMilliseconds;
}

/** Whether it is within the hours, and in how many milliseconds that changes; null when it never does. */
export function lookAtHours(hours: Hours, nowMs: number): { isWithin: boolean; changesInMs: number | null } {
  const spans = spansAround(hours, nowMs).sort((a, b) => a.fromMs - b.fromMs);
  let untilMs = nowMs;
  for (const { fromMs, toMs } of spans) if (fromMs <= untilMs) untilMs = Math.max(untilMs, toMs);
  const isWithin = spans.some(({ fromMs, toMs }) => fromMs <= nowMs && nowMs < toMs);
  if (!isWithin) {
    const next = spans.find(({ fromMs }) => fromMs > nowMs);
    return { isWithin, changesInMs: next ? next.fromMs - nowMs : null };
  }
  // Longer than was looked ahead: it goes on and on.
  return { isWithin, changesInMs: untilMs - nowMs > 7 * DAY_MINUTES * MINUTE_MS ? null : untilMs - nowMs };
}

/** From the day before, whose span may go on, to a day more than a week later. */
function spansAround({ spans, zone }: Hours, nowMs: number): { fromMs: number; toMs: number }[] {
  const today = localOf(zone, nowMs).toPlainDate();
  const dates = Array.from({ length: 10 }, (_, at) => today.add({ days: at - 1 }));
  return dates.flatMap((date) =>
    spans
      .filter(({ days }) => days.has(date.dayOfWeek))
      .map(({ fromMin, toMin }) => ({
        fromMs: instantMs(date, fromMin, zone),
        toMs: instantMs(date, toMin > fromMin ? toMin : toMin + DAY_MINUTES, zone),
      })),
  );
}

/** A day on which something is due. */
export interface DueDay {
  /** As its zone's calendar has it: 2026-11-30. */
  readonly date: string;
  readonly atMs: number;
}

/** When it was due last, the time before that, and when it is due next. */
export function lookAtDaily(
  { days, atMin, zone }: Daily,
  nowMs: number,
): { last: DueDay; before: DueDay; next: DueDay } {
  const today = localOf(zone, nowMs).toPlainDate();
  const due = Array.from({ length: 24 }, (_, at) => today.add({ days: at - 15 }))
    .filter((date) => days.has(date.dayOfWeek))
    .map((date) => ({ date: date.toString(), atMs: instantMs(date, atMin, zone) }));
  const at = due.findLastIndex(({ atMs }) => atMs <= nowMs);
  return { last: due[at] as DueDay, before: due[at - 1] as DueDay, next: due[at + 1] as DueDay };
}
