import { Value } from "@sinclair/typebox/value";
import { isRecord, jsonOf } from "../lib/json.ts";
import { dangerOf } from "./fix-command.ts";
import { CATEGORIES, type Category, type ModelAnswer, ModelAnswerSchema } from "./model.ts";

const CHARS_MAX = { cause: 2_000, explanation: 8_000, fix: 4_000, command: 1_000, line: 4_000 } as const;
const EVIDENCE_MAX = 20;
/** Shorter quotations are in every log and show nothing. */
const EVIDENCE_CHARS_MIN = 4;
/** Taken when the model does not say: neither here nor there. */
const CONFIDENCE_UNSAID = 0.5;
const SEVERITIES: Readonly<Record<string, ModelAnswer["severity"]>> = {
  info: "info",
  low: "info",
  notice: "info",
  warning: "warning",
  warn: "warning",
  medium: "warning",
  moderate: "warning",
  critical: "critical",
  error: "critical",
  high: "critical",
  fatal: "critical",
  severe: "critical",
};

/** An answer that can be used, with notes on what was changed or dropped; or the reason why there is none. */
type ParsedAnswer =
  | { ok: true; answer: ModelAnswer; notes: string[] }
  | { ok: false; reason: "rubbish"; message: string };

/** What a model wrote, checked against what it was sent: `sent` is the redacted text that evidence must be quoted from. */
export function parseModelAnswer(text: string, sent: string): ParsedAnswer {
  let hasObject = false;
  for (const object of objectsIn(text)) {
    hasObject = true;
    if (textOf(object.cause, 1) === "" || textOf(object.fix, 1) === "") continue;
    const notes: string[] = [];
    const answer = answerOf(object, sent, notes);
    if (Value.Check(ModelAnswerSchema, answer)) return { ok: true, answer, notes };
  }
  const message = hasObject ? "the model's JSON has no cause or no fix" : "the model's answer has no JSON object in it";
  return { ok: false, reason: "rubbish", message };
}

function answerOf(object: Record<string, unknown>, sent: string, notes: string[]): ModelAnswer {
  return {
    cause: textOf(object.cause, CHARS_MAX.cause),
    explanation: textOf(object.explanation, CHARS_MAX.explanation),
    fix: textOf(object.fix, CHARS_MAX.fix),
    fix_command: commandOf(object.fix_command, notes),
    category: categoryOf(object.category, notes),
    severity: severityOf(object.severity, notes),
    confidence: confidenceOf(object.confidence, notes),
    evidence: evidenceOf(object.evidence, sent, notes),
  };
}

/** Steps may come as a list. Of control characters only line breaks are left. */
function textOf(value: unknown, charsMax: number): string {
  const text = Array.isArray(value) ? value.filter((part) => typeof part === "string").join("\n") : value;
  if (typeof text !== "string") return "";
  const clean = text.replaceAll("\t", " ").replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/gu, "");
  return cut(clean.trim(), charsMax);
}

function commandOf(value: unknown, notes: string[]): string | null {
  const command = Array.isArray(value) ? value.join("\n") : value;
  if (typeof command !== "string" || /^(?:|null|none|n\/a|-)$/i.test(command.trim())) return null;
  const danger = command.length > CHARS_MAX.command ? "it is too long" : dangerOf(command.trim());
  if (danger === null) return textOf(command, CHARS_MAX.command) || null;
  notes.push(`dropped: the suggested command, because ${danger}`);
  return null;
}

function categoryOf(value: unknown, notes: string[]): Category {
  const word =
    typeof value === "string"
      ? value
          .trim()
          .toLowerCase()
          .replaceAll(/[\s-]+/g, "_")
      : "";
  const known = CATEGORIES.find((category) => category === word);
  if (known === undefined) notes.push("the model named no category that is known");
  return known ?? "unknown";
}

function severityOf(value: unknown, notes: string[]): ModelAnswer["severity"] {
  const word = typeof value === "string" ? value.trim().toLowerCase() : "";
  const known = Object.hasOwn(SEVERITIES, word) ? SEVERITIES[word] : undefined;
  if (known === undefined) notes.push("the model named no severity that is known");
  return known ?? "warning";
}

/** 0.9, "0.9", "90 %" and 90 are the same; 1 is certainty, not a percent. */
function confidenceOf(value: unknown, notes: string[]): number {
  const match = /^\s{0,9}(\d{1,3}(?:\.\d{1,15})?)\s{0,9}(%?)\s{0,9}$/.exec(String(value));
  const number = Number(match?.[1]);
  const confidence = match?.[2] === "%" || number > 1 ? number / 100 : number;
  if (confidence >= 0 && confidence <= 1) return confidence;
  notes.push("the model gave no confidence that makes sense");
  return CONFIDENCE_UNSAID;
}

function evidenceOf(value: unknown, sent: string, notes: string[]): string[] {
  const quoted = (Array.isArray(value) ? value : [value]).filter((line): line is string => typeof line === "string");
  const log = folded(sent);
  const kept: string[] = [];
  let dropped = 0;
  for (const line of quoted.flatMap((text) => text.split("\n")).map(folded)) {
    if (line === "" || kept.includes(line)) continue;
    if (line.length < EVIDENCE_CHARS_MIN || !log.includes(line) || kept.length >= EVIDENCE_MAX) dropped++;
    else kept.push(cut(line, CHARS_MAX.line));
  }
  if (dropped > 0) notes.push(`dropped: ${dropped} of the quoted lines, because what was sent does not have them`);
  return kept;
}

/** Models trim and re-wrap what they quote; the words must be the same. */
function folded(text: string): string {
  return text.replaceAll(/[\s\p{Cc}\p{Cf}\p{Cs}]+/gu, " ").trim();
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1).toWellFormed()}…`;
}

/** An answer is shorter, and stands at the end; it bounds the work below. */
const TEXT_CHARS_MAX = 64 * 1024;
/** Opening braces that are tried as an object's beginning, from the end. */
const STARTS_MAX = 256;
/** Characters that are read in search of their ends. */
const READ_CHARS_MAX = 4 * 1024 * 1024;
const THOUGHT_END = "</think>";

/**
 * The JSON objects that a text holds, the most likely first: what comes after a thought before what is in it, the text as a whole
 * before its parts, and of these the last one first, since a model corrects itself. Models put fences and sentences around their
 * JSON, break lines inside strings, leave commas behind, and send it as a string of JSON.
 */
export function* objectsIn(text: string): Generator<Record<string, unknown>> {
  const afterThought = text.lastIndexOf(THOUGHT_END) + THOUGHT_END.length;
  if (afterThought >= THOUGHT_END.length) yield* objectsOf(text.slice(afterThought));
  yield* objectsOf(text);
}

function* objectsOf(text: string): Generator<Record<string, unknown>> {
  const cut = text.slice(-TEXT_CHARS_MAX).trim();
  const inner = cut.startsWith('"') ? jsonOf(cut) : undefined;
  if (typeof inner === "string") yield* objectsOf(inner);
  const whole = parseObject(cut);
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

/** The one that ends last comes first; of those that end together the outermost. */
function balanced(text: string): string[] {
  const found: { start: number; end: number }[] = [];
  let readChars = 0;
  let start = text.lastIndexOf("{");
  for (let tries = 0; start >= 0 && tries < STARTS_MAX && readChars < READ_CHARS_MAX; tries++) {
    const end = endOfObject(text, start);
    readChars += (end || text.length) - start;
    if (end > 0) found.push({ start, end });
    start = start === 0 ? -1 : text.lastIndexOf("{", start - 1);
  }
  return found.sort((a, b) => b.end - a.end || a.start - b.start).map((one) => text.slice(one.start, one.end));
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
