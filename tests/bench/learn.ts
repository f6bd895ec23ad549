import { join } from "node:path";
import { parseArgs } from "node:util";
import { judge, writeWords } from "../../src/analysis/judge/judge.ts";
import type { Category } from "../../src/analysis/model.ts";
import { createExampleMaker, type Example, freshIncidents, otherExamples } from "../support/judge-examples.ts";
import { learn } from "../support/judge-learner.ts";

const USAGE = `Learns what the heuristics judge by, from the labelled incidents and lines in tests/fixtures.
usage: bun run learn [--check]
  --check  writes nothing: learns from three quarters of the incidents, four times, and measures by the fourth`;

const FOLDER = join(import.meta.dir, "../../src/analysis/judge");
const PARTS = 4;
/** The share that a confidence of 0.6 stands for. */
const SURE_SHARE = 0.97;

const { values } = parseArgs({ options: { check: { type: "boolean" }, help: { type: "boolean" } } });

const exampleOf = createExampleMaker();
const fresh = (await freshIncidents()).map((row) => exampleOf(row, 1));
const others = await otherExamples(exampleOf);
const say = (text: string) => process.stdout.write(`${text}\n`);

async function write(): Promise<void> {
  const { words, ...plain } = learn([...fresh, ...others]);
  await Bun.write(join(FOLDER, "words.bin"), writeWords(words));
  await Bun.write(join(FOLDER, "weights.json"), `${JSON.stringify(plain, null, 2)}\n`);
  say(`learned from ${fresh.length} incidents and ${others.length} more examples`);
}

function check(): void {
  const outcomes = Array.from({ length: PARTS }, (_, part) => measure(part)).flat();
  const percent = (isCounted: (one: Outcome) => boolean) =>
    `${((100 * outcomes.filter(isCounted).length) / outcomes.length).toFixed(1)} %`;
  say(`${outcomes.length} incidents, none of them judged by what was learned from itself`);
  say(`right                     ${percent(({ isRight }) => isRight)}`);
  say(`confident (0.6) and wrong ${percent(({ isRight, isSure }) => isSure && !isRight)}`);
  say(`confident                 ${percent(({ isSure }) => isSure)}`);
}

interface Outcome {
  isRight: boolean;
  isSure: boolean;
}

function measure(part: number): Outcome[] {
  const isMeasured = (_: Example, at: number) => at % PARTS === part;
  const weights = learn([...fresh.filter((_, at) => at % PARTS !== part), ...others]);
  return fresh.filter(isMeasured).map(({ judged, label }) => {
    const [category, share] = likeliest(judge(judged, weights).shares);
    return { isRight: category === label, isSure: category !== "unknown" && share >= SURE_SHARE };
  });
}

function likeliest(shares: ReadonlyMap<Category, number>): [Category, number] {
  return [...shares].reduce((best, one) => (one[1] > best[1] ? one : best));
}

if (values.help) say(USAGE);
else if (values.check) check();
else await write();
