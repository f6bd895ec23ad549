import type { Category } from "../model.ts";
import type { Rule, Tier } from "../rules/rule.ts";
import { type Errno, literalsOf, patternOf } from "./errno.ts";

/** What an error number means of one operation: only together they say what is wrong. */
export interface Meaning extends Pick<Rule, "cause" | "fix">, Partial<Pick<Rule, "with" | "not" | "types" | "beats">> {
  id: string;
  of: Errno;
  category: Category;
  tier: Tier;
}

/** The rules of meanings: the number in each of its spellings, and the operation where one is given. */
export const meaningRules = (meanings: readonly Meaning[]): readonly Rule[] =>
  meanings.map(({ of, ...rest }) => ({
    where: "both",
    any: literalsOf(of),
    when: new RegExp(patternOf(of), "i"),
    ...rest,
  }));
