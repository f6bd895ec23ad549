/** True when PostgreSQL can store the text as it is: no NUL, no lone surrogate. */
export function isCleanText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

/** The text without NUL, and with U+FFFD for each lone surrogate. */
export function cleanText(text: string): string {
  return isCleanText(text) ? text : text.replaceAll("\0", "").toWellFormed();
}

/**
 * A parsed JSON value with every string clean, keys included. Recursion ends where JSON_DEPTH_MAX does, which was checked
 * before. Of keys that are the same once clean, the last one counts.
 */
export function cleanJson(value: unknown): unknown {
  if (typeof value === "string") return cleanText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(cleanJson);
  return cleanJsonObject(value as Record<string, unknown>);
}

/** The same for an object. */
export function cleanJsonObject(object: Record<string, unknown>): Record<string, unknown> {
  // Not by assignment: "__proto__" would set the prototype.
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [cleanText(key), cleanJson(value)]));
}

/** A character takes at most this many bytes of UTF-8 for each unit of a JavaScript string. */
const UTF8_BYTES_PER_UNIT_MAX = 3;

/** True when the text's UTF-8 is longer than `limitBytes`; most texts are too short to be counted. */
export function isLongerThan(text: string, limitBytes: number): boolean {
  return text.length * UTF8_BYTES_PER_UNIT_MAX > limitBytes && Buffer.byteLength(text) > limitBytes;
}

/** Room for the mark, whose number has at most 16 digits. */
const MARK_BYTES_MAX = 48;

/**
 * The text when its UTF-8 fits into `limitBytes`; else its head and its tail, and a line between them that says how much is
 * missing, all within the limit. No character is cut in two.
 */
export function keepEnds(text: string, limitBytes: number): string {
  if (!isLongerThan(text, limitBytes)) return text;
  const bytes = Buffer.from(text);
  const endBytes = (limitBytes - MARK_BYTES_MAX) >> 1;
  const headEnd = characterStart(bytes, endBytes, -1);
  const tailStart = characterStart(bytes, bytes.length - endBytes, 1);
  const mark = `\n[... ${tailStart - headEnd} bytes left out ...]\n`;
  return bytes.toString("utf8", 0, headEnd) + mark + bytes.toString("utf8", tailStart);
}

/** As much of the text's beginning as fits into `limitBytes` of UTF-8. No character is cut in two. */
export function keepHead(text: string, limitBytes: number): string {
  if (!isLongerThan(text, limitBytes)) return text;
  const bytes = Buffer.from(text);
  return bytes.toString("utf8", 0, characterStart(bytes, limitBytes, -1));
}

/** The nearest start of a character at or beyond `at`, in the direction of `step`. */
function characterStart(bytes: Uint8Array, at: number, step: 1 | -1): number {
  let start = at;
  while (((bytes[start] ?? 0) & 0xc0) === 0x80) start += step;
  return start;
}
