import { CATEGORIES, type Category, type Evidence } from "../model.ts";
import { fitsExit, type Ranked } from "../ranking.ts";
import { type Found, LINE_CHARS_MAX } from "../scan.ts";
import { type LogView, type SignName, signsOf, viewLog } from "./line-signs.ts";
import { bucketOf, lineWords } from "./line-words.ts";

/** What a log can show. */
export type Cause = Exclude<Category, "unknown">;
/** In the order of their weights. */
export const CAUSES = CATEGORIES.filter((category) => category !== "unknown");

/** The rule of one category that fits a line best, and what is known of it. */
export interface Known {
  readonly ranked: Ranked;
  readonly marks: ReturnType<typeof marksOf>;
}

/** A line that may be the decisive one: `line` is -1 for the message. */
export interface Candidate {
  readonly line: number;
  readonly text: string;
  /** As numbers of buckets. */
  readonly words: Uint16Array;
  readonly signs: Readonly<Record<SignName, number>>;
  readonly known: ReadonlyMap<Cause, Known>;
}

/** All that is judged of one incident. */
export interface Case {
  readonly candidates: readonly Candidate[];
  /** What holds for the incident whatever the line, as numbers of buckets: its exit code and its type. */
  readonly given: readonly number[];
  /** What speaks for that the log does not say why. */
  readonly silence: ReturnType<typeof silenceOf>;
}

/** Lines that a rule fits, the best first; and failing ones from the end and the beginning. */
const KNOWN_MAX = 40;
const LAST_FAILING_MAX = 40;
const FIRST_FAILING_MAX = 10;

/** The lines that may decide, with all that is known of each. */
export function caseOf(evidence: Evidence, found: Found, ranked: readonly Ranked[]): Case {
  const view = viewLog(evidence);
  const byLine = Map.groupBy(ranked, ({ hit }) => hit.line);
  const lines = new Set([
    -1,
    ...[...byLine.keys()].slice(0, KNOWN_MAX),
    ...view.failing.slice(-LAST_FAILING_MAX),
    ...view.failing.slice(0, FIRST_FAILING_MAX),
  ]);
  const top = ranked[0]?.score ?? 0;
  const looked = { evidence, found, view, top };
  return {
    candidates: [...lines].sort((a, b) => a - b).map((line) => candidateOf(line, byLine.get(line) ?? [], looked)),
    given: [bucketOf(`x:${evidence.exitCode}`), bucketOf(`ty:${evidence.type}`)],
    silence: silenceOf(ranked, view),
  };
}

function candidateOf(
  line: number,
  fitting: readonly Ranked[],
  { evidence, found, view, top }: { evidence: Evidence; found: Found; view: LogView; top: number },
): Candidate {
  const whole = line < 0 ? evidence.message : (view.lines[line] ?? "");
  const text = fitting[0]?.hit.text ?? whole.slice(0, LINE_CHARS_MAX);
  const signs = signsOf({ at: line, text, isKnown: fitting.length > 0 }, view, found, evidence.source);
  const best = Math.max(0, ...fitting.map(({ score }) => score));
  const byCause = Map.groupBy(fitting, ({ hit }) => hit.rule.category);
  const known = CAUSES.flatMap((cause): [Cause, Known][] => {
    const [first, ...others] = byCause.get(cause) ?? [];
    if (first === undefined) return [];
    const isAgreed = others.some(({ hit }) => hit.rule.id !== first.hit.rule.id);
    return [[cause, { ranked: first, marks: marksOf(first, { best, top, isAgreed, evidence }) }]];
  });
  return { line, text, words: lineWords(text), signs: numbers(signs), known: new Map(known) };
}

/** Of this score a root's plain line is. */
const SCORE_FULL = 92;
const SCORE_WEAK = 50;
const BEHIND_FULL = 20;
const BEHIND_MAX = 3;
const FAILING_FULL = 20;

/** What a rule's fitting says, by name; what each is worth was learned under its name. */
function marksOf(
  { hit, score }: Ranked,
  { best, top, isAgreed, evidence }: { best: number; top: number; isAgreed: boolean; evidence: Evidence },
) {
  return {
    isKnown: 1,
    score: score / SCORE_FULL,
    isBroad: Number(hit.rule.isBroad === true),
    isAgreed: Number(isAgreed),
    isInnermost: Number(score === best),
    behind: Math.max(-BEHIND_MAX, (score - top) / BEHIND_FULL),
    isTop: Number(score === top),
    isExitCode: Number(fitsExit(hit, evidence)),
    isMentioned: Number(!hit.isFailing),
  };
}
/** The names of a rule's marks. */
export type MarkName = keyof ReturnType<typeof marksOf>;

function silenceOf(ranked: readonly Ranked[], { failing }: LogView) {
  const top = ranked[0]?.score ?? 0;
  return {
    always: 1,
    score: top / SCORE_FULL,
    isNothing: Number(ranked.length === 0),
    failing: Math.min(failing.length, FAILING_FULL) / FAILING_FULL,
    isWeak: Number(top < SCORE_WEAK),
  };
}
/** The names of what speaks for silence. */
export type SilenceName = keyof ReturnType<typeof silenceOf>;

function numbers<K extends string>(signs: Readonly<Record<K, number | boolean>>): Record<K, number> {
  return Object.fromEntries(Object.entries(signs).map(([name, value]) => [name, Number(value)])) as Record<K, number>;
}
