import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { RULES } from "../../src/analysis/rules/all.ts";
import { TIERS } from "../../src/analysis/rules/rule.ts";
import { compileRules, RULE_LINES_MAX, scan } from "../../src/analysis/scan.ts";
import { fixText } from "../../src/analysis/template.ts";

const expressions = RULES.flatMap(({ id, when, not }) =>
  [when, not].flatMap((one) => (one ? [{ id, source: one.source }] : [])),
);

/** Without classes and escapes, so that what is left of quantifiers are quantifiers. */
const bare = (source: string) => source.replaceAll(/\\./g, "x").replaceAll(/\[[^\]]*\]/g, "x");

const isUnbounded = (source: string): boolean => /[*+]|\{\d*,\}/.test(bare(source));

/** A repetition inside a repeated group. */
const isNested = (source: string): boolean => /\([^()]*\{\d+,\d+\}[^()]*\)\{\d/.test(bare(source));

const isUnsafe = (source: string): boolean => isUnbounded(source) || isNested(source);

describe("every rule", () => {
  test("has an id of its own, a category's weight, literals in lower case and a fix that names the service", () => {
    expect(RULES.length).toBeGreaterThan(200);
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
    for (const { id, any, tier, fix, cause } of RULES) {
      expect({ id, kebab: /^[a-z\d]+(-[a-z\d]+)*$/.test(id) }).toEqual({ id, kebab: true });
      expect({
        id,
        literals: any.length > 0 && any.every((one) => one === one.toLowerCase() && one.length > 2),
      }).toEqual({ id, literals: true });
      expect({ id, tier: tier in TIERS }).toEqual({ id, tier: true });
      expect({ id, named: fix.includes("{source}") && cause.endsWith(".") }).toEqual({ id, named: true });
    }
  });

  test("repeats nothing without bound, and nests no repetition", () => {
    expect(expressions.filter(({ source }) => isUnsafe(source)).map(({ id }) => id)).toEqual([]);
    for (const bad of ["a.*b", "(?:a{1,9}){2,9}", "x+", "a{3,}"]) expect(isUnsafe(bad)).toBe(true);
  });

  test("has no expression that remembers where it was", () => {
    for (const { when, not } of RULES) expect(`${when?.flags ?? ""}${not?.flags ?? ""}`).not.toMatch(/[gy]/);
  });

  test("advises nothing dangerous", () => {
    const forbidden =
      /kill -9|\bkill\b|chmod 777|chmod -R|\brm\b|setenforce|disable (?:selinux|the firewall|apparmor)|iptables -F|ufw disable|privileged|curl|wget|--force|https?:/i;
    for (const { id, fix, cause, category } of RULES) {
      const text = `${fix} ${cause}`.replace("killed", "");
      expect({ id, text: forbidden.test(text) ? text : "" }).toEqual({ id, text: "" });
      const evidence = { type: "systemd", source: "web.service", message: "", logs: "", exitCode: null };
      expect({ id, category, left: /[{}]| {2}|<undefined>/.test(fixText(fix, evidence, {})) }).toEqual({
        id,
        category,
        left: false,
      });
    }
  });
});

test("the other expressions that see log text are bounded too", async () => {
  const top = join(import.meta.dir, "../../src/analysis");
  for (const file of [
    "line-weight.ts",
    "facts.ts",
    "scan.ts",
    "mask.ts",
    "own-alerts.ts",
    "check-alerts.ts",
    "failing-words.ts",
  ]) {
    const text = (await Bun.file(join(top, file)).text()).replaceAll(/\/\*\*[\s\S]*?\*\/|\/\/ .*/g, "");
    const found = [...text.matchAll(/[[(=\s](\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n[])+\/)[gimu]*[,)\];.\n]/g)].map(
      (match) => match[1] ?? "",
    );
    expect(found.length).toBeGreaterThan(2);
    expect({ file, unsafe: found.filter(isUnbounded) }).toEqual({ file, unsafe: [] });
  }
});

test("a rule reads a bounded number of lines, from head and tail", () => {
  let tests = 0;
  const when = { exec: () => (++tests > 0 ? { 0: "boom", index: 0 } : null) } as unknown as RegExp;
  const rule = {
    ...RULES[0],
    id: "counted",
    where: "logs",
    any: ["boom"],
    when,
    not: undefined,
  } as (typeof RULES)[number];
  const logs = Array.from({ length: 5000 }, (_, index) => `${index} boom`).join("\n");
  const found = scan(compileRules([rule]), { type: "host", source: "x", message: "", logs, exitCode: null });
  expect(tests).toBeLessThanOrEqual(RULE_LINES_MAX);
  expect(found.hits[0]?.text).toBe("0 boom");
  expect(found.hits.at(-1)?.text).toBe("4999 boom");
});
