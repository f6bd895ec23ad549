import { fieldsOf, jsonOf } from "../../lib/json.ts";

/** One entry of the journal. */
export interface JournalEntry {
  readonly cursor: string;
  /** When the journal received it, Unix milliseconds. */
  readonly atMs: number;
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
  return { cursor, atMs: Number.isFinite(atMs) ? atMs : 0, message: field("MESSAGE") ?? "", field };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  if (value.every((one) => typeof one === "number")) return Buffer.from(value).toString("utf8");
  return value.map((one) => textOf(one) ?? "").join("\n");
}
