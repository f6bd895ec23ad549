import { weighLine } from "./line-weight.ts";
import { compileLiterals, type Literals } from "./literals.ts";
import type { Evidence } from "./model.ts";
import type { Rule } from "./rules/rule.ts";

/** Longer lines are read to here: what failed stands at the start, and an expression's work is bounded. */
export const LINE_CHARS_MAX = 2000;
/** How much of its candidate lines one rule reads, half of it from the head of the log and half from its tail. */
export const RULE_CHARS_MAX = 6_400;
/** And how many of them, for logs of very short lines. */
export const RULE_LINES_MAX = 32;

/** A rule that fits a line. */
export interface Hit {
  rule: Rule;
  /** Index of the line in the logs; -1 is the message. */
  line: number;
  text: string;
  /** How the line says it: its level, whether it denies, whom it is about. */
  factor: number;
  named: Record<string, string | undefined> | undefined;
  /** How many lines have one of the rule's literals. */
  lines: number;
}

/** What was found in the evidence. */
export interface Found {
  hits: readonly Hit[];
  lineCount: number;
  /** The last line that says that a connection came back; -1 for none. */
  recoveredAt: number;
}

/** Rules with their literals compiled into one search. */
export interface RuleBook {
  rules: readonly Rule[];
  literals: Literals;
  /** For each literal the numbers of its rules; the number after the last rule is the recovery. */
  rulesOf: readonly (readonly number[])[];
}

const RECOVERY = {
  any: [
    "connected to",
    "connection established",
    "connection restored",
    "reconnected",
    "succeeded",
    "recovered",
    "back online",
    "successfully",
  ],
  when: /\b(?:re)?connected to\b|connection (?:re-?)?(?:established|restored)|reconnected|retr(?:y|ying).{0,80}succeeded|recovered|back online|successfully (?:re)?connected/i,
  not: /\b(?:not|error|failed|failure|fatal|unable|could)\b|disconnected/i,
} as const;

/** Compiles the rules: once, since it costs some milliseconds. */
export const compileRules = (rules: readonly Rule[]): RuleBook => {
  const byLiteral = new Map<string, number[]>();
  for (const [index, { any }] of [...rules, RECOVERY].entries())
    for (const literal of any) byLiteral.set(literal, [...(byLiteral.get(literal) ?? []), index]);
  return { rules, literals: compileLiterals([...byLiteral.keys()]), rulesOf: [...byLiteral.values()] };
};

/** The starts of all lines, and one beyond the last. */
const startsOf = (text: string): number[] => {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  starts.push(text.length + 1);
  return starts;
};

/** For each rule (and the recovery) the lines that have one of its literals, in order. */
const candidatesOf = ({ rules, literals, rulesOf }: RuleBook, text: string, starts: readonly number[]): number[][] => {
  const candidates: number[][] = Array.from({ length: rules.length + 1 }, () => []);
  let line = 0;
  const note = (literal: number) => {
    for (const index of rulesOf[literal] ?? []) {
      const lines = candidates[index];
      if (lines !== undefined && lines[lines.length - 1] !== line) lines.push(line);
    }
  };
  for (; line + 1 < starts.length; line++) {
    const start = starts[line] ?? 0;
    literals.scan(text, start, Math.min((starts[line + 1] ?? 0) - 1, start + LINE_CHARS_MAX), note);
  }
  return candidates;
};

/** The candidates that are read: from the head and from the tail until the characters are used up, in order. */
const chosen = (lines: readonly number[], lengthOf: (line: number) => number): readonly number[] => {
  let budget = RULE_CHARS_MAX;
  let head = 0;
  let tail = lines.length;
  while (head < tail && budget > 0 && head < RULE_LINES_MAX / 2) {
    budget -= lengthOf(lines[head++] ?? 0);
    if (head < tail && budget > 0) budget -= lengthOf(lines[--tail] ?? 0);
  }
  return head < tail ? [...lines.slice(0, head), ...lines.slice(tail)] : lines;
};

const fits = (rule: Pick<Rule, "when" | "not">, text: string): boolean =>
  (rule.when === undefined || rule.when.test(text)) && !rule.not?.test(text);

/** All places where a rule fits, in the message and in the logs. */
export const scan = (book: RuleBook, { message, logs, source }: Evidence): Found => {
  const hits: Hit[] = [];
  const look = (text: string, where: "message" | "logs"): { lineCount: number; recoveredAt: number } => {
    const starts = startsOf(text);
    const lineOf = (line: number) =>
      text
        .slice(starts[line], Math.min((starts[line + 1] ?? 0) - 1, (starts[line] ?? 0) + LINE_CHARS_MAX))
        .replace(/\r$/, "");
    const lengthOf = (line: number) => Math.min((starts[line + 1] ?? 0) - (starts[line] ?? 0), LINE_CHARS_MAX);
    const factors = new Map<number, number>();
    const candidates = candidatesOf(book, text, starts);
    for (const [index, rule] of book.rules.entries()) {
      const lines = candidates[index] ?? [];
      if (lines.length === 0 || (rule.where !== "both" && rule.where !== where)) continue;
      for (const line of chosen(lines, lengthOf)) {
        const full = lineOf(line);
        if (!fits(rule, full)) continue;
        const factor = factors.get(line) ?? weighLine(full, source);
        factors.set(line, factor);
        const named = rule.when?.exec(full)?.groups;
        hits.push({ rule, line: where === "logs" ? line : -1, text: full, factor, named, lines: lines.length });
      }
    }
    const recovered = (candidates[book.rules.length] ?? []).slice(-50).findLast((line) => fits(RECOVERY, lineOf(line)));
    return { lineCount: starts.length - 1, recoveredAt: recovered ?? -1 };
  };
  look(message, "message");
  const { lineCount, recoveredAt } = look(logs, "logs");
  return { hits, lineCount, recoveredAt };
};
