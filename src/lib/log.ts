import { writeSync } from "node:fs";
import pino, { type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";
import { errorCode } from "./errors.ts";

/** The logger that is handed down: a fixed message and fields, no secret, no payload. */
export type Log = Logger;

/** From most to nothing. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines that wait while they cannot be written; what comes after them is lost, and counted. */
const WAITING_BYTES_MAX = 1_048_576;
const TRY_AGAIN_MS = 500;
const STDOUT = 1;

/** JSON lines on standard output, or readable ones where a person looks at a terminal. Writes are synchronous: what was
 * logged before a crash is there after it. */
export function createLog(options: { level: LogLevel; readable: boolean; destination?: DestinationStream }): Log {
  const destination = options.destination ?? createLineWriter((bytes) => writeSync(STDOUT, bytes));
  const stream = options.readable
    ? pretty({ destination: destination as never, sync: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss" })
    : destination;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    stream,
  );
}

/**
 * Writes lines at once. Where that fails (a log file's disk is full, nobody reads the pipe) they wait until there is room again: the
 * log is no reason to end. pino's own destination throws where nobody catches it, and waits without end for a fatal line.
 */
export function createLineWriter(write: (bytes: Uint8Array) => number): DestinationStream {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let lost = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function add(line: string): void {
    const bytes = Buffer.from(line);
    waiting.push(bytes);
    waitingBytes += bytes.length;
  }

  function drain(): boolean {
    try {
      for (let [first] = waiting; first; [first] = waiting) {
        const written = write(first);
        waitingBytes -= written;
        if (written < first.length) waiting[0] = first.subarray(written);
        else waiting.shift();
      }
      return true;
    } catch (error) {
      // Nobody will ever read it.
      if (errorCode(error) === "EPIPE") {
        waiting = [];
        waitingBytes = 0;
      }
      return false;
    }
  }

  function drainLater(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      settle();
    }, TRY_AGAIN_MS);
    timer.unref();
  }

  function settle(): void {
    if (!drain()) drainLater();
    else if (lost > 0) {
      const line = {
        level: "warn",
        time: new Date().toISOString(),
        lines: lost,
        msg: "log lines could not be written",
      };
      lost = 0;
      add(`${JSON.stringify(line)}\n`);
      settle();
    }
  }

  return {
    write(line) {
      if (waitingBytes + line.length > WAITING_BYTES_MAX) lost++;
      else add(line);
      if (timer === undefined) settle();
    },
  };
}
