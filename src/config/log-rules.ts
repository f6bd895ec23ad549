import { isAbsolute } from "node:path";
import { errorMessage } from "../lib/errors.ts";
import { compileLinePattern, type LinePattern, PatternError } from "../lib/linear-pattern.ts";
import type { Severity } from "../protocol/frames.ts";
import { LOG_PRESETS } from "./log-presets.ts";

/** Where lines come from. */
export const LOG_TARGETS = ["unit", "container", "file"] as const;
export type LogTargetKind = (typeof LOG_TARGETS)[number];

/** Lines of one place, and what among them is worth an alert. */
export interface LogRule {
  readonly kind: LogTargetKind;
  /** A unit, a container or an absolute path; `*` and `?` stand for any characters and for one. */
  readonly target: string;
  /** A preset's name, or the pattern as it was written. */
  readonly name: string;
  readonly severity: Severity;
  readonly patterns: readonly LinePattern[];
  readonly except: readonly LinePattern[];
}

const RULES_MAX = 200;
const NAME_SHAPE = /^[A-Za-z0-9:_.@\\*?-]{1,255}$/;
const SEVERITIES: readonly string[] = ["info", "warning", "critical"];
const QUOTED_CHARS_MAX = 60;

/** What is wrong with a setting, for the person who wrote it. */
class RuleFault extends Error {}

/**
 * The rules in a text such as `unit:nginx nginx; file:/var/log/app.log /timed out/i critical`: one a line, or with `;`
 * between them, each a place, then presets and patterns between slashes, then a severity where another is wanted. `#` at a
 * line's beginning makes it a remark. What is wrong is told with the rule's beginning.
 */
export function parseLogRules(text: string): { rules: LogRule[] } | { fault: string } {
  try {
    const rules = statementsOf(text).flatMap(parseStatement);
    return rules.length > RULES_MAX ? { fault: `more than ${RULES_MAX} rules` } : { rules };
  } catch (error) {
    if (error instanceof RuleFault) return { fault: error.message };
    throw error;
  }
}

/** The words of each statement: what stands between slashes is one word, with what follows it directly. */
function statementsOf(text: string): string[][] {
  const statements: string[][] = [[]];
  for (const line of text.split("\n").filter((one) => !/^\s*#/.test(one))) {
    for (const [word] of line.matchAll(/\/(?:[^/\\]|\\.)+\/[a-z]*(?=[\s;,]|$)|;|[^\s;,]+/g)) {
      if (word === ";") statements.push([]);
      else statements.at(-1)?.push(word);
    }
    statements.push([]);
  }
  return statements.filter((words) => words.length > 0);
}

function parseStatement([place = "", ...words]: string[]): LogRule[] {
  const colon = place.indexOf(":");
  const kind = LOG_TARGETS.find((one) => one === place.slice(0, colon));
  if (kind === undefined) throw fault(place, `expected ${LOG_TARGETS.map((one) => `${one}:…`).join(", ")} first`);
  const target = place.slice(colon + 1);
  if (kind === "file" ? !isAbsolute(target) : !NAME_SHAPE.test(target))
    throw fault(place, kind === "file" ? "expected an absolute path" : "expected a name or a pattern of * and ?");
  const severity = words.find((word) => SEVERITIES.includes(word)) as Severity | undefined;
  const wanted = words.filter((word) => !SEVERITIES.includes(word));
  if (wanted.length === 0)
    throw fault(place, `expected a pattern such as /error/i, or one of ${Object.keys(LOG_PRESETS).join(", ")}`);
  return wanted.map((word) => ({ kind, target, ...ruleOf(place, word, severity) }));
}

function ruleOf(place: string, word: string, severity: Severity | undefined): Omit<LogRule, "kind" | "target"> {
  const preset = Object.hasOwn(LOG_PRESETS, word) ? LOG_PRESETS[word] : undefined;
  if (preset) {
    const compile = (one: string | LinePattern) => (typeof one === "string" ? compileLinePattern(one) : one);
    const [patterns, except] = [preset.patterns.map(compile), preset.except.map(compile)];
    return { name: word, severity: severity ?? preset.severity, patterns, except };
  }
  const [, source, flags = ""] = /^\/(.+)\/([a-z]*)$/.exec(word) ?? [];
  if (source === undefined)
    throw fault(
      place,
      `${quoted(word)} is neither a pattern between slashes nor one of ${Object.keys(LOG_PRESETS).join(", ")}`,
    );
  if (flags !== "" && flags !== "i") throw fault(place, `${quoted(word)}: the only flag is i`);
  return {
    name: word,
    severity: severity ?? "warning",
    patterns: [compileOwn(place, word, source, flags === "i")],
    except: [],
  };
}

function compileOwn(place: string, word: string, source: string, ignoresCase: boolean): LinePattern {
  try {
    return compileLinePattern(source.replaceAll("\\/", "/"), { ignoresCase });
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw fault(place, `${quoted(word)}: ${errorMessage(error)}`);
  }
}

function fault(place: string, message: string): RuleFault {
  return new RuleFault(`${quoted(place)}: ${message}`);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
