import { forModels } from "../../analysis/prompt.ts";
import { isRecord } from "../../lib/json.ts";

/** A text that is none of its own: a message, a reason, an outcome. */
const TEXT_CHARS_MAX = 4_000;
const ENTRIES_MAX = 200;
/** So much more is looked at than is shown: what a cut leaves of a secret at its edge, nobody would know for one. */
const LOOKED_AT = 4;

/**
 * What is found, for a program that hands it to a model: whoever that is, it is a third party. Dates are text, each text is redacted and
 * cut, and of a long list the first entries are shown.
 */
export function forReader(value: unknown): unknown {
  if (typeof value === "string") return head(value, TEXT_CHARS_MAX);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.slice(0, ENTRIES_MAX).map(forReader);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, forReader(inner)]));
}

/** The text's beginning, redacted. */
export function head(text: string, charsMax: number): string {
  const safe = forModels(text.slice(0, charsMax * LOOKED_AT));
  const isWhole = safe.length <= charsMax && text.length <= charsMax * LOOKED_AT;
  return isWhole ? safe : `${safe.slice(0, charsMax).toWellFormed()}… [cut]`;
}

/** The text's end, redacted: of a log the last lines say most. */
export function tail(text: string, charsMax: number): string {
  const safe = forModels(text.slice(-charsMax * LOOKED_AT));
  const isWhole = safe.length <= charsMax && text.length <= charsMax * LOOKED_AT;
  return isWhole ? safe : `[cut] …${safe.slice(-charsMax).toWellFormed()}`;
}
