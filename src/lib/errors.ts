/**
 * An expected failure. `reason` is a stable machine-readable word (`agent_offline`, `bad_gzip`), `message` is for people;
 * borders (the socket, HTTP, the command line) turn it into their own form of answer.
 */
export class OpsPilotError<Reason extends string = string> extends Error {
  readonly reason: Reason;

  constructor(reason: Reason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.reason = reason;
  }
}

/** Exit statuses of sysexits.h, so that a unit file or a script can tell a mistake in the settings from a crash. */
export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 64,
  unavailable: 69,
  cannotCreate: 73,
  noPermission: 77,
  config: 78,
} as const;

/** Why a command cannot go on: its message is shown to the person alone, without a stack trace, and it sets the exit status. */
export class StartupError extends OpsPilotError<"startup"> {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super("startup", message, options);
    this.exitCode = exitCode;
  }
}

const QUERY_CHARS_MAX = 200;

/**
 * The text of anything that was thrown, for a log field or a person. Of several errors at once it is that of each; of Drizzle's
 * "Failed query: …" it is the cause, and the query without what was put into it.
 */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(errorMessage).join("; ");
  // What went wrong first, and what did when that was cleaned up.
  if (error instanceof SuppressedError) return [error.suppressed, error.error].map(errorMessage).join("; then ");
  if (error instanceof Error && error.cause !== undefined && error.message.startsWith("Failed query: ")) {
    const query = error.message.split("\nparams: ")[0]?.slice(0, QUERY_CHARS_MAX).replace(/^F/, "f");
    return `${errorMessage(error.cause)} (${query})`;
  }
  if (typeof error !== "object" || error === null) return String(error);
  // Some libraries tell of an error by an object that was made of it.
  return "message" in error && typeof error.message === "string" ? error.message : Bun.inspect(error, { depth: 1 });
}

/** The system's or a library's word for what went wrong ("ENOENT"). */
export function errorCode(error: unknown, unknown = "unknown error"): string {
  return error instanceof Error && "code" in error ? String(error.code) : unknown;
}

/** Holds what the types cannot say. Throws an Error with the message when the condition is false. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Makes the compiler refuse a `switch` that forgets a case of its union. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}

/** How a delivery failed. `later`: refused for now (try after `retryAfterMs`); `never`: refused for good; `unknown`: nobody knows whether it came through. */
export class DeliveryError extends Error {
  constructor(
    readonly reason: "later" | "never" | "unknown",
    message: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = "DeliveryError";
  }
}
