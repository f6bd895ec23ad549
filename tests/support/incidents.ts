import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CATEGORIES, type Category, type Evidence } from "../../src/analysis/model.ts";

/** An incident as an agent would send it, with the cause that is right. */
export interface IncidentCase {
  name: string;
  category: Category;
  evidence: Evidence;
}

/**
 * Reads incidents written for the tests. Each begins with a line `== category docker name exit-code`, `== category systemd unit
 * exit-code` or `== category host message`; the log follows. `-` is no exit code.
 */
export const readIncidents = (file: string): readonly IncidentCase[] =>
  readFileSync(join(import.meta.dir, "incidents", file), "utf8")
    .split(/^== /m)
    .slice(1)
    .map((text, index) => caseOf(`${file} ${index + 1}`, text));

const caseOf = (place: string, text: string): IncidentCase => {
  const [head = "", ...logs] = text.trimEnd().split("\n");
  const [word, type = "", ...rest] = head.split(" ");
  const category = CATEGORIES.find((each) => each === word);
  if (category === undefined) throw new Error(`${place}: no category ${word}`);
  return { name: `${place}, ${head}`, category, evidence: { ...aboutOf(type, rest), logs: logs.join("\n") } };
};

const aboutOf = (type: string, rest: readonly string[]): Omit<Evidence, "logs"> => {
  if (type === "host") return { type, source: "web-01", message: rest.join(" "), exitCode: null };
  const [source = "", code] = rest;
  const exitCode = code === "-" ? null : Number(code);
  return { type, source, message: messageOf(type, source, exitCode), exitCode };
};

const messageOf = (type: string, source: string, exitCode: number | null): string => {
  if (type === "systemd") return `${source}: Failed with result 'exit-code'.`;
  return exitCode === null ? `Container ${source} is unhealthy` : `Container ${source} exited with code ${exitCode}`;
};
