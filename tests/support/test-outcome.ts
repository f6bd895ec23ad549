/** How a run of `bun test` came out. */
export interface Outcome {
  readonly isPassed: boolean;
  readonly tests: number;
  readonly failed: number;
  /** Files with a test that failed, as the run names them; none where something else failed, too. */
  readonly failedFiles: readonly string[];
}

/** Escapes of a terminal's colours. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape begins with one
const COLOURS = /\x1b\[[0-9;]*m/g;
const FILE = /^(\S+\.test\.tsx?):$/;
const FAILED = /^\(fail\) /;
/** What follows repeats the failures, without their files. */
const SUMMARY = /^\d+ tests? failed:$/;

/** Reads what `bun test` printed. */
export function outcomeOf(status: number, output: string): Outcome {
  const lines = output.replaceAll(COLOURS, "").split("\n");
  const countOf = (word: string) =>
    Number(lines.findLast((line) => COUNT.exec(line)?.[2] === word)?.match(/\d+/)?.[0] ?? 0);
  const failedFiles: string[] = [];
  let file: string | undefined;
  for (const line of lines) {
    if (SUMMARY.test(line)) break;
    file = FILE.exec(line)?.[1] ?? file;
    if (file !== undefined && FAILED.test(line)) failedFiles.push(file);
  }
  const failed = countOf("fail");
  const isAll = failed === failedFiles.length;
  return {
    isPassed: status === 0,
    tests: countOf("pass") + failed,
    failed,
    failedFiles: isAll ? [...new Set(failedFiles)] : [],
  };
}

const COUNT = /^ *(\d+) (pass|fail)$/;
