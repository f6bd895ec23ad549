import { FAILING } from "./failing-words.ts";
import { hasSeveralContainers, weighLine } from "./line-weight.ts";
import { compileLiterals, type Literals } from "./literals.ts";
import { maskLine, maskMessage } from "./mask.ts";
import type { Evidence } from "./model.ts";
import type { Rule } from "./rules/rule.ts";

/** Of a longer line the head and the tail are read, each to here: what failed stands at either, and an expression's work is bounded. */
export const LINE_CHARS_MAX = 2000;
/** How much of its candidate lines one rule reads, half of it from the head of the log and half from its tail. */
export const RULE_CHARS_MAX = 3_200;
/** And how many of them, for logs of very short lines. */
export const RULE_LINES_MAX = 12;

/** A rule that fits a line. */
export interface Hit {
  rule: Rule;
  /** Index of the line in the logs; -1 is the message. */
  line: number;
  text: string;
  /** How the line says it: its level, whether it denies, whom it is about. */
  factor: number;
  isFailing: boolean;
  isFatal: boolean;
  /** Where in the line the words end that the rule fits, in characters. */
  end: number;
  named: Record<string, string | undefined> | undefined;
  /** How many of the lines that were read the rule fits. */
  lines: number;
}

/** What was found in the evidence. */
export interface Found {
  hits: readonly Hit[];
  lineCount: number;
  /** The last line that says that a connection came back; -1 for none. */
  recoveredAt: number;
  /** The last line that says that the program is up and goes on; -1 for none. */
  readyAt: number;
  /** The last line that ends with a step's going well, or tells that something is there again; -1 for none. */
  doneAt: number;
}

type Words = Pick<Rule, "any" | "when" | "with" | "not">;

/** Rules with their literals compiled into one search. */
export interface RuleBook {
  rules: readonly Rule[];
  literals: Literals;
  /** For each literal the numbers of its rules; the numbers after the last rule are the signs. */
  rulesOf: readonly (readonly number[])[];
}

const RECOVERY: Words = {
  any: [
    "connected to",
    "connection established",
    "connection restored",
    "reconnected",
    "succeeded",
    "recovered",
    "back online",
    "successfully",
    "is back",
    "established",
    "now reachable",
    "is reachable again",
    "available again",
    "acquired",
  ],
  when: /\b(?:re)?connected to\b|connect(?:ion)?\b.{0,60}\b(?:re-?)?(?:established|restored)|session established|reconnected|retr(?:y|ying|ied).{0,80}succeeded|attempt.{0,40}succeeded|recovered|back online|successfully (?:re)?(?:connected|started|loaded|opened|acquired|resolved|registered|bound)|is back\b|(?:reachable|available) again|now reachable|lock.{0,30}acquired|acquired.{0,30}lock/i,
  not: /\b(?:not|error|failed|failure|fatal|unable|could)\b|disconnected/i,
};
const READY: Words = {
  any: [
    "ready",
    "listening",
    "startup complete",
    "started",
    "serving",
    "accepting",
    "initialized",
    "initialised",
    "up and running",
    "is running",
    "completed",
  ],
  when: /\bready\b|\blistening (?:on|at|for)\b|\b(?:startup|initiali[sz]ation|boot) complete|\b(?:server|service|daemon|application|worker|process|app|instance|listener|api)\b.{0,30}\b(?:started|initiali[sz]ed)\b|\bstarted (?:in|successfully|\w{1,30} (?:server|service|worker|listener))|\bserving\b|\baccepting (?:connections|requests|tcp)|\bup and running\b|\bcompleted (?:successfully|initiali[sz]ation)/i,
  not: /\b(?:not|error|failed|failure|fatal|unable|could|never|cannot|waiting|until|before|when)\b|systemd(?:\[\d{1,9}\])?: /i,
};
const DONE: Words = {
  any: ["done", "ok", "complete", "link", "reappeared"],
  when: /(?:[\w)\]]:|\.{3}|…) ?(?:done|ok|completed?)[.!]?$|\blink (?:is |becomes |came )?(?:up|ready)\b|\breappeared\b/i,
};
const SIGNS: readonly Words[] = [RECOVERY, READY, DONE];
/** How many of the last lines that hold a word of a sign are read. */
const SIGN_LINES_MAX = 50;

/** Compiles the rules: once, since it costs some milliseconds. */
export const compileRules = (rules: readonly Rule[]): RuleBook => {
  const byLiteral = new Map<string, number[]>();
  for (const [index, { any }] of [...rules, ...SIGNS].entries())
    for (const literal of any) {
      const known = byLiteral.get(literal);
      if (known === undefined) byLiteral.set(literal, [index]);
      else known.push(index);
    }
  return { rules, literals: compileLiterals([...byLiteral.keys()]), rulesOf: [...byLiteral.values()] };
};

/** A line, or the head or the tail of a long one. */
interface Piece {
  line: number;
  start: number;
  end: number;
}

/** The lines of a text, in order. */
const piecesOf = (text: string): Piece[] => {
  const pieces: Piece[] = [];
  let start = 0;
  for (let line = 0; start <= text.length; line++) {
    const next = text.indexOf("\n", start);
    const end = next < 0 ? text.length : next;
    pieces.push({ line, start, end: Math.min(end, start + LINE_CHARS_MAX) });
    if (end - start > LINE_CHARS_MAX)
      pieces.push({ line, start: Math.max(start + LINE_CHARS_MAX, end - LINE_CHARS_MAX), end });
    start = end + 1;
  }
  return pieces;
};

/** For each rule and each sign the numbers of the pieces that have one of its literals, in order. */
const candidatesOf = ({ rules, literals, rulesOf }: RuleBook, text: string, pieces: readonly Piece[]): number[][] => {
  const candidates: number[][] = Array.from({ length: rules.length + SIGNS.length }, () => []);
  let piece = 0;
  const note = (literal: number) => {
    const rulesHere = rulesOf[literal] ?? [];
    for (let at = 0; at < rulesHere.length; at++) {
      const found = candidates[rulesHere[at] ?? 0];
      if (found !== undefined && found[found.length - 1] !== piece) found.push(piece);
    }
  };
  for (; piece < pieces.length; piece++) {
    const { start, end } = pieces[piece] as Piece;
    literals.scan(text, start, end, note);
  }
  return candidates;
};

/** The candidates that are read: from the head and from the tail until the characters are used up, in order. */
const chosen = (found: readonly number[], lengthOf: (piece: number) => number): readonly number[] => {
  let budget = RULE_CHARS_MAX;
  let head = 0;
  let tail = found.length;
  while (head < tail && budget > 0 && head < RULE_LINES_MAX / 2) {
    budget -= lengthOf(found[head++] ?? 0);
    if (head < tail && budget > 0) budget -= lengthOf(found[--tail] ?? 0);
  }
  return head < tail ? [...found.slice(0, head), ...found.slice(tail)] : found;
};

/** Where in the line the words end that fit, in characters; undefined when it does not fit. */
const fitOf = (words: Words, line: string): { end: number; named: Hit["named"] } | undefined => {
  const { any, when, not } = words;
  const isOther = () => not?.test(line) === true || words.with?.test(line) === false;
  if (when !== undefined) {
    const match = when.exec(line);
    return match === null || isOther() ? undefined : { end: match.index + match[0].length, named: match.groups };
  }
  if (isOther()) return undefined;
  const lower = line.toLowerCase();
  const ends = any.map((literal) => lower.lastIndexOf(literal) + literal.length * Number(lower.includes(literal)));
  const end = Math.max(...ends);
  return end > 0 ? { end, named: undefined } : undefined;
};

/** So many failing lines are read by the broad rules whatever their literals; in a longer log the literals choose. */
const FAILING_LINES_MAX = 60;

/** The pieces that say that something failed; none when these are too many. */
const failingOf = (pieces: readonly Piece[], textOf: (piece: number) => string): readonly number[] => {
  if (pieces.length > FAILING_LINES_MAX * 5) return [];
  const failing = pieces.flatMap((_, piece) => (FAILING.test(textOf(piece)) ? piece : []));
  return failing.length > FAILING_LINES_MAX ? [] : failing;
};

/** One text as it is read: its pieces without their line ends, and what each counts, found once. */
const readerOf = (text: string, source: string, mask: (line: string) => string) => {
  const pieces = piecesOf(text);
  const isOneContainer = !hasSeveralContainers(text);
  const weights = new Map<number, ReturnType<typeof weighLine>>();
  const texts = new Map<number, { whole: string; masked: string }>();
  const textOf = (piece: number) => {
    const known = texts.get(piece);
    if (known !== undefined) return known;
    const { start, end } = pieces[piece] as Piece;
    const whole = text.slice(start, text[end - 1] === "\r" ? end - 1 : end);
    const one = { whole, masked: mask(whole) };
    texts.set(piece, one);
    return one;
  };
  return {
    pieces,
    textOf,
    lineOf: (piece: number): number => pieces[piece]?.line ?? 0,
    lengthOf: (piece: number): number => (pieces[piece]?.end ?? 0) - (pieces[piece]?.start ?? 0),
    weightOf(piece: number) {
      const known = weights.get(piece) ?? weighLine(textOf(piece).whole, source, isOneContainer);
      weights.set(piece, known);
      return known;
    },
  };
};

type Reader = ReturnType<typeof readerOf>;

/** The pieces that one rule reads: those with its literals; a broad one reads the failing ones as well. */
const readBy = (rule: Rule, named: readonly number[], failing: readonly number[], { lengthOf }: Reader) => {
  const own = chosen(named, lengthOf);
  if (!rule.isBroad || failing.length === 0) return own;
  return [...new Set([...failing, ...own])].sort((a, b) => a - b);
};

/** Where one rule fits. */
const hitsOf = (rule: Rule, pieces: readonly number[], where: "message" | "logs", reader: Reader): Hit[] => {
  const hits = pieces.flatMap((piece) => {
    const { whole, masked } = reader.textOf(piece);
    const fit = fitOf(rule, masked);
    if (fit === undefined) return [];
    const line = where === "logs" ? reader.lineOf(piece) : -1;
    return { rule, line, text: whole, ...reader.weightOf(piece), ...fit };
  });
  return hits.map((hit) => ({ ...hit, lines: hits.length }));
};

/** The last line with one of the signs; -1 for none. */
const lastOf = (sign: Words, pieces: readonly number[], reader: Reader): number => {
  const last = pieces
    .slice(-SIGN_LINES_MAX)
    .findLast((piece) => fitOf(sign, reader.textOf(piece).masked) !== undefined);
  return last === undefined ? -1 : reader.lineOf(last);
};

/** All places where a rule fits in one text. */
const look = (book: RuleBook, evidence: Evidence, where: "message" | "logs"): Found => {
  const reader = readerOf(evidence[where], evidence.source, where === "message" ? maskMessage : maskLine);
  const candidates = candidatesOf(book, evidence[where], reader.pieces);
  const failing = failingOf(reader.pieces, (piece) => reader.textOf(piece).masked);
  const hits = book.rules.flatMap((rule, index) => {
    if (rule.where !== "both" && rule.where !== where) return [];
    if (rule.types !== undefined && !rule.types.includes(evidence.type)) return [];
    return hitsOf(rule, readBy(rule, candidates[index] ?? [], failing, reader), where, reader);
  });
  const [recovered = [], ready = [], done = []] = candidates.slice(book.rules.length);
  return {
    hits,
    lineCount: (reader.pieces.at(-1)?.line ?? 0) + 1,
    recoveredAt: lastOf(RECOVERY, recovered, reader),
    readyAt: lastOf(READY, ready, reader),
    doneAt: lastOf(DONE, done, reader),
  };
};

/** All places where a rule fits, in the message and in the logs. */
export const scan = (book: RuleBook, evidence: Evidence): Found => {
  const { hits } = look(book, evidence, "message");
  const logs = look(book, evidence, "logs");
  return { ...logs, hits: [...hits, ...logs.hits] };
};
