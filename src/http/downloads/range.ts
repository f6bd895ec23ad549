/** A part of a file, `end` not included. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/**
 * The one part that a Range header asks for; "none" where it lies beyond the file; undefined where all is meant: no header, or one
 * that asks for what need not be answered (RFC 9110, 14.2), as several parts.
 */
export function partOf(header: string | null, sizeBytes: number): Part | "none" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") return within(Math.max(0, sizeBytes - Number(last)), sizeBytes, sizeBytes);
  if (last !== "" && Number(last) < Number(first)) return undefined;
  return within(Number(first), last === "" ? sizeBytes : Number(last) + 1, sizeBytes);
}

function within(start: number, end: number, sizeBytes: number): Part | "none" {
  return start < sizeBytes ? { start, end: Math.min(end, sizeBytes) } : "none";
}
