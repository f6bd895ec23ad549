/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  /** `unknown`: this user cannot tell; `absent`: what it is about is not on this host. Both are no fault. */
  readonly state: "ok" | "no" | "unknown" | "absent";
  /** In words: what is so, or why it is not and what to do about it. */
  readonly detail: string;
}

const MARKS = { ok: "ok", no: "NO", unknown: "?", absent: "--" } as const;

/** Findings as lines under their title, for a person. */
export function findingsText(title: string, findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, state, detail }) => {
    const indent = " ".repeat(width + 8);
    return `  ${MARKS[state].padEnd(2)}  ${name.padEnd(width)}  ${detail.replaceAll("\n", `\n${indent}`)}`;
  });
  return [title, ...(lines.length > 0 ? lines : ["  none"])].join("\n");
}
