const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** A duration as people say it, in two units at most: "42 s", "4 min", "3 h 12 min", "2 d 4 h". */
export function durationWords(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE_S) return `${s} s`;
  if (s < HOUR_S) return `${Math.floor(s / MINUTE_S)} min`;
  if (s < DAY_S) return joined(Math.floor(s / HOUR_S), "h", Math.floor((s % HOUR_S) / MINUTE_S), "min");
  return joined(Math.floor(s / DAY_S), "d", Math.floor((s % DAY_S) / HOUR_S), "h");
}

/** How long something lasted. */
export function lastedWords(from: string, to: string): string {
  return durationWords((Date.parse(to) - Date.parse(from)) / 1000);
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** For how long an instant is past, in one unit, for lists: "42 s", "4 min", "3 h", "2 d". */
export function ageWords(instant: string | null, nowMs: number): string {
  if (instant === null) return "never";
  const s = Math.max(0, Math.floor((nowMs - Date.parse(instant)) / 1000));
  if (s < MINUTE_S) return `${s} s`;
  if (s < HOUR_S) return `${Math.floor(s / MINUTE_S)} min`;
  return s < 2 * DAY_S ? `${Math.floor(s / HOUR_S)} h` : `${Math.floor(s / DAY_S)} d`;
}

/** A run time: "0.04 s", "1.2 s", "75 s". */
export function secondsWords(ms: number): string {
  const s = ms / 1000;
  return s >= 10 ? `${Math.round(s)} s` : s >= 0.1 ? `${s.toFixed(1)} s` : `${s.toFixed(2)} s`;
}

/** An instant by the reader's clock: the time, with the date where it is another day. */
export function clockWords(instant: string, nowMs: number): string {
  const at = new Date(instant);
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  return isToday ? TIME.format(at) : `${DATE.format(at)}, ${TIME.format(at)}`;
}

/** An instant whole, for a title and for those who look closely. */
export function fullWords(instant: string): string {
  return FULL.format(new Date(instant));
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
