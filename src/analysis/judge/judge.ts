import type { Category } from "../model.ts";
import type { Tier } from "../rules/rule.ts";
import { CAUSES, type Candidate, type Case, type Cause, type MarkName, type SilenceName } from "./candidates.ts";
import type { SignName } from "./line-signs.ts";
import { BUCKETS } from "./line-words.ts";

/** What was learned of how much each thing says, in natural logarithms of odds. */
export interface Weights {
  readonly words: Words;
  readonly signs: Readonly<Record<SignName, number>>;
  readonly marks: Readonly<Record<MarkName, number>>;
  readonly tiers: Readonly<Record<Tier, Readonly<Record<Cause, number>>>>;
  readonly causes: Readonly<Record<Cause, number>>;
  readonly silence: Readonly<Record<SilenceName, number>>;
}

/** Of each bucket a row: what it says for each cause, in their order, and last what it says for the line whatever the cause. */
export interface Words {
  /** Of each column the value of one step. */
  readonly steps: Float32Array;
  /** In steps, bucket by bucket. */
  readonly rows: Int8Array;
}

/** How likely each category is, and which line shows each cause best. */
export interface Verdict {
  readonly shares: ReadonlyMap<Category, number>;
  readonly lines: ReadonlyMap<Cause, Candidate>;
}

/** Columns of a bucket's row. */
export const COLUMNS = CAUSES.length + 1;
/** Fewer words than these count as if they were so many: a short line is no surer. */
const WORDS_MIN = 8;
const WORDS_FACTOR = 4;

/** What one word of a line counts: less where there are many. */
export const wordFactor = (words: number): number => WORDS_FACTOR / Math.sqrt(Math.max(WORDS_MIN, words));

/**
 * Judges by what was learned from incidents whose cause people know: a log-linear model over all pairs of a line and a cause, and
 * that there is none; a category's share is the sum of its lines'.
 */
export function judge({ candidates, given, silence }: Case, weights: Weights): Verdict {
  const scores = candidates.map((candidate) => scoresOf(candidate, given, weights));
  const silent = sumOf(silence, weights.silence);
  const most = Math.max(silent, ...scores.map((row) => Math.max(...row)));
  const sums = CAUSES.map((_, cause) => scores.reduce((sum, row) => sum + Math.exp((row[cause] ?? 0) - most), 0));
  const silentShare = Math.exp(silent - most);
  const all = sums.reduce((sum, one) => sum + one, silentShare);
  return {
    shares: new Map<Category, number>([
      ...CAUSES.map((cause, at) => [cause, (sums[at] ?? 0) / all] as const),
      ["unknown", silentShare / all],
    ]),
    lines: new Map(CAUSES.flatMap((cause, at) => bestOf(candidates, scores, at).map((line) => [cause, line] as const))),
  };
}

/** What each cause scores by one line, in their order. */
function scoresOf(candidate: Candidate, given: readonly number[], weights: Weights): Float64Array {
  const { words, signs, known } = candidate;
  const scores = new Float64Array(COLUMNS);
  add(scores, words, weights.words, wordFactor(words.length));
  add(scores, given, weights.words, 1);
  const whole = (scores[COLUMNS - 1] ?? 0) + sumOf(signs, weights.signs);
  return Float64Array.from(CAUSES, (cause, at) => {
    const fits = known.get(cause);
    const byRule =
      fits === undefined ? 0 : sumOf(fits.marks, weights.marks) + weights.tiers[fits.ranked.hit.rule.tier][cause];
    return (scores[at] ?? 0) + whole + weights.causes[cause] + byRule;
  });
}

function add(scores: Float64Array, buckets: ArrayLike<number>, { steps, rows }: Words, factor: number): void {
  const sums = new Int32Array(COLUMNS);
  for (let at = 0; at < buckets.length; at++) {
    const row = (buckets[at] ?? 0) * COLUMNS;
    for (let column = 0; column < COLUMNS; column++) sums[column] = (sums[column] ?? 0) + (rows[row + column] ?? 0);
  }
  for (let column = 0; column < COLUMNS; column++)
    scores[column] = (scores[column] ?? 0) + (sums[column] ?? 0) * (steps[column] ?? 0) * factor;
}

function sumOf<K extends string>(values: Readonly<Record<K, number>>, weights: Readonly<Record<K, number>>): number {
  let sum = 0;
  for (const name in values) sum += values[name] * weights[name];
  return sum;
}

function bestOf(candidates: readonly Candidate[], scores: readonly Float64Array[], cause: number): Candidate[] {
  let best = -1;
  for (let at = 0; at < scores.length; at++)
    if (best < 0 || (scores[at]?.[cause] ?? 0) > (scores[best]?.[cause] ?? 0)) best = at;
  return candidates.slice(best, best + 1);
}

const STEPS_MAX = 127;

/** Values of buckets, row by row, in a byte each: of 127 steps a column's largest has all. */
export function packWords(values: Float32Array): Words {
  const largest = new Float32Array(COLUMNS);
  for (const [at, value] of values.entries()) {
    const column = at % COLUMNS;
    largest[column] = Math.max(largest[column] ?? 0, Math.abs(value));
  }
  const steps = largest.map((value) => value / STEPS_MAX || 1);
  return { steps, rows: Int8Array.from(values, (value, at) => Math.round(value / (steps[at % COLUMNS] ?? 1))) };
}

/** As they are kept in a file: the steps, then the rows. */
export function writeWords({ steps, rows }: Words): Uint8Array {
  return Buffer.concat([Buffer.from(steps.buffer), Buffer.from(rows.buffer)]);
}

/** The reverse of writeWords; throws where the file has another size. */
export function readWords(file: Uint8Array): Words {
  const stepsBytes = COLUMNS * Float32Array.BYTES_PER_ELEMENT;
  const { buffer } = new Uint8Array(file);
  const rows = new Int8Array(buffer, Math.min(stepsBytes, file.length));
  if (rows.length !== BUCKETS * COLUMNS)
    throw new Error(`the judge's words have ${rows.length} bytes, not ${BUCKETS * COLUMNS}`);
  return { steps: new Float32Array(buffer, 0, COLUMNS), rows };
}
