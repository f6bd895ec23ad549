import type { Category } from "../model.ts";
import { PLAIN_TEXTS } from "../plain-texts.ts";
import type { Rule, Tier } from "../rules/rule.ts";

/** Codes of one ecosystem that mean one thing. */
export interface CodeRow {
  readonly category: Exclude<Category, "unknown">;
  /** As they are written, separated by bars; letters of either case match. */
  readonly codes: string;
  /** Root unless the code only carries what it wraps. */
  readonly tier?: Tier;
  /** What must not be in the line: a code beside it that says more. */
  readonly not?: RegExp;
  readonly with?: RegExp;
  /** Where a code must stand in a form of its own: `%` is the code. */
  readonly form?: string;
  /** What means the same wherever it stands, as an expression. */
  readonly also?: string;
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** A code is a word of its own; one that begins or ends with something else than a letter needs no border there. */
const bordered = (code: string): string =>
  `${/^\w/.test(code) ? "(?<![\\w])" : ""}${escaped(code)}${/\w$/.test(code) ? "(?!\\w)" : ""}`;

/** The rules of an ecosystem's codes: one for each row, with the category's plain words. */
export const codeRules = (ecosystem: string, rows: readonly CodeRow[]): readonly Rule[] =>
  rows.map(({ category, codes, tier = "root", form = "%", also, ...more }, index) => {
    const list = codes.split(/[|\n]/).flatMap((code) => code.trim() || []);
    const spelled = [
      ...list.map((code) => form.replaceAll("%", bordered(code))),
      ...(also === undefined ? [] : [also]),
    ];
    return {
      id: `${ecosystem}-${category.replaceAll("_", "-")}-${index + 1}`,
      category,
      where: "both",
      any: list.map((code) => code.toLowerCase()),
      when: new RegExp(spelled.join("|"), "i"),
      tier,
      ...PLAIN_TEXTS[category],
      ...more,
    };
  });
