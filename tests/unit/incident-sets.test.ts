import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { CATEGORIES, type Category } from "../../src/analysis/model.ts";

const FOLDER = join(import.meta.dir, "../fixtures/incidents");

/** An incident with the cause that people found; `bun run eval` reads the same rows. */
const LabelledSchema = Type.Object(
  {
    id: Type.RegExp(/^[a-z0-9-]+$/),
    url: Type.RegExp(/^$|^https:\/\/\S+$/),
    why: Type.String({ minLength: 20 }),
    type: Type.Union([Type.Literal("systemd"), Type.Literal("docker"), Type.Literal("log"), Type.Literal("host")]),
    source: Type.String({ minLength: 1 }),
    message: Type.String({ minLength: 1 }),
    logs: Type.String({ minLength: 1 }),
    exit_code: Type.Union([Type.Integer({ minimum: 0, maximum: 255 }), Type.Null()]),
    category: Type.Union(CATEGORIES.map((category) => Type.Literal(category))),
    decisive: Type.String(),
    hard: Type.Boolean(),
  },
  { additionalProperties: false },
);
type Labelled = Static<typeof LabelledSchema>;

interface Bounds {
  /** Each cause at least so often in a set. */
  readonly eachMin: number;
  /** Not to guess is half of the skill: more rows say nothing of their cause. */
  readonly unknownMin: number;
  /** The share of rows that mislead, from and to. */
  readonly hardShares: readonly [number, number];
}

const LARGE: Bounds = { eachMin: 5, unknownMin: 10, hardShares: [0.4, 0.7] };
/** The third pair has less usual programs, in fewer rows, of which more mislead. */
const SMALL: Bounds = { eachMin: 1, unknownMin: 5, hardShares: [0.6, 0.8] };
/** Each cause at least so often in a pair, so that one row is not a whole category. */
const EACH_MIN_OF_PAIR = 3;

const PAIRS = [
  { seen: "seen.jsonl", unseen: "unseen.jsonl", bounds: LARGE },
  { seen: "third-seen.jsonl", unseen: "third-unseen.jsonl", bounds: SMALL },
];
const FILES = PAIRS.flatMap(({ seen, unseen }) => [seen, unseen]);
const BOUNDS = PAIRS.flatMap(({ seen, unseen, bounds }) => [[seen, bounds] as const, [unseen, bounds] as const]);

const rowsOf = async (name: string): Promise<unknown[]> =>
  (await Bun.file(join(FOLDER, name)).text())
    .trimEnd()
    .split("\n")
    .map((row) => JSON.parse(row));

/**
 * Rules are written with the rows that are named seen; those of the unseen files are looked at only after a change, so
 * that what a rule gains is not what it was fitted to. Nothing of a program may therefore stand in two of the files.
 */
const sets = new Map<string, unknown[]>();
for (const name of FILES) sets.set(name, await rowsOf(name));

const labelled = (name: string) => (sets.get(name) ?? []) as Labelled[];
const all = () => [...sets.keys()].flatMap(labelled);
const countOf = (rows: readonly Labelled[], category: Category) =>
  rows.filter((row) => row.category === category).length;
const minimumOf = (category: Category, { eachMin, unknownMin }: Bounds) =>
  category === "unknown" ? unknownMin : eachMin;
const showsItsCause = ({ category, decisive, logs, message }: Labelled) =>
  category === "unknown" ? decisive === "" : decisive !== "" && [message, ...logs.split("\n")].includes(decisive);

describe.each([...BOUNDS])("the labelled incidents of %s", (name, bounds) => {
  test("have the form that the measurement reads", () => {
    const wrong = (sets.get(name) ?? []).flatMap((row) => [...Value.Errors(LabelledSchema, row)].slice(0, 1));
    expect(wrong.map(({ path, message, value }) => ({ path, message, value }))).toEqual([]);
  });

  test("name a line of their own as the decisive one, and none where the cause is unknown", () => {
    const without = labelled(name).filter((row) => !showsItsCause(row));
    expect(without.map(({ id }) => id)).toEqual([]);
  });

  test("have each cause often enough", () => {
    const rare = CATEGORIES.filter((category) => countOf(labelled(name), category) < minimumOf(category, bounds));
    expect(rare).toEqual([]);
  });

  test("mislead in as many of the rows as they should", () => {
    const rows = labelled(name);
    const share = rows.filter(({ hard }) => hard).length / rows.length;
    expect(share).toBeGreaterThan(bounds.hardShares[0]);
    expect(share).toBeLessThan(bounds.hardShares[1]);
  });
});

const programsOf = (name: string) => labelled(name).map(({ id }) => id.replace(/-\d+$/, ""));
const decisiveLinesOf = (name: string) => labelled(name).flatMap(({ decisive }) => (decisive === "" ? [] : decisive));

const COUPLES = FILES.flatMap((one, at) => FILES.slice(at + 1).map((other) => [one, other] as const));

describe.each(COUPLES)("the incidents of %s and of %s", (one, other) => {
  test("have no program in common", () => {
    const programs = new Set(programsOf(other));
    expect(programsOf(one).filter((program) => programs.has(program))).toEqual([]);
  });

  test("have no decisive line in common", () => {
    const lines = new Set(decisiveLinesOf(other));
    expect(decisiveLinesOf(one).filter((line) => lines.has(line))).toEqual([]);
  });
});

test.each(PAIRS)("$seen and $unseen have each cause often enough", ({ seen, unseen }) => {
  const rows = [...labelled(seen), ...labelled(unseen)];
  expect(CATEGORIES.filter((category) => countOf(rows, category) < EACH_MIN_OF_PAIR)).toEqual([]);
});

test("an incident's id is its own", () => {
  const ids = all().map(({ id }) => id);
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
});
