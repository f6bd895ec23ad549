import { fieldsOf, jsonOf } from "../../lib/json.ts";
import { bootOf, type Moment, type Moments } from "../moments.ts";

/** One entry of the journal. */
export interface JournalEntry {
  readonly cursor: string;
  /** When the journal received it, Unix milliseconds, by the clock as it was then. */
  readonly atMs: number;
  /** The same by a clock that nobody sets, too, where the journal says so. */
  readonly moment: Moment | undefined;
  /** Its text, with newlines where it has several lines; empty when it has none. */
  readonly message: string;
  /** A field's text; undefined when it is not there, or too long for the journal to show. */
  field(name: string): string | undefined;
  /** Whether the message may hold what the words find: told without reading it, and so for most lines of a busy unit. */
  mayHold(words: RegExp): boolean;
  /** Whether the message is surely one line without a control of ASCII, and so short that it may be kept unread; told without reading it. */
  isOneLine(): boolean;
}

/**
 * An entry as `journalctl -o json` writes it; undefined for a line that is none. A field is a string, or an array of bytes
 * when it is no plain text (colours, for one, or no UTF-8), or an array of either when the entry has it several times, or
 * null when it is longer than journalctl shows.
 */
export function parseEntry(line: string): JournalEntry | undefined {
  const entry = new LazyEntry(line);
  return entry.isEntry() ? entry : undefined;
}

/** Reads of its line what it is asked for: a unit may write tens of thousands in a second that nobody wants to know more of. */
class LazyEntry implements JournalEntry {
  readonly #line: string;
  #fields: Readonly<Record<string, unknown>> | undefined;
  #isOneLine: boolean | undefined;

  constructor(line: string) {
    this.#line = line;
  }

  isEntry(): boolean {
    const isWhole = this.#line.startsWith("{") && this.#line.endsWith("}");
    return (isWhole && this.#line.includes(CURSOR)) || typeof this.#all().__CURSOR === "string";
  }

  get cursor(): string {
    return this.field("__CURSOR") ?? "";
  }

  get atMs(): number {
    const atMs = Math.floor(Number(this.field("__REALTIME_TIMESTAMP")) / 1000);
    return Number.isFinite(atMs) ? atMs : 0;
  }

  get moment(): Moment | undefined {
    return momentOf(this.atMs, this.field("__MONOTONIC_TIMESTAMP"), this.field("_BOOT_ID"));
  }

  get message(): string {
    return this.field("MESSAGE") ?? "";
  }

  field(name: string): string | undefined {
    if (this.#fields === undefined) {
      const plain = plainField(this.#line, name);
      if (plain !== undefined) return plain;
    }
    const fields = this.#all();
    return Object.hasOwn(fields, name) ? textOf(fields[name]) : undefined;
  }

  mayHold(words: RegExp): boolean {
    return !this.isOneLine() || words.test(this.#line);
  }

  isOneLine(): boolean {
    this.#isOneLine ??=
      this.#line.length <= KEPT_CHARS_MAX &&
      !this.#line.includes("\\") &&
      PLAIN_MESSAGES.some((start) => this.#line.includes(start));
    return this.#isOneLine;
  }

  #all(): Readonly<Record<string, unknown>> {
    this.#fields ??= fieldsOf(jsonOf(this.#line));
    return this.#fields;
  }
}

/** Older ones than version 239 write spaces around the colon. */
const PLAIN_MESSAGES = ['"MESSAGE":"', '"MESSAGE" : "'];
const CURSOR = '"__CURSOR":"';
/** Above what most entries take with all their fields. */
const KEPT_CHARS_MAX = 8_192;

/**
 * A field's text where it stands in the line as it is: undefined says nothing. Within a text a quote has a backslash before it,
 * so the name between two quotes is a name.
 */
function plainField(line: string, name: string): string | undefined {
  const start = `"${name}":"`;
  const at = line.indexOf(start);
  if (at < 0) return undefined;
  const from = at + start.length;
  const text = line.slice(from, line.indexOf('"', from));
  return text.includes("\\") ? undefined : text;
}

function momentOf(wallMs: number, monotonicUs: string | undefined, bootId: string | undefined): Moment | undefined {
  if (monotonicUs === undefined || bootId === undefined) return undefined;
  return { wallMs, monotonicMs: Number(monotonicUs) / 1000, boot: bootOf(bootId) };
}

/** What is needed to say when an entry came. */
export type EntryTime = Pick<JournalEntry, "atMs" | "moment">;

/**
 * When that was by the clock as it stands now: one that was put forward must not make it long ago. (One that was put back cannot
 * be told from a machine that has slept, which its other clock leaves out.)
 */
export function atNow({ atMs, moment }: EntryTime, moments: Moments): number {
  return atMs + Math.max(0, moment ? moments.stepMs(moment) : 0);
}

/** How long after the earlier one an entry came; infinitely where the machine was started between. */
export function msBetween(earlier: EntryTime, later: EntryTime): number {
  if (!earlier.moment || !later.moment) return later.atMs - earlier.atMs;
  if (earlier.moment.boot !== later.moment.boot) return Number.POSITIVE_INFINITY;
  return later.moment.monotonicMs - earlier.moment.monotonicMs;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  if (value.every((one) => typeof one === "number")) return Buffer.from(value).toString("utf8");
  return value.map((one) => textOf(one) ?? "").join("\n");
}
