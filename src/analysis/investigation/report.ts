import type { InvestigationStep } from "../model.ts";

const ARGUMENTS_CHARS_MAX = 120;
const CAUSE_CHARS_MAX = 600;
const OUTPUT_CHARS_MAX = 150;

/** What people are told of an investigation, as far as it came. */
export interface ReportSubject {
  /** Null when nobody asked for it. */
  actor: string | null;
  steps: readonly Pick<InvestigationStep, "no" | "tool" | "arguments" | "state" | "output">[];
  /** How it ended; undefined while it goes on. */
  end?: { cause: string } | { why: string };
}

/** An investigation in plain lines: what was asked of the host, and what followed. Not redacted: that is the outlet's first step. */
export function reportOf({ actor, steps, end }: ReportSubject): string {
  const whose = actor === null ? "by itself" : "on request";
  const head = end === undefined ? `A model looks into this, ${whose}.` : `A model looked into this, ${whose}.`;
  return [head, ...steps.map(stepLine), ...(end === undefined ? [] : [endLine(end)])].join("\n");
}

function stepLine({ no, tool, arguments: given, state, output }: ReportSubject["steps"][number]): string {
  const words = Object.entries(given).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const asked = [tool.replaceAll("_", " "), words.join(", ").slice(0, ARGUMENTS_CHARS_MAX).toWellFormed()];
  const why = state === "failed" || state === "refused" ? `: ${firstLine(output ?? "", OUTPUT_CHARS_MAX)}` : "";
  return `${no}. ${asked.filter(Boolean).join(": ")} – ${state === "asked" ? "asking the host" : state}${why}`;
}

function endLine(end: { cause: string } | { why: string }): string {
  return "cause" in end ? `It names: ${firstLine(end.cause, CAUSE_CHARS_MAX)}` : `It has no answer: ${end.why}`;
}

function firstLine(text: string, charsMax: number): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length <= charsMax ? line : `${line.slice(0, charsMax - 1).toWellFormed()}…`;
}
