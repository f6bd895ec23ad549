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
}

/**
 * An entry as `journalctl -o json` writes it; undefined for a line that is none. A field is a string, or an array of bytes
 * when it is no plain text (colours, for one, or no UTF-8), or an array of either when the entry has it several times, or
 * null when it is longer than journalctl shows.
 */
export function parseEntry(line: string): JournalEntry | undefined {
  const fields = fieldsOf(jsonOf(line));
  const cursor = fields.__CURSOR;
  if (typeof cursor !== "string") return undefined;
  const field = (name: string) => (Object.hasOwn(fields, name) ? textOf(fields[name]) : undefined);
  const atMs = Math.floor(Number(field("__REALTIME_TIMESTAMP")) / 1000);
  const wallMs = Number.isFinite(atMs) ? atMs : 0;
  const moment = momentOf(wallMs, field("__MONOTONIC_TIMESTAMP"), field("_BOOT_ID"));
  return { cursor, atMs: wallMs, moment, message: field("MESSAGE") ?? "", field };
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
