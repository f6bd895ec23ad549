import { isRecord, jsonOf } from "../lib/json.ts";
import { JSON_DEPTH_MAX, JSON_UNSCANNED_CHARS_MAX, JSON_VALUES_MAX } from "./limits.ts";

/** Why a text gave no object. */
export type JsonFault = "malformed" | "not_object" | "too_deep" | "too_many_values";

/**
 * The object that a JSON text holds, or what is wrong with it. The limits on depth and number hold at every size, and
 * before JSON.parse wherever the text is long enough to hurt. Never throws.
 */
export function parseJsonObject(text: string): Record<string, unknown> | JsonFault {
  const isScanned = text.length > JSON_UNSCANNED_CHARS_MAX;
  const fault = isScanned ? scanJson(text) : undefined;
  if (fault !== undefined) return fault;
  const value = jsonOf(text);
  if (value === undefined) return "malformed";
  if (!isRecord(value)) return "not_object";
  return isScanned || isFlat(value) ? value : (scanJson(text) ?? value);
}

/** What to tell the sender. */
export function describeJsonFault(fault: JsonFault): string {
  switch (fault) {
    case "malformed":
      return "Expected JSON";
    case "not_object":
      return "Expected object";
    case "too_deep":
      return `Expected at most ${JSON_DEPTH_MAX} levels of nesting`;
    case "too_many_values":
      return `Expected at most ${JSON_VALUES_MAX} values`;
  }
}

/** True when no value has values of its own: then a short text is within both limits, and need not be scanned. */
function isFlat(object: Record<string, unknown>): boolean {
  for (const key in object) {
    const value = object[key];
    if (typeof value === "object" && value !== null) return false;
  }
  return true;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Which limit a text breaks, in one pass and without building anything. Values and keys are counted by what separates
 * them, so an empty array or object counts as two. A text that is no JSON gets some answer: JSON.parse says the rest.
 */
export function scanJson(text: string): "too_deep" | "too_many_values" | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        if (++depth > JSON_DEPTH_MAX) return "too_deep";
        values++;
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth--;
        break;
      case COMMA:
      case COLON:
        values++;
    }
    if (values > JSON_VALUES_MAX) return "too_many_values";
  }
  return undefined;
}

/** Where the string that opens at `start` closes: the first quote after an even number of backslashes. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
