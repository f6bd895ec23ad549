import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Clock, endsWithin } from "../lib/clock.ts";
import { errorCode, OpsPilotError } from "../lib/errors.ts";
import { OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import { keepEnds } from "../protocol/text.ts";

/** The program is not there: nothing was run. */
export class MissingProgramError extends OpsPilotError<"missing_program"> {
  constructor(program: string, searchPath: string) {
    super("missing_program", `${program} is not installed on this host (looked in ${searchPath})`);
  }
}

/** What a program left behind. */
export interface Finished {
  /** 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** It was killed, since its time was over or its caller gave up. */
  readonly ended: "by itself" | "time limit" | "aborted";
}

interface RunOptions {
  readonly limitMs: number;
  readonly signal?: AbortSignal;
  /** What of each output is kept. */
  readonly outputBytesMax?: number;
}

/** Runs a program to its end: the first word is looked up, the others are its arguments as they are. */
export type RunProcess = (words: readonly string[], options: RunOptions) => Promise<Finished>;

/** For what a killed program's children still hold open. */
const DRAIN_LIMIT_MS = 1_000;

/** Each program has a session of its own, so that Ctrl-C at the agent's terminal does not reach it and all of its children can be ended at once. */
export function createProcessRunner({ searchPath, clock }: { searchPath: string; clock: Clock }): RunProcess {
  return async (command, { limitMs, signal, outputBytesMax = OUTPUT_BYTES_MAX }) => {
    const child = startProgram(command, searchPath, { detached: true });
    const outputs = [createBoundedOutput(outputBytesMax), createBoundedOutput(outputBytesMax)] as const;
    const drains = [drain(child.stdout, outputs[0]), drain(child.stderr, outputs[1])];
    const ended = await whenOver(child, limitMs, signal, clock);
    await drained(drains, clock);
    const [stdout, stderr] = [outputs[0].text(), outputs[1].text()];
    return { exitCode: await child.exited, stdout, stderr, ended };
  };
}

/**
 * Starts a program without a shell, without input, and with an environment of nothing but the path and the language: a child
 * learns neither the agent's token nor its proxy. Throws a MissingProgramError.
 */
export function startProgram(
  [program = "", ...words]: readonly string[],
  searchPath: string,
  { detached = false } = {},
) {
  const path = findProgram(program, searchPath);
  if (path === undefined) throw new MissingProgramError(program, searchPath);
  return Bun.spawn([path, ...words], {
    cwd: "/",
    env: { PATH: searchPath, LC_ALL: "C.UTF-8" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached,
  });
}

/** The file that a program's name stands for, or the path; undefined when there is none that may be executed. */
function findProgram(program: string, searchPath: string): string | undefined {
  if (program.startsWith("/")) return isExecutable(program) ? program : undefined;
  return searchPath
    .split(delimiter)
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

async function whenOver(
  child: Child,
  limitMs: number,
  signal: AbortSignal | undefined,
  clock: Clock,
): Promise<Finished["ended"]> {
  if (await endsWithin(clock, limitMs, child.exited, signal)) return "by itself";
  killSession(child);
  return signal?.aborted ? "aborted" : "time limit";
}

/** The child leads its group, which has its id. */
function killSession(child: Child): void {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // It has just ended by itself.
    if (errorCode(error) !== "ESRCH") throw error;
  }
}

interface Drain {
  readonly done: Promise<void>;
  cancel(): void;
}

function drain(stream: ReadableStream<Uint8Array>, output: BoundedOutput): Drain {
  const reader = stream.getReader();
  async function read(): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      output.push(value);
    }
  }
  return { done: read(), cancel: () => void reader.cancel().catch(ignoreClosed) };
}

/** A pipe that cannot be given up has ended already. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof Error)) throw error;
}

/** A grandchild that lives on in a session of its own may hold the pipes open: nobody waits for that one. */
async function drained(drains: readonly Drain[], clock: Clock): Promise<void> {
  const all = Promise.all(drains.map(({ done }) => done));
  if (!(await endsWithin(clock, DRAIN_LIMIT_MS, all))) for (const one of drains) one.cancel();
}

/** Room for the mark between head and tail. */
const MARK_BYTES_MAX = 64;

/**
 * Takes what a program writes, however much: all of it, or, where its UTF-8 has more than `limitBytes`, its
 * head and tail, cut between characters, and a line between them that says how much is missing.
 */
export function createBoundedOutput(limitBytes: number) {
  const tail = Buffer.alloc(limitBytes);
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let totalBytes = 0;

  function pushTail(bytes: Uint8Array, startByte: number): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - limitBytes));
    const at = (startByte + bytes.length - kept.length) % limitBytes;
    const first = kept.subarray(0, limitBytes - at);
    tail.set(first, at);
    tail.set(kept.subarray(first.length), 0);
  }

  function lastBytes(count: number): Buffer {
    const end = totalBytes % limitBytes;
    return Buffer.concat([tail.subarray(end), tail.subarray(0, end)]).subarray(limitBytes - count);
  }

  function cut(): string {
    const endBytes = (limitBytes - MARK_BYTES_MAX) >> 1;
    const start = wholeCharacters(Buffer.concat(head).subarray(0, endBytes));
    const end = fromCharacter(lastBytes(endBytes));
    return `${start.toString()}\n[... ${totalBytes - start.length - end.length} bytes left out ...]\n${end.toString()}`;
  }

  return {
    push(bytes: Uint8Array): void {
      pushTail(bytes, totalBytes);
      totalBytes += bytes.length;
      if (headBytes >= limitBytes) return;
      // A copy: the reader may use its buffer again.
      const part = Uint8Array.from(bytes.subarray(0, limitBytes - headBytes));
      head.push(part);
      headBytes += part.length;
    },
    // What is no UTF-8 grows by being decoded.
    text: (): string => keepEnds(totalBytes <= limitBytes ? Buffer.concat(head).toString() : cut(), limitBytes),
  };
}

type BoundedOutput = ReturnType<typeof createBoundedOutput>;

const CHARACTER_BYTES_MAX = 4;

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Without the beginning of a character at the end. */
function wholeCharacters(bytes: Buffer): Buffer {
  let lead = bytes.length - 1;
  while (lead > bytes.length - CHARACTER_BYTES_MAX && lead > 0 && isContinuation(bytes[lead])) lead--;
  return lead + lengthFrom(bytes[lead] ?? 0) > bytes.length ? bytes.subarray(0, lead) : bytes;
}

/** Without the rest of a character at the beginning. */
function fromCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < CHARACTER_BYTES_MAX - 1 && isContinuation(bytes[start])) start++;
  return bytes.subarray(start);
}

function lengthFrom(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}
