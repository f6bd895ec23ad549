import { NO_HOST } from "./hosts.ts";

/** The driver's and the system's words for a connection that broke or could not be made. */
const CONNECTION_CODES = [
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECTION_SILENT",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  NO_HOST,
];

/**
 * SQLSTATE 08: the connection failed; 25006: it is a standby now; 28, 3D: nobody is let in just now; 53: it has no memory, disk or
 * connection left; 57: going down or coming up, or a statement took too long, 25P03 a transaction between two; 58: its system fails.
 */
const SQLSTATES = /^(?:(?:08|28|3D|53|57|58)[\dA-Z]{3}|25006|25P03)$/;

/** Drizzle wraps what the driver throws. */
const CAUSES_MAX = 4;

/** The error that PostgreSQL answered with, also where somebody wrapped it: its SQLSTATE; undefined when it was not PostgreSQL. */
export function sqlStateOf(error: unknown): string | undefined {
  const answer = causesOf(error).find((cause) => cause.name === "PostgresError");
  return answer && "code" in answer ? String(answer.code) : undefined;
}

/** Whether the database could not be reached, so that the same may work later; false for a mistake in what was asked. */
export function isDatabaseAway(error: unknown): boolean {
  return causesOf(error).some((cause) => {
    const code = "code" in cause ? String(cause.code) : "";
    // A Unix socket that is not there.
    const isNoSocket = code === "ENOENT" && "syscall" in cause && cause.syscall === "connect";
    return isNoSocket || CONNECTION_CODES.includes(code) || SQLSTATES.test(code);
  });
}

function causesOf(error: unknown): Error[] {
  const causes: Error[] = [];
  for (let current = error; causes.length < CAUSES_MAX && current instanceof Error; current = current.cause)
    causes.push(current);
  return causes;
}
