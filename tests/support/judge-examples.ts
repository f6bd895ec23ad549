import { CAUSES, type Case, caseOf } from "../../src/analysis/judge/candidates.ts";
import { lineWords } from "../../src/analysis/judge/line-words.ts";
import { CATEGORIES, type Category } from "../../src/analysis/model.ts";
import { rank } from "../../src/analysis/ranking.ts";
import { RULES } from "../../src/analysis/rules/all.ts";
import { compileRules, LINE_CHARS_MAX, scan } from "../../src/analysis/scan.ts";
import { evidenceOf, type Labelled, labelledOf } from "./labelled.ts";

/** What the judge learns from. */
export interface Example {
  readonly judged: Case;
  readonly label: Category;
  /** For each candidate whether people marked it as the one that shows the cause. */
  readonly isDecisive: readonly boolean[];
  /** How much it counts. */
  readonly weight: number;
}

/** Incidents on which the rules were written: what the rules say of them proves little. */
const KNOWN_WEIGHT = 0.3;
/** A line by itself is plainer than an incident, and says more of its words. */
const LINE_WEIGHT = 2;
const HARMLESS_WEIGHT = 3;
/** Made of the rules' own words, most of them. */
const RULE_LINE_WEIGHT = 0.05;

const FIXTURES = new URL("../fixtures/", import.meta.url);
const KNOWN = ["seen", "unseen", "third-seen", "third-unseen"];

/** Makes examples of incidents, with what the rules say of them. */
export function createExampleMaker(): (row: Labelled, weight: number) => Example {
  const book = compileRules(RULES);
  return (row, weight) => {
    const evidence = evidenceOf(row);
    const found = scan(book, evidence);
    const judged = caseOf(evidence, found, rank(found, evidence));
    const decisive = row.decisive.slice(0, LINE_CHARS_MAX).trim();
    const isDecisive = judged.candidates.map(({ text }) => decisive !== "" && text.trim() === decisive);
    return { judged, label: row.category, isDecisive, weight };
  };
}

/** The incidents that nobody wrote a rule for: by these the judge is measured. */
export async function freshIncidents(): Promise<Labelled[]> {
  return labelledOf(await read("judge/incidents.jsonl"));
}

/** All else that it learns from. */
export async function otherExamples(exampleOf: (row: Labelled, weight: number) => Example): Promise<Example[]> {
  const known = await Promise.all(KNOWN.map((name) => read(`incidents/${name}.jsonl`)));
  const [lines, harmless] = [await read("judge/lines.tsv"), await read("rules/harmless.txt")];
  return [
    ...known.flatMap(labelledOf).map((row) => exampleOf(row, KNOWN_WEIGHT)),
    ...(await ruleLines()),
    ...linesOf(harmless).map((line) => lineExample(line, "unknown", HARMLESS_WEIGHT)),
    ...linesOf(lines).map(labelledLine),
  ];
}

async function ruleLines(): Promise<Example[]> {
  const byCause = CAUSES.map(async (cause) =>
    linesOf(await read(`rules/lines/${cause.replaceAll("_", "-")}.txt`))
      .filter((line) => !/^(?:===|!)/.test(line))
      .map((line) => lineExample(line, cause, RULE_LINE_WEIGHT)),
  );
  return (await Promise.all(byCause)).flat();
}

/** `category<TAB>line`; `none` for a line that is no cause. */
function labelledLine(row: string): Example {
  const [word = "", ...rest] = row.split("\t");
  const line = rest.join("\t");
  if (word === "none") return lineExample(line, "unknown", HARMLESS_WEIGHT);
  const category = CATEGORIES.find((one) => one === word);
  if (category === undefined) throw new Error(`no category ${word}: ${line}`);
  return lineExample(line, category, LINE_WEIGHT);
}

/** One line, by its words alone. */
function lineExample(text: string, label: Category, weight: number): Example {
  const signs = Object.fromEntries(Object.keys(NO_SIGNS).map((name) => [name, Number(name === "always")]));
  const candidate = { line: 0, text, words: lineWords(text), signs: signs as typeof NO_SIGNS, known: new Map() };
  const silence = { always: 0, score: 0, isNothing: 0, failing: 0, isWeak: 0 };
  return {
    judged: { candidates: [candidate], given: [], silence },
    label,
    isDecisive: [label !== "unknown"],
    weight,
  };
}

const NOTHING = { type: "", source: "", message: "", logs: "", exitCode: null };
const NOTHING_FOUND = { hits: [], lineCount: 0, recoveredAt: -1, readyAt: -1, doneAt: -1 };
const [{ signs: NO_SIGNS } = { signs: {} as never }] = caseOf(NOTHING, NOTHING_FOUND, []).candidates;

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

function read(path: string): Promise<string> {
  return Bun.file(new URL(path, FIXTURES)).text();
}
