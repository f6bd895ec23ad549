import { describe, expect, test } from "bun:test";
import { type EvalCase, evalJson, evalTables, evaluate, judge } from "../../src/analysis/eval.ts";
import type { Category, HeuristicAnswer } from "../../src/analysis/model.ts";

const evidence = { type: "systemd", source: "nginx", message: "failed", logs: "", exitCode: 1 };
const caseOf = (id: string, expected: Category | null, refuted: Category | null = null): EvalCase => ({
  id,
  evidence,
  expected,
  refuted,
});
const answerOf = (category: Category): HeuristicAnswer => ({
  category,
  confidence: 0.9,
  decisive: "bind() failed",
  rule: "port-in-use",
  why: "the last fatal line",
  cause: "",
  fix: "",
});
const explain = () => answerOf("port_conflict");

describe("an answer about a confirmed incident", () => {
  test.each([
    ["that is what it was", "port_conflict", "port_conflict", null, "right"],
    ["that is what it was, and was said to be wrong in another respect", "crash", "crash", "crash", "right"],
    ["that is something else", "crash", "port_conflict", null, "wrong"],
    ["that is not there", null, "port_conflict", null, "wrong"],
    ["that was said to be wrong", "crash", null, "crash", "wrong"],
    ["that may be right for all that is known", "port_conflict", null, "crash", "open"],
    ["that is not there, where nobody knows what is right", null, null, "crash", "open"],
  ] as const)("%s: %s for %s, not %s, is %s", (_, got, expected, refuted, is) => {
    const answer = { category: got, confidence: 0.5, details: [] };
    expect(judge(caseOf("1", expected, refuted), answer).is).toBe(is);
  });

  test("is counted by category, and listed where it is wrong", async () => {
    const cases = [
      caseOf("incident 1", "port_conflict"),
      { ...caseOf("incident 2", "disk_full", "port_conflict"), decisive: "No space left" },
      caseOf("incident 3", null, "port_conflict"),
      caseOf("incident 4", null, "crash"),
    ];
    const { heuristics, model } = await evaluate(cases, { explain, ask: null, askedMax: 9 });
    expect(model).toEqual([]);
    expect(evalTables(heuristics).split("\n")).toEqual([
      "port_conflict        1/1  100.0 %",
      "disk_full            0/1  0.0 %",
      "",
      "incident 2: expected disk_full, got port_conflict (0.9)",
      "  decisive  No space left",
      "  taken     bind() failed",
      "  because   the last fatal line (port-in-use)",
      "",
      "incident 3: it was said to be wrong, got port_conflict (0.9)",
      "  taken     bind() failed",
      "  because   the last fatal line (port-in-use)",
      "",
      "1 of 3 right: 33.3 %",
      "1 more: said to be wrong once, explained otherwise now; nobody said what is right",
      "",
    ]);
    expect(evalJson(heuristics)).toMatchObject({ total: 3, correct: 1, open: 1, results: { length: 4 } });
  });

  test("is asked of a model for the first cases only, and for none once somebody wants it to end", async () => {
    const asked: string[] = [];
    const ask = async ({ id }: EvalCase) => {
      asked.push(id);
      return { category: "crash" as const, confidence: 1, details: [] };
    };
    const cases = ["1", "2", "3"].map((id) => caseOf(id, "crash"));
    const { heuristics, model } = await evaluate(cases, { explain, ask, askedMax: 2 });
    expect([heuristics.length, model.map(({ is }) => is), asked]).toEqual([3, ["right", "right"], ["1", "2"]]);
    const ended = await evaluate(cases, { explain, ask, askedMax: 2, signal: AbortSignal.abort() });
    expect(ended).toEqual({ heuristics: [], model: [] });
  });
});
