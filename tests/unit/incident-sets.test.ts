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

/** Each cause at least so often in a set, so that one row is not a whole category. */
const EACH_MIN = 5;
/** Not to guess is half of the skill: more rows say nothing of their cause. */
const UNKNOWN_MIN = 10;

const rowsOf = async (name: string): Promise<unknown[]> =>
  (await Bun.file(join(FOLDER, name)).text())
    .trimEnd()
    .split("\n")
    .map((row) => JSON.parse(row));

/**
 * Rules are written with the rows of `seen.jsonl`; those of `unseen.jsonl` are looked at only after a change, so that
 * what a rule gains is not what it was fitted to. Nothing of a program may therefore stand in both.
 */
const sets = new Map<string, unknown[]>();
for (const name of ["seen.jsonl", "unseen.jsonl"]) sets.set(name, await rowsOf(name));

const labelled = (name: string) => (sets.get(name) ?? []) as Labelled[];
const all = () => [...sets.keys()].flatMap(labelled);
const countOf = (rows: readonly Labelled[], category: Category) =>
  rows.filter((row) => row.category === category).length;
const minimumOf = (category: Category) => (category === "unknown" ? UNKNOWN_MIN : EACH_MIN);
const showsItsCause = ({ category, decisive, logs, message }: Labelled) =>
  category === "unknown" ? decisive === "" : decisive !== "" && [message, ...logs.split("\n")].includes(decisive);

describe.each([...sets.keys()])("the labelled incidents of %s", (name) => {
  test("have the form that the measurement reads", () => {
    const wrong = (sets.get(name) ?? []).flatMap((row) => [...Value.Errors(LabelledSchema, row)].slice(0, 1));
    expect(wrong.map(({ path, message, value }) => ({ path, message, value }))).toEqual([]);
  });

  test("name a line of their own as the decisive one, and none where the cause is unknown", () => {
    const without = labelled(name).filter((row) => !showsItsCause(row));
    expect(without.map(({ id }) => id)).toEqual([]);
  });

  test("have each cause often enough", () => {
    const rare = CATEGORIES.filter((category) => countOf(labelled(name), category) < minimumOf(category));
    expect(rare).toEqual([]);
  });

  test("mislead in about half of the rows", () => {
    const rows = labelled(name);
    const share = rows.filter(({ hard }) => hard).length / rows.length;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.7);
  });
});

const programsOf = (name: string) => labelled(name).map(({ id }) => id.replace(/-\d+$/, ""));
const decisiveLinesOf = (name: string) => labelled(name).flatMap(({ decisive }) => (decisive === "" ? [] : decisive));

describe("the seen and the unseen incidents", () => {
  test("have no program in common", () => {
    const unseen = new Set(programsOf("unseen.jsonl"));
    expect(programsOf("seen.jsonl").filter((program) => unseen.has(program))).toEqual([]);
  });

  test("have no decisive line in common", () => {
    const unseen = new Set(decisiveLinesOf("unseen.jsonl"));
    expect(decisiveLinesOf("seen.jsonl").filter((line) => unseen.has(line))).toEqual([]);
  });
});

test("an incident's id is its own", () => {
  const ids = all().map(({ id }) => id);
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
});
