import type { Clock } from "../../lib/clock.ts";
import { OpsPilotError } from "../../lib/errors.ts";
import { createBoundedOutput, startProgram } from "../run-process.ts";
import { createLineCutter } from "./lines.ts";

/** A program that was to run on has ended; its message is what it said last. */
export class ChildEndedError extends OpsPilotError<"child_ended"> {
  readonly exitCode: number;

  constructor(program: string, exitCode: number, said: string) {
    super("child_ended", `${program} ended with exit status ${exitCode}${said === "" ? "" : `: ${said}`}`);
    this.exitCode = exitCode;
  }
}

export interface ChildLinesOptions {
  readonly searchPath: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly lineBytesMax: number;
}

/** What a program says about its end. */
const SAID_BYTES_MAX = 2 * 1024;
/** For a program to end by itself when it is asked to. */
const END_LIMIT_MS = 2_000;

/**
 * The lines of a program that runs on, in groups as they came; longer ones are left out. They are read only as fast as they are
 * used, so a program that writes faster waits. Ends with the signal or with a program that ended well; else it throws, a
 * MissingProgramError or a ChildEndedError. The program never outlives the generator.
 */
export async function* childLines(
  command: readonly string[],
  { searchPath, clock, signal, lineBytesMax }: ChildLinesOptions,
): AsyncGenerator<string[]> {
  if (signal.aborted) return;
  const child = startProgram(command, searchPath);
  const said = createBoundedOutput(SAID_BYTES_MAX);
  const saying = drain(child.stderr, (bytes) => said.push(bytes));
  const end = () => void child.kill("SIGTERM");
  signal.addEventListener("abort", end, { once: true });
  try {
    const cutter = createLineCutter(lineBytesMax, "drop");
    for await (const bytes of child.stdout) {
      const lines = cutter.push(bytes);
      if (lines.length > 0) yield lines.map(({ text }) => text);
      if (signal.aborted) return;
    }
    const exitCode = await child.exited;
    if (exitCode === 0 || signal.aborted) return;
    await saying;
    throw new ChildEndedError(command[0] ?? "", exitCode, said.text().trim());
  } finally {
    signal.removeEventListener("abort", end);
    await endChild(child, clock);
  }
}

async function endChild(child: Bun.Subprocess<"ignore", "pipe", "pipe">, clock: Clock): Promise<void> {
  const waiting = new AbortController();
  child.kill("SIGTERM");
  const limit = clock.sleep(END_LIMIT_MS, waiting.signal).then(() => {
    if (!waiting.signal.aborted) child.kill("SIGKILL");
  });
  await child.exited;
  waiting.abort();
  await limit;
}

async function drain(stream: ReadableStream<Uint8Array>, use: (bytes: Uint8Array) => void): Promise<void> {
  for await (const bytes of stream) use(bytes);
}
