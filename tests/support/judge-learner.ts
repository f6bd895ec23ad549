import { CAUSES, type Cause } from "../../src/analysis/judge/candidates.ts";
import { COLUMNS, packWords, type Weights, wordFactor } from "../../src/analysis/judge/judge.ts";
import { BUCKETS } from "../../src/analysis/judge/line-words.ts";
import { TIERS, type Tier } from "../../src/analysis/rules/rule.ts";
import type { Example } from "./judge-examples.ts";

/**
 * Learns the judge's weights: by stochastic gradient descent with a rate for each weight (AdaGrad; Duchi, Hazan, Singer 2011) on the
 * likelihood of the marked lines with their cause, against all other pairs of a line and a cause, and against there being none. It
 * goes the same way each time.
 */
export function learn(examples: readonly Example[]): Weights {
  const next = randomNumbers(SEED);
  const learner = new Learner(namesOf(examples));
  const order = examples.map((example) => learner.prepare(example));
  for (let round = 0; round < ROUNDS; round++) {
    shuffle(order, next);
    const rate = RATE * (1 - (RATE_FALL * round) / ROUNDS);
    for (const one of order) learner.step(one, rate, next() >= WITHOUT_RULES);
  }
  return learner.weights();
}

const SEED = 1;
const ROUNDS = 12;
const RATE = 0.1;
/** The last round's steps are a fifth as long as the first one's. */
const RATE_FALL = 0.8;
/** Weights that nothing bears out go back to none; those of few things less so. */
const DECAY = 0.003;
const DECAY_FEW = DECAY / 10;
/** So often an incident is looked at without what the rules say of it: words are learned where rules know them, too. */
const WITHOUT_RULES = 0.3;
/** What a right cause by another line than the marked one counts. */
const ELSEWHERE = 0.1;
/** Below this a gradient moves nothing. */
const GRADIENT_MIN = 1e-4;
/** Where the weights of rules begin: as the rules themselves rank. */
const MARKS_FIRST: Readonly<Record<string, number>> = { score: 4, behind: 3, isTop: 1 };

const TIER_NAMES = Object.keys(TIERS) as Tier[];
const C = CAUSES.length;

interface Names {
  readonly signs: readonly string[];
  readonly marks: readonly string[];
  readonly silence: readonly string[];
}

function namesOf(examples: readonly Example[]): Names {
  const { candidates, silence } = examples[0]?.judged ?? { candidates: [], silence: {} };
  const known = examples.flatMap(({ judged }) => judged.candidates.flatMap((one) => [...one.known.values()]));
  return {
    signs: Object.keys(candidates[0]?.signs ?? {}),
    marks: Object.keys(known[0]?.marks ?? {}),
    silence: Object.keys(silence),
  };
}

/** Values that are learned, and how far each has moved. */
class Group {
  readonly values: Float64Array;
  readonly #moved: Float64Array;

  constructor(
    size: number,
    readonly decay: number,
  ) {
    this.values = new Float64Array(size);
    this.#moved = new Float64Array(size);
  }

  get(at: number): number {
    return this.values[at] ?? 0;
  }

  move(at: number, gradient: number, rate: number): void {
    const slope = gradient + this.decay * this.get(at);
    const moved = (this.#moved[at] ?? 0) + slope * slope;
    this.#moved[at] = moved;
    this.values[at] = this.get(at) - (rate * slope) / (Math.sqrt(moved) + 1e-3);
  }

  dot(numbers: Float64Array): number {
    let sum = 0;
    for (let at = 0; at < numbers.length; at++) sum += this.get(at) * (numbers[at] ?? 0);
    return sum;
  }

  moveAll(numbers: Float64Array, gradient: number, rate: number): void {
    for (let at = 0; at < numbers.length; at++) {
      const value = numbers[at] ?? 0;
      if (value !== 0) this.move(at, gradient * value, rate);
    }
  }
}

/** A candidate in numbers. */
interface Line {
  words: Uint16Array;
  signs: Float64Array;
  /** By cause: what marks its rule, and where that rule's tier stands. */
  marks: readonly { cause: number; marks: Float64Array; tier: number }[];
  /** What a right cause by this line counts. */
  share: number;
}

interface Prepared {
  lines: readonly Line[];
  given: readonly number[];
  silence: Float64Array;
  /** The cause's number; -1 for none. */
  cause: number;
  weight: number;
}

class Learner {
  readonly #words = new Group(BUCKETS * COLUMNS, DECAY);
  readonly #tiers = new Group(TIER_NAMES.length * C, DECAY);
  readonly #causes = new Group(C, DECAY_FEW);
  readonly #signs: Group;
  readonly #marks: Group;
  readonly #silence: Group;

  constructor(readonly names: Names) {
    this.#signs = new Group(names.signs.length, DECAY_FEW);
    this.#marks = new Group(names.marks.length, DECAY_FEW);
    this.#silence = new Group(names.silence.length, DECAY_FEW);
    for (const [at, name] of names.marks.entries()) this.#marks.values[at] = MARKS_FIRST[name] ?? 0;
    this.#silence.values[0] = 1;
  }

  prepare({ judged, label, isDecisive, weight }: Example): Prepared {
    const isMarked = isDecisive.some(Boolean);
    return {
      given: judged.given,
      silence: numbersOf(judged.silence, this.names.silence),
      cause: CAUSES.indexOf(label as Cause),
      weight,
      lines: judged.candidates.map(({ words, signs, known }, at) => ({
        words,
        signs: numbersOf(signs, this.names.signs),
        marks: [...known].map(([cause, { ranked, marks }]) => ({
          cause: CAUSES.indexOf(cause),
          marks: numbersOf(marks, this.names.marks),
          tier: TIER_NAMES.indexOf(ranked.hit.rule.tier) * C + CAUSES.indexOf(cause),
        })),
        share: !isMarked || isDecisive[at] ? 1 : ELSEWHERE,
      })),
    };
  }

  step(example: Prepared, rate: number, withRules: boolean): void {
    const { lines, silence, cause, weight } = example;
    const scores = lines.map((line) => this.#scores(line, example.given, withRules));
    const silent = this.#silence.dot(silence);
    const most = Math.max(silent, ...scores.map((row) => Math.max(...row)));
    const odds = scores.map((row) => row.map((score) => Math.exp(score - most)));
    const all = odds.reduce((sum, row) => row.reduce((part, one) => part + one, sum), Math.exp(silent - most));
    const right = odds.reduce((sum, row, at) => sum + (row[cause] ?? 0) * (lines[at]?.share ?? 0), 0);
    const silentGradient = weight * (Math.exp(silent - most) / all - Number(cause < 0));
    this.#silence.moveAll(silence, silentGradient, rate);
    const totals = new Float64Array(C);
    for (const [at, line] of lines.entries()) {
      const gradients = (odds[at] ?? new Float64Array(C)).map((one, of) => {
        const wanted = of === cause ? (one * line.share) / Math.max(right, Number.MIN_VALUE) : 0;
        return weight * (one / all - wanted);
      });
      for (let of = 0; of < C; of++) totals[of] = (totals[of] ?? 0) + (gradients[of] ?? 0);
      this.#moveLine(line, gradients, rate, withRules);
    }
    for (let of = 0; of < C; of++) {
      this.#causes.move(of, totals[of] ?? 0, rate);
      for (const bucket of example.given) this.#words.move(bucket * COLUMNS + of, totals[of] ?? 0, rate);
    }
  }

  #scores({ words, signs, marks }: Line, given: readonly number[], withRules: boolean): Float64Array {
    const sums = new Float64Array(COLUMNS);
    for (const bucket of words)
      for (let column = 0; column < COLUMNS; column++)
        sums[column] = (sums[column] ?? 0) + this.#words.get(bucket * COLUMNS + column);
    const factor = wordFactor(words.length);
    const whole = (sums[C] ?? 0) * factor + this.#signs.dot(signs);
    const scores = Float64Array.from({ length: C }, (_, of) => {
      const byGiven = given.reduce((sum, bucket) => sum + this.#words.get(bucket * COLUMNS + of), 0);
      return (sums[of] ?? 0) * factor + whole + this.#causes.get(of) + byGiven;
    });
    if (withRules)
      for (const one of marks)
        scores[one.cause] = (scores[one.cause] ?? 0) + this.#marks.dot(one.marks) + this.#tiers.get(one.tier);
    return scores;
  }

  #moveLine({ words, signs, marks }: Line, gradients: Float64Array, rate: number, withRules: boolean): void {
    const sum = gradients.reduce((total, one) => total + one, 0);
    this.#signs.moveAll(signs, sum, rate);
    const columns = [...gradients, sum].map((one) => (Math.abs(one) > GRADIENT_MIN ? one : 0));
    if (columns.slice(0, C).every((one) => one === 0)) return;
    const factor = wordFactor(words.length);
    for (const bucket of words)
      for (let column = 0; column < COLUMNS; column++) {
        const gradient = columns[column] ?? 0;
        if (gradient !== 0) this.#words.move(bucket * COLUMNS + column, gradient * factor, rate);
      }
    if (!withRules) return;
    for (const one of marks) {
      this.#marks.moveAll(one.marks, gradients[one.cause] ?? 0, rate);
      this.#tiers.move(one.tier, gradients[one.cause] ?? 0, rate);
    }
  }

  weights(): Weights {
    const { signs, marks, silence } = this.names;
    const tiers = TIER_NAMES.map((tier, at) => [tier, named(CAUSES, this.#tiers.values.slice(at * C, (at + 1) * C))]);
    return {
      words: packWords(Float32Array.from(this.#words.values)),
      signs: named(signs, this.#signs.values),
      marks: named(marks, this.#marks.values),
      tiers: Object.fromEntries(tiers),
      causes: named(CAUSES, this.#causes.values),
      silence: named(silence, this.#silence.values),
    };
  }
}

function numbersOf(values: Readonly<Record<string, number>>, names: readonly string[]): Float64Array {
  return Float64Array.from(names, (name) => values[name] ?? 0);
}

function named<T>(names: readonly string[], values: Float64Array): T {
  return Object.fromEntries(names.map((name, at) => [name, Number((values[at] ?? 0).toFixed(4))])) as T;
}

function shuffle<T>(items: T[], next: () => number): void {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(next() * (at + 1));
    const [one, two] = [items[at] as T, items[other] as T];
    items[at] = two;
    items[other] = one;
  }
}

/** Numbers from 0 to 1 that look random (mulberry32), the same ones for a seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
