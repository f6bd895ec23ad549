import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { maskLine, maskMessage } from "../../src/analysis/mask.ts";
import type { Evidence } from "../../src/analysis/model.ts";
import { RULES } from "../../src/analysis/rules/all.ts";
import type { Rule } from "../../src/analysis/rules/rule.ts";
import { compileRules, type RuleBook, scan } from "../../src/analysis/scan.ts";
import { alternativesOf } from "../support/alternatives.ts";

const FOLDER = join(import.meta.dir, "../fixtures/rules");
const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");

/** Of one rule: the lines that it knows, and those that have its words and are not its own. */
interface Examples {
  lines: readonly string[];
  not: readonly string[];
}
const NONE: Examples = { lines: [], not: [] };

/** `=== id of a rule`, then lines that it knows, and behind a `!` lines that it must leave alone. */
const blocksOf = (text: string): (readonly [string, Examples])[] =>
  text
    .split(/^=== /m)
    .slice(1)
    .map((block) => {
      const [id = "", ...all] = block.trimEnd().split("\n");
      const not = all.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
      return [id, { lines: all.filter((line) => !line.startsWith("!")), not }] as const;
    });

/** A file for each category. */
const EXAMPLES = new Map(readdirSync(join(FOLDER, "lines")).flatMap((name) => blocksOf(read(`lines/${name}`))));
const examplesOf = ({ id }: Rule): Examples => EXAMPLES.get(id) ?? NONE;
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
const isKnownBy = (rules: RuleBook, { id, types, where }: Rule, line: string): boolean => {
  const type = types?.[0] ?? "systemd";
  const evidence = where === "message" ? evidenceOf("", { type, message: line }) : evidenceOf(line, { type });
  return scan(rules, evidence).hits.some(({ rule }) => rule.id === id);
};
const isKnown = (rule: Rule, line: string): boolean => isKnownBy(book, rule, line);

/** What the rule's expressions see of a line. */
const seenBy = ({ where }: Rule, line: string): string => (where === "message" ? maskMessage(line) : maskLine(line));

/** The alternatives of an expression that none of the lines takes. */
const untaken = (rule: Rule, pattern: RegExp | undefined, lines: readonly string[]): string[] => {
  if (pattern === undefined) return [];
  const seen = lines.map((line) => seenBy(rule, line));
  return alternativesOf(pattern)
    .filter(({ isTaken }) => !seen.some(isTaken))
    .map(({ text }) => `${rule.id}: ${text}`);
};

/** Whether a line has all that the rule asks for, so that only its `not` can refuse it. */
const isRefused = (rule: Rule, line: string): boolean => {
  const { not, ...open } = rule;
  return not?.test(seenBy(rule, line)) === true && isKnownBy(compileRules([open]), open, line);
};

describe("every rule", () => {
  test("has lines that it knows, and knows them", () => {
    expect(RULES.filter((rule) => examplesOf(rule).lines.length === 0).map(({ id }) => id)).toEqual([]);
    const strange = RULES.flatMap((rule) =>
      examplesOf(rule)
        .lines.filter((line) => !isKnown(rule, line))
        .map((line) => `${rule.id}: ${line}`),
    );
    expect(strange).toEqual([]);
  });

  test("has a line for each of its literals", () => {
    const lineless = RULES.flatMap((rule) => {
      const lines = examplesOf(rule).lines.map((line) => seenBy(rule, line).toLowerCase());
      return rule.any
        .filter((literal) => !lines.some((line) => line.includes(literal)))
        .map((literal) => `${rule.id}: ${literal}`);
    });
    expect(lineless).toEqual([]);
  });

  test("has a line for each alternative of its expression", () => {
    expect(RULES.flatMap((rule) => untaken(rule, rule.when, examplesOf(rule).lines))).toEqual([]);
  });

  test("refuses the lines that are marked as not its own, and they have its words", () => {
    const strange = RULES.flatMap((rule) =>
      examplesOf(rule)
        .not.filter((line) => isKnown(rule, line) || !isRefused(rule, line))
        .map((line) => `${rule.id}: ${line}`),
    );
    expect(strange).toEqual([]);
  });

  test("has a line that is not its own for each alternative of what it refuses", () => {
    expect(RULES.flatMap((rule) => untaken(rule, rule.not, examplesOf(rule).not))).toEqual([]);
  });

  test("is there for the lines that are written for it", () => {
    const ids = new Set(RULES.map(({ id }) => id));
    expect([...EXAMPLES.keys()].filter((id) => !ids.has(id))).toEqual([]);
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
