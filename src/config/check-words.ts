import { parseDurationMs } from "../lib/units.ts";

/** What is wrong with a check, for the person who wrote it; without a secret. */
export class CheckFault extends Error {}

const QUOTED_CHARS_MAX = 60;
const DAY_MS = 86_400_000;

/** The words of one check. Each is taken once, by whoever knows it; `end` refuses the rest. */
export interface CheckWords {
  /** The value of `name=…`. */
  take(name: string): string | undefined;
  /** All of that name. */
  takeAll(name: string): string[];
  /** Whether the word is there. */
  has(word: string): boolean;
  /** A duration without a name: of whole days, or shorter. */
  takeDuration(isDays: boolean): string | undefined;
  end(known: readonly string[]): void;
}

/** Words as they were written: bare, or with a name before a `=`. */
export function createCheckWords(words: readonly string[]): CheckWords {
  const left = words.map(wordOf);

  function takeAll(name: string): string[] {
    const found = left.filter((one) => one.name === name);
    for (const one of found) left.splice(left.indexOf(one), 1);
    return found.map(({ value }) => value);
  }

  function takeBare(fits: (word: string) => boolean): string | undefined {
    const at = left.findIndex(({ name, value }) => name === "" && fits(value));
    return at < 0 ? undefined : left.splice(at, 1)[0]?.value;
  }

  return {
    takeAll,
    take(name) {
      const [value, another] = takeAll(name);
      if (another !== undefined) throw new CheckFault(`${name}= stands there twice`);
      if (value === "") throw new CheckFault(`${name}= has no value`);
      return value;
    },
    has: (word) => takeBare((one) => one === word) !== undefined,
    takeDuration: (isDays) => takeBare((one) => parseDurationMs(one) !== undefined && one.endsWith("d") === isDays),
    end(known) {
      const [unknown] = left;
      if (unknown === undefined) return;
      const shown = unknown.name === "" ? unknown.value : `${unknown.name}=`;
      throw new CheckFault(`${quoted(shown)} is none of the words that fit here: ${known.join(", ")}`);
    },
  };
}

/** `text!="no"` has the name `text!`, `=1.2.3.4` the name `=`; a value between quotes may hold anything, \" and \\ too. */
function wordOf(word: string): { name: string; value: string } {
  const [, before, rest = word] = /^([a-z]*!?)=(.*)$/is.exec(word) ?? [];
  const name = before === "" ? "=" : (before ?? "").toLowerCase();
  if (!rest.startsWith('"')) return { name, value: rest };
  const inner = /^"((?:[^"\\]|\\.)*)"$/s.exec(rest)?.[1];
  if (inner === undefined) throw new CheckFault("a quote does not end");
  return { name, value: inner.replaceAll(/\\(.)/g, "$1") };
}

/** A duration between these. */
export function durationOf(name: string, text: string, minMs: number, maxMs: number, expected: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
  throw new CheckFault(`${quoted(`${name}${text}`)}: expected ${expected}`);
}

const OFTEN = { usualMs: 60_000, minMs: 1_000, maxMs: DAY_MS };
const PATIENCE = { usualMs: 10_000, minMs: 100, maxMs: 60_000 };
const FAILURES = { usual: 2, max: 20 };
const EXPIRY = { usualMs: 14 * DAY_MS, minMs: DAY_MS, maxMs: 366 * DAY_MS };
/** What stands behind it must fit into an alert's source, too. */
const NAME_CHARS_MAX = 200;
const NAME = /^[^\s"]{1,100}$/;

/** The words of every kind of check. */
export const COMMON_WORDS = ["30s", "timeout=5s", "slow=2s", "for=3", "name=…", "warning", "critical"];

/** What the words say that fit every kind of check. */
export function readCommonWords(words: CheckWords, target: string) {
  const own = words.take("name");
  const name = own ?? target;
  if (name.length > NAME_CHARS_MAX) throw new CheckFault("this is too long for a name: give it one by name=…");
  if (own !== undefined && !NAME.test(own))
    throw new CheckFault("name=: expected 1 to 100 characters without spaces and quotes");
  const every = words.takeDuration(false) ?? words.take("interval") ?? words.take("every");
  const timeout = words.take("timeout");
  const slow = words.take("slow");
  const { minMs, maxMs, usualMs } = PATIENCE;
  const timeoutMs =
    timeout === undefined ? usualMs : durationOf("timeout=", timeout, minMs, maxMs, "a duration from 100ms to 60s");
  return {
    name,
    target,
    intervalMs:
      every === undefined
        ? OFTEN.usualMs
        : durationOf("", every, OFTEN.minMs, OFTEN.maxMs, "how often, from 1s to 24h"),
    timeoutMs,
    slowMs: slow === undefined ? null : slowOf(slow, timeoutMs),
    failures: failuresOf(words.take("for")),
    severity: severityOf(words),
  };
}

function slowOf(text: string, timeoutMs: number): number {
  return durationOf("slow=", text, 1, timeoutMs - 1, `a duration below the timeout of ${timeoutMs / 1000} s`);
}

function failuresOf(text: string | undefined): number {
  if (text === undefined) return FAILURES.usual;
  const failures = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (failures >= 1 && failures <= FAILURES.max) return failures;
  throw new CheckFault(`${quoted(`for=${text}`)}: expected how many failures in a row, from 1 to ${FAILURES.max}`);
}

function severityOf(words: CheckWords): "warning" | "critical" {
  const isWarning = words.has("warning");
  return words.has("critical") || !isWarning ? "critical" : "warning";
}

/** Of a certificate: how long before its end it is told; null with `expires=off`. */
export function expiryOf(words: CheckWords): number | null {
  const text = words.takeDuration(true) ?? words.take("expires");
  if (text === undefined) return EXPIRY.usualMs;
  if (text === "off") return null;
  return durationOf("expires=", text, EXPIRY.minMs, EXPIRY.maxMs, "days before the end, from 1d to 366d, or off");
}

/** A word of a setting, as it is shown. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
