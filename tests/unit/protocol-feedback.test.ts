import { describe, expect, test } from "bun:test";
import { isDoubted, lessonOf, type Word } from "../../src/protocol/feedback.ts";

const word = (changes: Partial<Word>): Word => ({
  verdict: "right",
  cause: null,
  category: null,
  fix: null,
  shown_category: "crash",
  ...changes,
});
const right = word({ cause: "It crashed.", category: "crash" });
const wrong = word({ verdict: "wrong" });
const known = word({ verdict: "wrong", category: "timeout" });
const other = word({ verdict: "wrong", shown_category: "disk_full" });

describe("what earlier words mean for an explanation as a crash", () => {
  test.each([
    ["none", [], {}, false],
    ["that it was one", [right], { confirmed: right }, false],
    ["that it was none", [wrong], { saidWrong: wrong }, true],
    ["that it was none, but something else", [known], { saidWrong: known, confirmed: known }, true],
    ["that it was none, after that it was one", [wrong, right], { saidWrong: wrong, confirmed: right }, true],
    ["that it was one, after that it was none", [right, wrong], { confirmed: right }, false],
    ["that another explanation was wrong", [other], {}, false],
  ])("%s", (_, earlier, lesson, doubted) => {
    expect(lessonOf("crash", null, earlier)).toEqual({ confirmed: undefined, saidWrong: undefined, ...lesson });
    expect(isDoubted("crash", null, earlier)).toBe(doubted);
  });

  test("are outweighed by the word on the incident itself", () => {
    expect(lessonOf("crash", right, [wrong, known])).toEqual({ confirmed: undefined, saidWrong: undefined });
    expect(isDoubted("crash", right, [wrong])).toBe(false);
    expect(isDoubted("crash", wrong, [])).toBe(true);
    // Explained anew since.
    expect(isDoubted("timeout", wrong, [])).toBe(false);
    // Which says nothing of what it was.
    expect(lessonOf("crash", wrong, [known])).toEqual({ confirmed: known, saidWrong: undefined });
  });

  test("mean nothing about one that is not there", () => {
    expect(lessonOf(null, null, [{ ...wrong, shown_category: null }])).toEqual({
      confirmed: undefined,
      saidWrong: undefined,
    });
  });
});
