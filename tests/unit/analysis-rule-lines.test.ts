import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import type { Evidence } from "../../src/analysis/model.ts";
import { RULES } from "../../src/analysis/rules/all.ts";
import type { Rule } from "../../src/analysis/rules/rule.ts";
import { compileRules, scan } from "../../src/analysis/scan.ts";

const FOLDER = join(import.meta.dir, "../fixtures/rules");
const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");

/** `=== id of a rule`, then lines that it knows. */
const LINES = new Map(
  read("lines.txt")
    .split(/^=== /m)
    .slice(1)
    .map((block) => {
      const [id = "", ...lines] = block.trimEnd().split("\n");
      return [id, lines] as const;
    }),
);
const HARMLESS = read("harmless.txt").trimEnd().split("\n");

const book = compileRules(RULES);
const explain = createHeuristics();

const evidenceOf = (line: string, more: Partial<Evidence> = {}): Evidence => ({
  type: "systemd",
  source: "app.service",
  message: "",
  logs: line,
  exitCode: null,
  ...more,
});

/** Whether the rule fits the line, where it is allowed to look. */
const isKnown = ({ id, types, where }: Rule, line: string): boolean => {
  const type = types?.[0] ?? "systemd";
  const evidence = where === "message" ? evidenceOf("", { type, message: line }) : evidenceOf(line, { type });
  return scan(book, evidence).hits.some(({ rule }) => rule.id === id);
};

describe("every rule", () => {
  test("has lines that it knows, and knows them", () => {
    const lineless = RULES.filter(({ id }) => (LINES.get(id) ?? []).length === 0).map(({ id }) => id);
    expect(lineless).toEqual([]);
    const strange = RULES.flatMap((rule) =>
      (LINES.get(rule.id) ?? []).filter((line) => !isKnown(rule, line)).map((line) => `${rule.id}: ${line}`),
    );
    expect(strange).toEqual([]);
  });

  test("is there for the lines that are written for it", () => {
    const ids = new Set(RULES.map(({ id }) => id));
    expect([...LINES.keys()].filter((id) => !ids.has(id))).toEqual([]);
  });
});

/** How codes are written in one ecosystem or another. */
const FORMS: readonly ((code: string) => string)[] = [
  (code) => `error: ${code}`,
  (code) => `${code}: it failed`,
  (code) => `request failed with status code ${code}`,
  (code) => `SQLSTATE[${code}]: it failed`,
  (code) => `ERROR ${code} (HY000): it failed`,
  (code) => `WSA error ${code}`,
  (code) => `Connection refused: ${code}`,
  (code) => `Os { code: 1, kind: ${code}, message: "it failed" }`,
  (code) => `pull failed: ${code} acme/app:1 not found`,
];

test("each code of the tables is known in the form of its ecosystem", () => {
  const coded = RULES.filter(({ id }) =>
    /^(?:node-code|exception-class|rust-kind|erlang-reason|sqlstate|mqtt|mysql-number|database-code|grpc|http-status|curl|windows|directory|dbus|container-reason|openssl)-/.test(
      id,
    ),
  );
  expect(coded.length).toBeGreaterThan(80);
  const unheard = coded.flatMap((rule) =>
    rule.any.filter((code) => !FORMS.some((form) => isKnown(rule, form(code)))).map((code) => `${rule.id}: ${code}`),
  );
  expect(unheard).toEqual([]);
});

test("harmless lines name no cause", () => {
  const misread = HARMLESS.flatMap((line) => {
    const { category, rule } = explain(evidenceOf(line, { message: "app.service failed" }));
    return category === "unknown" ? [] : `${line}: ${category}, ${rule}`;
  });
  expect(misread).toEqual([]);
});
