import { ExitCode, errorMessage, OpsPilotError, StartupError } from "../lib/errors.ts";

/** Tells a person on standard error what went wrong, and returns the exit status for it. */
export function report(error: unknown): number {
  process.stderr.write(`opspilot: ${textOf(error)}\n`);
  if (error instanceof StartupError) return error.exitCode;
  return isSystemError(error) && error.code === "ENOSPC" ? ExitCode.cannotCreate : ExitCode.failure;
}

/** What was expected, or what the system says, needs no stack trace; a surprise does. */
function textOf(error: unknown): string {
  if (isSystemError(error) && error.code === "ENOSPC") return `no space is left on the disk (${error.message})`;
  if (error instanceof OpsPilotError || isSystemError(error) || !(error instanceof Error)) return errorMessage(error);
  return error.stack ?? error.message;
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
