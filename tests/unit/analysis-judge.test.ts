import { describe, expect, test } from "bun:test";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { caseOf } from "../../src/analysis/judge/candidates.ts";
import { judge, packWords, readWords, writeWords } from "../../src/analysis/judge/judge.ts";
import { learnedWeights } from "../../src/analysis/judge/learned.ts";
import { BUCKETS, lineWords } from "../../src/analysis/judge/line-words.ts";
import type { Evidence } from "../../src/analysis/model.ts";
import { rank } from "../../src/analysis/ranking.ts";
import { RULES } from "../../src/analysis/rules/all.ts";
import { compileRules, scan } from "../../src/analysis/scan.ts";
import { createExampleMaker, freshIncidents } from "../support/judge-examples.ts";
import { learn } from "../support/judge-learner.ts";
import { evidenceOf } from "../support/labelled.ts";

const weights = learnedWeights();
const explain = createHeuristics(weights);

const ofService = (logs: readonly string[]): Evidence => ({
  type: "systemd",
  source: "sync.service",
  message: "sync.service: Main process exited, code=exited, status=1/FAILURE",
  logs: logs.join("\n"),
  exitCode: 1,
});

describe("a line's words", () => {
  test("are the same on another host, at another time, of another file and address", () => {
    const one = "Jan 02 03:04:05 web-1 sync[17]: cannot open /srv/a/orders.db for 10.0.0.1:5432 (trace 0a1b2c3d4e5f)";
    const two = "Nov 22 13:14:15 db-9 sync[90211]: cannot open /data/b.db for 192.168.7.9:80 (trace ffee00112233)";
    expect(lineWords(one)).toEqual(lineWords(two));
  });

  test("differ by their order, and where a number is one that means something", () => {
    expect(lineWords("disk is full")).not.toEqual(lineWords("full is disk"));
    expect(lineWords("failed with 111")).not.toEqual(lineWords("failed with 13"));
  });

  test("are numbers of buckets, whatever the text", () => {
    for (const line of ["", "\u0000\uD800 😀", "x".repeat(100_000), "接続を拒否されました"])
      for (const bucket of lineWords(line)) expect(bucket).toBeLessThan(BUCKETS);
  });
});

describe("what was learned", () => {
  test("is of the signs and marks that the judge knows", () => {
    const evidence = ofService(["bind: address already in use"]);
    const found = scan(compileRules(RULES), evidence);
    const { candidates, silence } = caseOf(evidence, found, rank(found, evidence));
    const line = candidates.find(({ known }) => known.size > 0);
    const [known] = line?.known.values() ?? [];
    expect(Object.keys(weights.signs)).toEqual(Object.keys(line?.signs ?? {}));
    expect(Object.keys(weights.marks)).toEqual(Object.keys(known?.marks ?? {}));
    expect(Object.keys(weights.silence)).toEqual(Object.keys(silence));
  });

  test("fits the code that reads it: the incidents that it was learned from are judged rightly", async () => {
    const exampleOf = createExampleMaker();
    const wrong = (await freshIncidents()).slice(0, 200).filter((row) => {
      const { shares } = judge(exampleOf(row, 1).judged, weights);
      const [[likeliest] = []] = [...shares].sort(([, a], [, b]) => b - a);
      return likeliest !== row.category;
    });
    expect(wrong.length).toBeLessThan(6);
  });

  test("is kept in a file, to the half of a step", () => {
    const values = new Float32Array(weights.words.rows.length).map((_, at) => Math.sin(at) * ((at % 7) + 1));
    const { steps, rows } = readWords(writeWords(packWords(values)));
    const columns = steps.length;
    const off = values.map((value, at) => Math.abs(value - (rows[at] ?? 0) * (steps[at % columns] ?? 0)));
    expect(off.every((one, at) => one <= (steps[at % columns] ?? 0) * 0.501)).toBe(true);
    expect(() => readWords(new Uint8Array(90))).toThrow("the judge's words have");
  });

  test("comes out the same each time, and knows what it was told", async () => {
    const exampleOf = createExampleMaker();
    const some = (await freshIncidents()).slice(0, 40).map((row) => exampleOf(row, 1));
    const [one, two] = [learn(some), learn(some)];
    expect(one).toEqual(two);
    for (const { judged, label } of some) {
      const [[likeliest] = []] = [...judge(judged, one).shares].sort(([, a], [, b]) => b - a);
      expect(likeliest).toBe(label);
    }
  });
});

describe("a cause that no rule has words for", () => {
  test("is told by the words of its line, which is quoted, with the usual advice", async () => {
    const named = (await freshIncidents()).slice(0, 300).flatMap((row) => {
      const answer = explain(evidenceOf(row));
      return answer.rule === null && answer.category !== "unknown" ? [{ row, answer }] : [];
    });
    expect(named.length).toBeGreaterThan(5);
    for (const { row, answer } of named) {
      expect(row.logs.split("\n").concat(row.message)).toContain(answer.decisive ?? "");
      expect(answer.fix.length).toBeGreaterThan(20);
      expect(answer.why).toStartWith("The words of ");
    }
  });

  test("is not made up where the log has none", () => {
    const answer = explain(
      ofService([
        "Jan 02 03:04:05 web-1 sync[17]: starting, version 4.2",
        "Jan 02 03:04:05 web-1 sync[17]: metrics are off, continuing without",
        "Jan 02 03:04:06 web-1 sync[17]: read 12 settings",
        "Jan 02 03:04:09 web-1 sync[17]: job ended",
        "Jan 02 03:04:09 web-1 systemd[1]: sync.service: Main process exited, code=exited, status=1/FAILURE",
        "Jan 02 03:04:09 web-1 systemd[1]: sync.service: Failed with result 'exit-code'.",
      ]),
    );
    expect(answer).toMatchObject({ category: "unknown", confidence: 0, rule: null, decisive: null });
  });
});
