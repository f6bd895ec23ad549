import { FAILING } from "../failing-words.ts";
import { weighLine } from "../line-weight.ts";
import { maskLine } from "../mask.ts";
import type { Evidence } from "../model.ts";
import type { Found } from "../scan.ts";

/** What is known of a log as a whole when one line of it is looked at. */
export interface LogView {
  readonly lines: readonly string[];
  /** The lines that say that something failed, in order; in a long log only those near its end. */
  readonly failing: readonly number[];
  /** Those of them that systemd did not write. */
  readonly own: readonly number[];
  /** The worst level that a failing line has. */
  readonly worst: number;
  /** What the incident's source is called, without its kind and number. */
  readonly sourceName: string;
  /** The last line that names an inner cause; -1 for none. */
  readonly lastCause: number;
  /** The time of day of the last line that has one; empty for none. */
  readonly endTime: string;
  /** How often each line's end occurs among the last ones. */
  readonly ends: ReadonlyMap<string, number>;
}

/** Of a longer log the last so many lines are looked at. */
const RECENT_MAX = 300;
const END_CHARS = 40;
const HEAD_CHARS = 260;
const TIME_CHARS = 80;

/** Looks at a log once for all its lines. */
export function viewLog({ logs, source }: Evidence): LogView {
  const lines = logs.split("\n");
  const from = Math.max(0, lines.length - RECENT_MAX);
  const recent = lines.slice(from);
  const failing = recent.flatMap((line, at) => (FAILING.test(maskLine(line)) ? from + at : []));
  const lineAt = (at: number) => lines[at] ?? "";
  const ends = new Map<string, number>();
  for (const line of recent) ends.set(line.slice(-END_CHARS), (ends.get(line.slice(-END_CHARS)) ?? 0) + 1);
  const lastCause = recent.findLastIndex((line) => CAUSED_BY.test(line));
  return {
    lines,
    failing,
    own: failing.filter((at) => !SYSTEMD.test(lineAt(at))),
    worst: Math.max(0, ...failing.map((at) => levelOf(lineAt(at)))),
    sourceName: nameOf(source),
    lastCause: lastCause < 0 ? -1 : from + lastCause,
    endTime: timeOf(recent.findLast((line) => timeOf(line) !== "") ?? ""),
    ends,
  };
}

const SYSTEMD = /systemd(?:\[\d{1,9}\])?:/;
const CAUSED_BY = /caused by:/i;
const INNER = /^\s{0,40}(?:caused by|root cause|reason|source|cause)\b ?[:=]|\bcaused by:/i;
const FRAME = /^\s{1,40}(?:at |from |in |File ")/;
const ENDING = /exited|exit code|shutting down|aborting|giving up|terminat|stopp/i;
const AGAIN = /\bretry|retrying|attempt \d|try again/i;
const SYSLOG_TAG = /^\w{3} {1,2}\d{1,2} [\d:]{8} \S{1,100} ([\w./@-]{1,100}?)(?:\[\d{1,9}\])?: /;
const CONTAINER_TAG = /^([\w.-]{1,80})\s{1,40}\| /;

const nameOf = (source: string): string =>
  source
    .toLowerCase()
    .replace(/\.\w{1,10}$/, "")
    .replace(/[@_-]\d{1,6}$/, "")
    .replace(/@.*$/, "");
const timeOf = (line: string): string => /\d\d:\d\d:\d\d/.exec(line.slice(0, TIME_CHARS))?.[0] ?? "";
const tagOf = (line: string): string =>
  (SYSLOG_TAG.exec(line)?.[1] ?? CONTAINER_TAG.exec(line)?.[1] ?? "").toLowerCase().replace(/^.*\//, "");

/** How bad a line calls itself: debug, info, warning, nothing said, error, fatal. */
const LEVELS: readonly (readonly [RegExp, number])[] = [
  [
    /\b(?:FATAL|PANIC|EMERG|CRITICAL|CRIT|SEVERE|ALERT)\b|\[(?:emerg|crit|alert|fatal|critical)\]|\b(?:fatal|panic|critical)(?: error)?:|level"?[=:]\s?"?(?:fatal|panic|crit)|"level":\s?60\b|"s":"F"|\bF\d{4} /,
    5,
  ],
  [
    /\b(?:ERROR|ERR!?|ERRO)\b|\[(?:error|err)\]|\b[Ee]rror:|level"?[=:]\s?"?err|"level":\s?50\b|"s":"E"|\bE\d{4} |Exception\b|Error:|<Error>|\[E\]/,
    4,
  ],
  [
    /\b(?:WARN|WARNING|WRN)\b|\[(?:warn|warning)\]|\b[Ww]arn(?:ing)?:|level"?[=:]\s?"?warn|"level":\s?40\b|"s":"W"|\bW\d{4} /,
    2,
  ],
  [
    /\b(?:INFO|NOTICE|INF)\b|\[(?:info|notice|note)\]|level"?[=:]\s?"?(?:info|notice)|"level":\s?30\b|"s":"I"|\bI\d{4} /i,
    1,
  ],
  [/\b(?:DEBUG|TRACE|DBG)\b|\[(?:debug|trace)\]|level"?[=:]\s?"?(?:debug|trace)/, 0],
];
const LEVEL_UNSAID = 3;
const levelOf = (line: string): number => {
  const head = line.slice(0, HEAD_CHARS);
  return LEVELS.find(([pattern]) => pattern.test(head))?.[1] ?? LEVEL_UNSAID;
};

/** A line that is looked at: `at` is -1 for the message. */
export interface Looked {
  readonly at: number;
  readonly text: string;
  /** Whether a rule fits it. */
  readonly isKnown: boolean;
}

/**
 * What a line's manner and place say of whether it decides, by name: numbers, most of them 0 or 1. What each is worth was learned
 * under its name.
 */
export function signsOf({ at, text, isKnown }: Looked, view: LogView, found: Found, source: string) {
  const { factor, isFailing, isFatal } = weighLine(text, source);
  const isLine = at >= 0;
  const level = isLine ? levelOf(text) : -1;
  const place = view.own.indexOf(at);
  const fromEnd = place < 0 ? -1 : view.own.length - 1 - place;
  const tag = isLine ? tagOf(text) : "";
  const isOwnTag =
    tag !== "" && view.sourceName !== "" && (view.sourceName.includes(tag) || tag.includes(view.sourceName));
  const time = isLine ? timeOf(text) : "";
  const isWorst = level === view.worst;
  return {
    always: 1,
    weight: Math.log(factor),
    isFailing,
    isFatal,
    place: isLine ? at / Math.max(1, view.lines.length) : 0,
    isFirstFailing: at === view.failing[0],
    isLastFailing: at === view.failing.at(-1),
    isMessage: !isLine,
    isSystemd: SYSTEMD.test(text),
    isUnknown: !isKnown,
    isRecovered: isLine && at < found.recoveredAt,
    isPassed: isLine && at < found.readyAt,
    isDenied: factor < 0.6,
    isMild: isLine && factor < 0.85,
    isLong: text.length > 200,
    isDebug: level === 0,
    isInfo: level === 1,
    isWarning: level === 2,
    isLevelUnsaid: level === LEVEL_UNSAID,
    isError: level === 4,
    isFatalLevel: level === 5,
    isWorst,
    isMilder: isLine && level < view.worst,
    milder: isLine ? view.worst - level : 0,
    isLastOwn: fromEnd === 0,
    isSecondLastOwn: fromEnd === 1,
    isThirdLastOwn: fromEnd === 2,
    isFourthLastOwn: fromEnd === 3,
    isEarlier: isLine && (fromEnd < 0 || fromEnd > 3),
    isFirstOwn: place === 0,
    isSecondOwn: place === 1,
    isOwnTag,
    isOtherTag: tag !== "" && !isOwnTag,
    isInner: isLine && INNER.test(text),
    isFrame: isLine && FRAME.test(text),
    isLastCause: isLine && at === view.lastCause,
    isBeforeEnding: isLine && view.lines.slice(at + 1, at + 3).some((line) => ENDING.test(line)),
    isAtEndTime: time !== "" && time === view.endTime,
    isBeforeEndTime: time !== "" && view.endTime !== "" && time !== view.endTime,
    isAgain: isLine && AGAIN.test(text),
    isRepeated: isLine && (view.ends.get(text.slice(-END_CHARS)) ?? 0) > 1,
    isWorstAndLast: isFailing && isWorst && fromEnd === 0,
    isWorstAndFirst: isFailing && isWorst && place === 0,
    isOnlyOwn: isLine && view.own.length === 1,
  } satisfies Record<string, number | boolean>;
}

/** The names of the signs, in the order of their weights. */
export type SignName = keyof ReturnType<typeof signsOf>;
