import type { Category, Evidence } from "../../src/analysis/model.ts";

/** An incident with the cause that people found, as a line of JSON has it; `host` is what its host would answer. */
export interface Labelled {
  id: string;
  type: string;
  source: string;
  message: string;
  logs: string;
  exit_code: number | null;
  category: Category;
  decisive: string;
  host?: unknown;
}

/** The rows of a file with one JSON object a line. */
export function labelledOf(text: string): Labelled[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((row) => JSON.parse(row));
}

/** What the row's alert carried. */
export function evidenceOf({ type, source, message, logs, exit_code }: Labelled): Evidence {
  return { type, source, message, logs, exitCode: exit_code ?? null };
}
