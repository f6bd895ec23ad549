import { isRecord, jsonOf } from "../lib/json.ts";

/** More is not an answer; it bounds the work below. */
const TEXT_CHARS_MAX = 64 * 1024;
/** Opening braces that are tried as an object's beginning. */
const STARTS_MAX = 64;

/**
 * The JSON objects that a text holds, the most likely first: the text as a whole, else every balanced object in it, the
 * largest first. Models put fences and sentences around their JSON, break lines inside strings and leave commas behind.
 */
export function* objectsIn(text: string): Generator<Record<string, unknown>> {
  const cut = text.slice(0, TEXT_CHARS_MAX);
  const whole = parseObject(cut.trim());
  if (whole) yield whole;
  for (const candidate of balanced(cut)) {
    const object = parseObject(candidate) ?? parseObject(mended(candidate));
    if (object) yield object;
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  const value = text.startsWith("{") ? jsonOf(text) : undefined;
  return isRecord(value) ? value : undefined;
}

function balanced(text: string): string[] {
  const found: string[] = [];
  let start = text.indexOf("{");
  for (let tries = 0; start >= 0 && tries < STARTS_MAX; tries++) {
    const end = endOfObject(text, start);
    if (end > 0) found.push(text.slice(start, end));
    start = text.indexOf("{", start + 1);
  }
  return found.sort((a, b) => b.length - a.length);
}

/** Just after the brace that closes the one at `start`; 0 when there is none. */
function endOfObject(text: string, start: number): number {
  let depth = 0;
  let isInString = false;
  for (let at = start; at < text.length; at++) {
    const char = text.charAt(at);
    if (isInString) {
      if (char === "\\") at++;
      else if (char === '"') isInString = false;
    } else if (char === '"') isInString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return at + 1;
  }
  return 0;
}

/** Line breaks and tabs inside strings are escaped, commas before a closing bracket dropped. */
function mended(text: string): string {
  const parts = text.match(/"(?:[^"\\]|\\[\s\S])*"|[^"]+|"/g) ?? [];
  return parts
    .map((part) =>
      part.length > 1 && part.startsWith('"') ? escapeControls(part) : part.replaceAll(/,(?=\s{0,100}[}\]])/g, ""),
    )
    .join("");
}

function escapeControls(literal: string): string {
  return literal.replaceAll("\r", "\\r").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
