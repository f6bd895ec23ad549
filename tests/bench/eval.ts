import { parseArgs } from "node:util";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { CATEGORIES, type Evidence, type HeuristicAnswer } from "../../src/analysis/model.ts";
import { measureModel } from "./eval-model.ts";

const explain = createHeuristics();

const USAGE = `Measures how often the heuristics name the right cause of labelled incidents.
usage: bun run eval FILE [--json] [--model]
  FILE     one JSON object a line: {id, type, source, message, logs, exit_code, category, decisive}
  --json   one JSON object instead of the tables
  --model  also asks the model that the settings name (OPENROUTER_KEY, AI_MODEL, ...) about each: accuracy, cost, latency`;

interface Labelled {
  id: string;
  type: string;
  source: string;
  message: string;
  logs: string;
  exit_code: number | null;
  category: string;
  decisive: string;
}

interface Outcome {
  one: Labelled;
  answer: HeuristicAnswer;
}

const evidenceOf = ({ type, source, message, logs, exit_code }: Labelled): Evidence => ({
  type,
  source,
  message,
  logs,
  exitCode: exit_code ?? null,
});

const isRight = ({ one, answer }: Outcome) => one.category === answer.category;

const print = (text: string) => process.stdout.write(`${text}\n`);

const percent = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;

/** One line for each category that the file has, then the misses, then the sum. */
const printTables = (outcomes: readonly Outcome[]): void => {
  for (const category of CATEGORIES) {
    const those = outcomes.filter(({ one }) => one.category === category);
    const right = those.filter(isRight).length;
    if (those.length > 0) print(`${category.padEnd(20)} ${right}/${those.length}  ${percent(right, those.length)}`);
  }
  for (const outcome of outcomes.filter((each) => !isRight(each))) printMiss(outcome);
  const right = outcomes.filter(isRight).length;
  print(`\n${right} of ${outcomes.length} right: ${percent(right, outcomes.length)}`);
};

const printMiss = ({ one, answer }: Outcome): void => {
  print(`\n${one.id}: expected ${one.category}, got ${answer.category} (${answer.rule}, ${answer.confidence})`);
  print(`  decisive  ${one.decisive.slice(0, 300)}`);
  print(`  taken     ${(answer.decisive ?? "").slice(0, 300)}`);
  print(`  because   ${answer.why}`);
};

const printJson = (outcomes: readonly Outcome[]): void => {
  const results = outcomes.map(({ one, answer }) => ({
    id: one.id,
    expected: one.category,
    got: answer.category,
    confidence: answer.confidence,
  }));
  print(JSON.stringify({ total: outcomes.length, correct: outcomes.filter(isRight).length, results }));
};

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean" }, model: { type: "boolean" } },
  allowPositionals: true,
});
const [path] = positionals;
if (path === undefined || !(await Bun.file(path).exists())) {
  print(path === undefined ? USAGE : `no such file: ${path}`);
  process.exitCode = 2;
} else {
  const rows = (await Bun.file(path).text()).split("\n").filter((line) => line.trim() !== "");
  const outcomes = rows.map((row) => {
    const one = JSON.parse(row) as Labelled;
    return { one, answer: explain(evidenceOf(one)) };
  });
  if (values.model) {
    const cases = outcomes.map(({ one, answer }) => ({ expected: one.category, evidence: evidenceOf(one), answer }));
    print(await measureModel(cases));
  }
  if (values.json) printJson(outcomes);
  else printTables(outcomes);
}
