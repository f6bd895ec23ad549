import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Clock } from "../../lib/clock.ts";
import { errorCode } from "../../lib/errors.ts";

/** One record of the kernel's log. */
export interface KernelRecord {
  readonly sequence: number;
  /** Microseconds since the machine's start. */
  readonly monotonicUs: number;
  readonly message: string;
  /** From the kernel itself, not written there by a program. */
  readonly isKernel: boolean;
}

const RECORD_BYTES_MAX = 8192;
const POLL_MS = 2_000;
const KERNEL_FACILITY = 0;

/** A record's line as /dev/kmsg gives it: `6,1234,5678901,-;text`. */
export function parseRecord(text: string): KernelRecord | undefined {
  const [, priority, sequence, monotonicUs, message] = /^(\d+),(\d+),(\d+),[^;]*;([^\n]*)/.exec(text) ?? [];
  if (priority === undefined || message === undefined) return undefined;
  return {
    sequence: Number(sequence),
    monotonicUs: Number(monotonicUs),
    message: message.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    isKernel: Number(priority) >> 3 === KERNEL_FACILITY,
  };
}

export interface KmsgOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The device was read from. */
  readonly opened: () => void;
  /** Records are gone that were not read. */
  readonly overwritten: () => void;
}

/** Reads once, as `readKmsg` does again and again; throws where that may not be. */
export async function tryKmsg(path: string, clock: Clock): Promise<void> {
  const trying = new AbortController();
  const nothing = () => undefined;
  const records = readKmsg(path, {
    clock,
    signal: trying.signal,
    opened: () => trying.abort(),
    overwritten: nothing,
  });
  await records.next();
  await records.return(undefined);
}

/**
 * The kernel's records from its own device, all that it still has and then those that come. Reading never blocks (a thread that
 * waits in the kernel could not be ended): it is looked every two seconds.
 */
export async function* readKmsg(
  path: string,
  { clock, signal, opened, overwritten }: KmsgOptions,
): AsyncGenerator<KernelRecord> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    while (!signal.aborted) {
      const text = await readRecord(file, overwritten);
      opened();
      if (text === undefined) await clock.sleep(POLL_MS, signal);
      for (const line of (text ?? "").split("\n")) {
        // Lines with details begin with a space, and are no records.
        const record = parseRecord(line);
        if (record?.isKernel) yield record;
      }
    }
  } finally {
    await file.close();
  }
}

/** Each read gives one record; undefined when there is none now. */
async function readRecord(file: FileHandle, overwritten: () => void): Promise<string | undefined> {
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(RECORD_BYTES_MAX), 0, RECORD_BYTES_MAX);
    return bytesRead === 0 ? undefined : buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    const code = errorCode(error);
    if (code === "EAGAIN" || code === "EWOULDBLOCK") return undefined;
    if (code !== "EPIPE") throw error;
    // The next read goes on with the oldest that is left.
    overwritten();
    return "";
  }
}
