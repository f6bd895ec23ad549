import { compileLinePattern, type LinePattern, PatternError } from "../lib/linear-pattern.ts";
import { LOG_LINES, LOG_LINES_MAX } from "../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../protocol/limits.ts";

/** What a pattern is looked for in. */
const SEARCHED_BYTES_MAX = 4 * 2 ** 20;

/** Which lines of a log are wanted. */
interface LogParams {
  readonly lines?: number;
  readonly pattern?: string;
}

/** How much of the log is read, and what is taken of that. */
interface LogChoice {
  readonly readLines: number;
  readonly readBytes: number;
  readonly choose: (text: string) => string;
}

/**
 * The last lines; where there is a pattern, the last that hold it, of as many as are read at most. The pattern is ours to search,
 * in linear time, since no program is to be trusted with one that comes over the network.
 */
export function choiceOf({ lines = LOG_LINES, pattern }: LogParams): LogChoice | { fault: string } {
  if (pattern === undefined) return { readLines: lines, readBytes: OUTPUT_BYTES_MAX, choose: (text) => text };
  try {
    const wanted = compileLinePattern(pattern, { ignoresCase: true });
    const choose = (text: string) => lastMatching(text, wanted, lines);
    return { readLines: LOG_LINES_MAX, readBytes: SEARCHED_BYTES_MAX, choose };
  } catch (error) {
    if (error instanceof PatternError) return { fault: `params.pattern: ${error.message}` };
    throw error;
  }
}

function lastMatching(text: string, wanted: LinePattern, lines: number): string {
  const found = text.split("\n").filter((line) => line !== "" && wanted.test(line));
  return found.length === 0 ? "" : `${found.slice(-lines).join("\n")}\n`;
}
