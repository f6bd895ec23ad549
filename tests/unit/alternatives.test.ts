import { expect, test } from "bun:test";
import { alternativesOf } from "../support/alternatives.ts";

const textsOf = (pattern: RegExp): string[] => alternativesOf(pattern).map(({ text }) => text);
const takenBy = (pattern: RegExp, line: string): string[] =>
  alternativesOf(pattern)
    .filter(({ isTaken }) => isTaken(line))
    .map(({ text }) => text);

test("the alternatives of each group and of the whole are found, inner ones first", () => {
  expect(textsOf(/a|b(?:c|d)/)).toEqual(["c", "d", "a", "b(?:c|d)"]);
  expect(textsOf(/(?<name>a|)(?=b|c)/)).toEqual(["a", "", "b", "c", "(?<name>a|)(?=b|c)"]);
});

test("an expression without alternatives is its own only one", () => {
  expect(textsOf(/a(?:b)c/)).toEqual(["a(?:b)c"]);
});

test("bars and brackets that are escaped or in a class part nothing", () => {
  expect(textsOf(/a\|b[|()\]]c\(/)).toEqual(["a\\|b[|()\\]]c\\("]);
});

test("what a lookaround denies is left out", () => {
  expect(textsOf(/a(?!b|(?:c|d))(?<!e|f)/)).toEqual(["a(?!b|(?:c|d))(?<!e|f)"]);
});

test("an alternative is taken only where the match goes through it", () => {
  expect(takenBy(/refused|connection (?:lost|refused)/, "connection refused")).toEqual([
    "refused",
    "connection (?:lost|refused)",
  ]);
  expect(takenBy(/lost|lost it/, "lost it")).toEqual(["lost"]);
  expect(takenBy(/a(?:b|c)?/, "a")).toEqual(["a(?:b|c)?"]);
  expect(takenBy(/a|b/, "c")).toEqual([]);
});
