import { closeSync, copyFileSync, existsSync, openSync, readSync, statSync, truncateSync } from "node:fs";

/** What PostgreSQL writes to standard error goes to this file; with one older, twice that much is kept. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;
const TAIL_BYTES = 4096;
const TAIL_LINES = 5;

/** Moves a log that has grown big to `<path>.1`. Its writer, who appends, keeps the file open: so it is copied and cut. */
export function rotatePostgresLog(path: string): void {
  if (!existsSync(path) || statSync(path).size <= LOG_BYTES_MAX) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
}

/** The last lines, of those that came after the first `fromBytes` bytes. */
export function postgresLogTail(path: string, fromBytes: number): string {
  if (!existsSync(path)) return "";
  const sizeBytes = statSync(path).size;
  const from = Math.max(fromBytes > sizeBytes ? 0 : fromBytes, sizeBytes - TAIL_BYTES);
  const buffer = Buffer.alloc(sizeBytes - from);
  const file = openSync(path, "r");
  try {
    readSync(file, buffer, 0, buffer.length, from);
  } finally {
    closeSync(file);
  }
  return buffer.toString("utf8").trim().split("\n").slice(-TAIL_LINES).join("\n");
}
