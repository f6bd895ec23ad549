/** Lines of a stack that are shown when it is longer than what is shown at all. */
const STACK_HEAD_LINES = 10;

/**
 * The last of these lines. Where they begin in the midst of a stack trace its first lines come before them, with a mark of how
 * many are missing: what was thrown stands first, what it came from last.
 */
export function lastLines(lines: readonly string[], count: number): string[] {
  const from = lines.length - count;
  if (from <= 0) return [...lines];
  const start = stackStart(lines, from);
  if (start === from) return lines.slice(from);
  const head = lines.slice(start, Math.min(start + STACK_HEAD_LINES, from));
  const tail = lines.slice(from + head.length + 1);
  const missing = lines.length - start - head.length - tail.length;
  return [...head, `[... ${missing} lines left out ...]`, ...tail];
}

/** Up from a line of a stack to its first. Frames are indented, and in some languages only every other line of them is. */
function stackStart(lines: readonly string[], from: number): number {
  let at = from;
  while (at > 0 && isIndented(lines[at - 1], lines[at])) at--;
  return at;
}

function isIndented(line: string | undefined, next: string | undefined): boolean {
  return [line, next].some((one) => one !== undefined && INDENTED.test(one));
}

/** Behind what the journal writes before each line (`2026-11-28T21:55:18+0000 host shop[71]: `), if it was written. */
const INDENTED = /^(?:\d{4}-\d\d-\d\dT\S+ \S+ .{0,200}?: )?[ \t]+\S/;
