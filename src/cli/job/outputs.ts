import { dlopen, ptr } from "bun:ffi";
import { closeSync, fstatSync, write } from "node:fs";
import { promisify } from "node:util";
import { type Clock, endsWithin } from "../../lib/clock.ts";
import { errorCode, errorMessage } from "../../lib/errors.ts";
import type { Tail } from "./tail.ts";

const STDOUT = 1;
const STDERR = 2;
const O_CLOEXEC = 0o2000000;
/** Whoever reads what we write is slow, and its end takes no more just now. */
const AGAIN_MS = 10;
/** So long nothing more comes once the job has ended: then something that it left behind holds its outputs open. */
const QUIET_MS = 500;

const writeFile = promisify(write);

interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
}

interface OutputDeps {
  tail: Tail;
  clock: Clock;
  warn: (text: string) => void;
}

/**
 * Pipes that stand in for the job's outputs, and what is written to them, unchanged and in time. One pipe where both outputs lead to the
 * same place, so that what the job writes keeps its order. They are the system's: Bun's own are sockets, and a job that opens
 * /dev/stderr would find none.
 */
export function openOutputs({ tail, clock, warn }: OutputDeps) {
  const isOne = sameFile(STDOUT, STDERR);
  const pipes = isOne ? [openPipe()] : [openPipe(), openPipe()];
  const flows = pipes.map(({ readEnd }, at) => createFlow(readEnd, STDOUT + at, { tail, clock, warn }));
  const [first, second = first] = pipes as [Pipe, Pipe?];

  return {
    /** The job's descriptors 1 and 2. */
    files: [first.writeEnd, second.writeEnd] as const,
    /** Begins, once the job has them. */
    start(): void {
      for (const { writeEnd } of pipes) closeSync(writeEnd);
      for (const flow of flows) flow.start();
    },
    /** Once the job has ended: resolves when all that it wrote has been passed on. */
    async drained(): Promise<void> {
      await Promise.all(flows.map((flow) => flow.drained()));
    },
  };
}

function sameFile(one: number, other: number): boolean {
  const [a, b] = [fstatSync(one), fstatSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

function openPipe(): Pipe {
  const library = dlopen("libc.so.6", { pipe2: { args: ["ptr", "int"], returns: "int" } });
  const ends = new Int32Array(2);
  const status = library.symbols.pipe2(ptr(ends), O_CLOEXEC);
  library.close();
  const [readEnd, writeEnd] = ends;
  if (status !== 0 || readEnd === undefined || writeEnd === undefined) throw new Error("no pipe could be made");
  return { readEnd, writeEnd };
}

/** From a pipe to a descriptor. What cannot be written is not read: then the job waits, as it would without us. */
function createFlow(readEnd: number, target: number, { tail, clock, warn }: OutputDeps) {
  const reader = Bun.file(readEnd).stream().getReader();
  let flowing = Promise.resolve();
  let isOver = false;
  let moved = 0;
  let isWriting = false;

  async function flow(): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      moved++;
      tail.push(target, value);
      isWriting = true;
      const isTaken = await writeAll(target, value);
      isWriting = false;
      // Nobody reads it any more: the job is to find out by its next write, as it would without us.
      if (!isTaken) return;
    }
  }

  /** The reader has a descriptor of its own. */
  async function end(): Promise<void> {
    isOver = true;
    closeSync(readEnd);
    await reader.cancel();
  }

  return {
    start(): void {
      flowing = flow()
        .finally(end)
        .catch((error) => warn(`what the job writes cannot be passed on: ${errorMessage(error)}`));
    },
    async drained(): Promise<void> {
      for (let before = -1; !isOver && (isWriting || moved !== before); ) {
        before = moved;
        await endsWithin(clock, QUIET_MS, flowing);
      }
    },
  };
}

/** False where nobody reads it, or nothing can be written. */
async function writeAll(target: number, bytes: Uint8Array): Promise<boolean> {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      const { bytesWritten } = await writeFile(target, rest);
      rest = rest.subarray(bytesWritten);
    } catch (error) {
      if (errorCode(error) !== "EAGAIN") return false;
      await Bun.sleep(AGAIN_MS);
    }
  }
  return true;
}
