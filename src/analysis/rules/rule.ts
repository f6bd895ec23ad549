import type { Category } from "../model.ts";

/**
 * How near to the root a rule's words are: the score of a line that says them plainly.
 *
 * - root: a code, or words that mean this and nothing else.
 * - cause: the cause, in words that many programs use.
 * - likely: a cause under which another may lie.
 * - symptom: what many causes bring about, believed only when nothing nearer was said.
 * - wrapper: something failed, and the words for it say nothing of why.
 */
export const TIERS = { root: 92, cause: 84, likely: 74, symptom: 58, wrapper: 42 } as const;
/** The name of a tier. */
export type Tier = keyof typeof TIERS;

/**
 * One thing that a program says when it fails. A line counts when it holds one of the literals, and matches `when` and not `not`
 * where these are given; the literals are looked for first, all at once, so that few lines meet a regular expression.
 */
export interface Rule {
  /** Unique, kebab-case: it stands in the answer. */
  id: string;
  category: Category;
  /** The message is one line about the incident, logs are many about anything. */
  where: "message" | "logs" | "both";
  /** Lower-case literals; case does not matter in the text. */
  any: readonly string[];
  /** Its words are those of any program: in a short log each line that says that something failed is read, whatever its literals. */
  isBroad?: boolean;
  /** The alerts' types that it is for; without it all. */
  types?: readonly string[];
  /** Further condition; its named groups are facts for the templates. No nested quantifier, no unbounded gap. */
  when?: RegExp;
  /** What must stand in the line too, wherever: the operation that decides with a code what it means. */
  with?: RegExp;
  /** What must not be in the line. */
  not?: RegExp;
  /** Exit codes that go with it: they strengthen the rule, never replace its words. */
  exitCodes?: readonly number[];
  tier: Tier;
  /** The ids of rules that are wrong about a line that this one fits too. */
  beats?: readonly string[];
  /** In plain words; `{fact|otherwise}` is replaced by the fact. */
  cause: string;
  /** What to do; names the service by `{source}`. */
  fix: string;
}

/** A rule as it is written down: the category and the usual fix come from the file it stands in. */
export type RuleRow = Omit<Rule, "category" | "where" | "fix"> & Partial<Pick<Rule, "where" | "fix">>;

/** The rules of one category, each with the category's usual fix unless it has its own. */
export const rulesOf = (category: Category, fix: string, rows: readonly RuleRow[]): readonly Rule[] =>
  rows.map((row) => ({ where: "both", fix, ...row, category }));

/** Literals as they are written down: separated by bars or line ends, so that a long list stays short on the page. */
export const words = (text: string): readonly string[] =>
  text
    .split(/[|\n]/)
    .map((word) => word.trim())
    .filter((word) => word !== "");
