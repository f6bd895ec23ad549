/** How often explanations name the right cause: measured by incidents of which somebody said what it was, or what it was not. */
import { CATEGORIES, type Category, type Evidence, type HeuristicAnswer } from "./model.ts";

/** An incident to measure by. `expected` is null where nobody said what it was, only what it was not: `refuted`. */
export interface EvalCase {
  id: string;
  evidence: Evidence;
  expected: Category | null;
  refuted?: Category | null;
  /** The line that shows the cause, where somebody marked it. */
  decisive?: string;
}

/** An answer to a case. */
export interface EvalAnswer {
  /** Null where there was none. */
  category: Category | null;
  confidence: number;
  /** Of an answer that is wrong: how it came about, a line each. */
  details: readonly string[];
}

/** What an answer was worth. `open`: nobody said what is right, and it is not what was said to be wrong. */
export interface EvalOutcome extends EvalAnswer {
  id: string;
  expected: Category | null;
  is: "right" | "wrong" | "open";
  decisive: string | undefined;
}

/** Judges an answer. */
export function judge({ id, expected, refuted, decisive }: EvalCase, answer: EvalAnswer): EvalOutcome {
  return { id, expected, decisive, is: verdictOn(answer.category, expected, refuted ?? null), ...answer };
}

function verdictOn(got: Category | null, expected: Category | null, refuted: Category | null): EvalOutcome["is"] {
  if (expected !== null) return got === expected ? "right" : "wrong";
  return got === refuted ? "wrong" : "open";
}

/** Asked about a case, after the heuristics. */
export type Ask = (one: EvalCase, heuristic: HeuristicAnswer) => Promise<EvalAnswer>;

/** What the heuristics are worth, and, where one is asked, a model: on the first `askedMax` cases. Ends early when the signal aborts. */
export async function evaluate(
  cases: Iterable<EvalCase> | AsyncIterable<EvalCase>,
  options: {
    explain: (evidence: Evidence) => HeuristicAnswer;
    ask: Ask | null;
    askedMax: number;
    signal?: AbortSignal | undefined;
  },
): Promise<{ heuristics: EvalOutcome[]; model: EvalOutcome[] }> {
  const { explain, ask, askedMax, signal } = options;
  const heuristics: EvalOutcome[] = [];
  const model: EvalOutcome[] = [];
  for await (const one of cases) {
    if (signal?.aborted) break;
    const answer = explain(one.evidence);
    heuristics.push(judge(one, byRules(answer)));
    if (ask && model.length < askedMax) model.push(judge(one, await ask(one, answer)));
  }
  return { heuristics, model };
}

function byRules({ category, confidence, rule, decisive, why }: HeuristicAnswer): EvalAnswer {
  const details = [`taken     ${decisive ?? "nothing"}`, `because   ${why} (${rule ?? "no rule"})`];
  return { category, confidence, details };
}

const percent = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
const count = (outcomes: readonly EvalOutcome[], is: EvalOutcome["is"]) =>
  outcomes.filter((one) => one.is === is).length;

/** One line for each category that there is, then what was wrong, then the sum. */
export function evalTables(outcomes: readonly EvalOutcome[]): string {
  const wrong = outcomes.filter(({ is }) => is === "wrong");
  const [right, open] = [count(outcomes, "right"), count(outcomes, "open")];
  const measured = right + wrong.length;
  return [
    ...CATEGORIES.flatMap((category) => categoryLine(category, outcomes)),
    ...wrong.flatMap(wrongLines),
    "",
    `${right} of ${measured} right: ${percent(right, measured)}`,
    ...(open === 0 ? [] : [`${open} more: said to be wrong once, explained otherwise now; nobody said what is right`]),
    "",
  ].join("\n");
}

function categoryLine(category: Category, outcomes: readonly EvalOutcome[]): string[] {
  const those = outcomes.filter(({ expected }) => expected === category);
  const right = count(those, "right");
  return those.length === 0 ? [] : [`${category.padEnd(20)} ${right}/${those.length}  ${percent(right, those.length)}`];
}

const LINE_CHARS_MAX = 300;

function wrongLines({ id, expected, category, confidence, decisive, details }: EvalOutcome): string[] {
  const what = expected === null ? "it was said to be wrong" : `expected ${expected}`;
  const lines = [...(decisive === undefined ? [] : [`decisive  ${decisive}`]), ...details];
  return [
    "",
    `${id}: ${what}, got ${category ?? "no answer"} (${confidence})`,
    ...lines.map((line) => `  ${line.slice(0, LINE_CHARS_MAX).toWellFormed()}`),
  ];
}

/** The same for programs. */
export function evalJson(outcomes: readonly EvalOutcome[]) {
  const results = outcomes.map(({ id, expected, category, confidence, is }) => {
    return { id, expected, got: category, confidence, is };
  });
  const [correct, open] = [count(outcomes, "right"), count(outcomes, "open")];
  return { total: outcomes.length - open, correct, open, results };
}
