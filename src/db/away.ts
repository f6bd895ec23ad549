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
];

/**
 * SQLSTATE 08: the connection failed; 57P: the server is going down or coming up; 53300: it has no connection left; 57014, 25P03:
 * a statement, or a transaction between two, took too long.
 */
const SQLSTATES = /^(08...|57P0[1-5]|53300|57014|25P03)$/;

/** Drizzle wraps what the driver throws. */
const CAUSES_MAX = 4;

/** Whether the database could not be reached, so that the same may work later; false for a mistake in what was asked. */
export function isDatabaseAway(error: unknown): boolean {
  let current = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth++) {
    const code = "code" in current ? String(current.code) : "";
    // A Unix socket that is not there.
    const isNoSocket = code === "ENOENT" && "syscall" in current && current.syscall === "connect";
    if (isNoSocket || CONNECTION_CODES.includes(code) || SQLSTATES.test(code)) return true;
    current = current.cause;
  }
  return false;
}
