import { parseArgs } from "node:util";
import type { EvalCase } from "../../src/analysis/eval.ts";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { evalCases, evalOwn } from "../../src/cli/eval.ts";
import { report } from "../../src/cli/program.ts";
import { evidenceOf, type Labelled, labelledOf } from "../support/labelled.ts";
import { measureModel } from "./eval-model.ts";
import { recordedHostOf } from "./recorded-host.ts";

const explain = createHeuristics();

const USAGE = `Measures how often the heuristics name the right cause of labelled incidents.
usage: bun run eval FILE [--json] [--model [--investigate]]
       bun run eval --own [--json] [--model]
  FILE           one JSON object a line: {id, type, source, message, logs, exit_code, category, decisive}, and for --investigate
                 host: {allow?, answers: [{tool, arguments?, output}]}, what the incident's host answers
  --own          the incidents of which people said what they were, in the database that the settings name (DATABASE_URL)
  --json         one JSON object instead of the tables
  --model        also asks the model that the settings name (OPENROUTER_KEY, AI_MODEL, ...) about each: accuracy, cost, latency
  --investigate  also lets it look at the recorded hosts: accuracy, calls, tokens, cost, latency`;

function caseOf(row: Labelled) {
  const { id, category: expected, decisive, host } = row;
  const evidence = evidenceOf(row);
  return { id, expected, decisive, evidence, host: recordedHostOf(host) } satisfies EvalCase & Record<string, unknown>;
}

const { values, positionals } = parseArgs({
  options: {
    json: { type: "boolean" },
    model: { type: "boolean" },
    own: { type: "boolean" },
    investigate: { type: "boolean" },
  },
  allowPositionals: true,
});
const flags = { json: values.json || undefined, model: values.model || undefined } as const;
const [path] = positionals;

async function ofFile(): Promise<number> {
  if (path === undefined || !(await Bun.file(path).exists())) {
    process.stdout.write(`${path === undefined ? USAGE : `no such file: ${path}`}\n`);
    return 2;
  }
  const cases = labelledOf(await Bun.file(path).text()).map(caseOf);
  if (values.model) {
    const asked = cases.map((one) => ({ ...one, answer: explain(one.evidence) }));
    process.stdout.write(`${await measureModel(asked, values.investigate === true)}\n`);
  }
  await evalCases(cases, { json: flags.json, asked: null, askedMax: 0 });
  return 0;
}

process.exitCode = await (values.own ? evalOwn(flags) : ofFile()).catch(report);
