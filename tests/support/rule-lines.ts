import { createHeuristics } from "../../src/analysis/heuristics.ts";
import type { Category } from "../../src/analysis/model.ts";

const explain = createHeuristics();

/** Lines that show a category's cause, and lines that look like it and do not. */
export interface RuleLines {
  must: readonly string[];
  mustNot: readonly string[];
}

/** What the heuristics make of one line of a service that ended with 1. */
export const categoryOfLine = (line: string): Category =>
  explain({ type: "systemd", source: "app.service", message: "app.service failed", logs: line, exitCode: 1 }).category;
