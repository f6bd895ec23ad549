import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { evidenceOf, labelledOf } from "../support/labelled.ts";

/** From here on an answer is taken for one that may be believed. */
const CONFIDENT = 0.6;

const explain = createHeuristics();

const rowsOf = (name: string) => labelledOf(readFileSync(join(import.meta.dir, "../fixtures/incidents", name), "utf8"));

const outcomesOf = (name: string) =>
  rowsOf(name).map((row) => {
    const answer = explain(evidenceOf(row));
    return { isRight: answer.category === row.category, isSure: answer.confidence >= CONFIDENT };
  });

/**
 * What the rules were not written with measures them: no rule may be bought with less of it. Of the incidents that they were
 * written with they know nearly all.
 */
describe.each<[string, number]>([
  ["seen.jsonl", 0.97],
  ["unseen.jsonl", 0.9],
  ["third-seen.jsonl", 0.97],
  ["third-unseen.jsonl", 0.8],
])("of the labelled incidents of %s", (name, rightMin) => {
  const outcomes = outcomesOf(name);
  const shareOf = (those: readonly unknown[]) => those.length / outcomes.length;

  test("the heuristics name so many rightly", () => {
    expect(shareOf(outcomes.filter(({ isRight }) => isRight))).toBeGreaterThanOrEqual(rightMin);
  });

  test("they are sure of a wrong cause in at most 3 %", () => {
    expect(shareOf(outcomes.filter(({ isRight, isSure }) => !isRight && isSure))).toBeLessThanOrEqual(0.03);
  });
});
