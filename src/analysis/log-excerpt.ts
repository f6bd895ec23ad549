/** A longer line keeps its two ends: what matters stands at its start, or is the error at the end of a chain. */
const LINE_CHARS_MAX = 1_000;
/** Lines around the decisive one that belong to it: a stack trace, what was tried just before. */
const AROUND = { before: 6, after: 10 } as const;
/** How the room is shared: the end of a log says most, its head says what was started and how. */
const SHARE = { decisive: 0.35, head: 0.2 } as const;

/**
 * What fits of a log into `charsMax`: its head, the lines around the decisive one, and its tail, in their order, with a mark
 * where lines are left out.
 */
export function excerptOf(log: string, decisive: string | null, charsMax: number): string {
  const lines = log.split("\n").map((line) => cutLine(line.trimEnd()));
  if (lengthOf(lines) <= charsMax) return lines.join("\n");
  const kept = new Set<number>();
  const roomOf = take(lines, kept);
  let left = charsMax;
  const at = decisive === null ? -1 : indexOfLine(lines, decisive);
  if (at >= 0) left -= roomOf(around(at, lines.length), left * SHARE.decisive);
  left -= roomOf(range(0, lines.length), charsMax * SHARE.head);
  roomOf(range(lines.length - 1, -1), left);
  return withMarks(lines, kept);
}

/** Takes lines in the given order until the room is used up; returns what they took. */
function take(lines: readonly string[], kept: Set<number>) {
  return (order: Iterable<number>, roomChars: number): number => {
    let usedChars = 0;
    for (const at of order) {
      if (kept.has(at)) continue;
      const sizeChars = (lines[at] ?? "").length + 1;
      if (usedChars + sizeChars > roomChars) break;
      kept.add(at);
      usedChars += sizeChars;
    }
    return usedChars;
  };
}

/** The line itself, then its neighbours, the nearest first. */
function* around(at: number, count: number): Iterable<number> {
  yield at;
  for (let step = 1; step <= Math.max(AROUND.before, AROUND.after); step++) {
    if (step <= AROUND.after && at + step < count) yield at + step;
    if (step <= AROUND.before && at - step >= 0) yield at - step;
  }
}

function* range(from: number, to: number): Iterable<number> {
  const step = from <= to ? 1 : -1;
  for (let at = from; at !== to; at += step) yield at;
}

/** The last line that is, or holds, the decisive one: a repeated error counts where the program ended. */
function indexOfLine(lines: readonly string[], decisive: string): number {
  const wanted = cutLine(decisive.trim());
  return wanted === "" ? -1 : lines.findLastIndex((line) => line.includes(wanted));
}

function withMarks(lines: readonly string[], kept: ReadonlySet<number>): string {
  const out: string[] = [];
  let missing = 0;
  for (const [at, line] of lines.entries()) {
    if (!kept.has(at)) missing++;
    else {
      if (missing > 0) out.push(markOf(missing));
      out.push(line);
      missing = 0;
    }
  }
  if (missing > 0) out.push(markOf(missing));
  return out.join("\n");
}

const markOf = (missing: number) => `[… ${missing} lines left out …]`;

const lengthOf = (lines: readonly string[]) => lines.reduce((sum, line) => sum + line.length + 1, 0);

function cutLine(line: string): string {
  if (line.length <= LINE_CHARS_MAX) return line;
  const half = LINE_CHARS_MAX / 2;
  return `${line.slice(0, half).toWellFormed()} […] ${line.slice(-half).toWellFormed()}`;
}
