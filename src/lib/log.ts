import pino, { type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";

/** The logger that is handed down: a fixed message and fields, no secret, no payload. */
export type Log = Logger;

/** From most to nothing. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** JSON lines on standard output, or readable ones where a person looks at a terminal. Writes are synchronous: what was
 * logged before a crash is there after it. */
export function createLog(options: { level: LogLevel; readable: boolean; destination?: DestinationStream }): Log {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
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
