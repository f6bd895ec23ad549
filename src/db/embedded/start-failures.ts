import { statfsSync } from "node:fs";
import { ExitCode, errorCode, errorMessage, StartupError } from "../../lib/errors.ts";

/** PostgreSQL adds to its files in pieces of this size. */
const FULL_BYTES = 16 * 1024 * 1024;

/** What the system says about a place where nothing can be put, in words for people. */
const STORAGE_ERRORS: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOTDIR: "a part of the path is no directory",
  EIO: "the disk fails",
  ENAMETOOLONG: "the path is too long",
};

/** The built-in database cannot be had: something is wrong with its directory or its files. */
export function cannotCreate(message: string, cause?: unknown): StartupError {
  return new StartupError(message, ExitCode.cannotCreate, { cause });
}

/** The built-in database must not be touched: it belongs to someone else. */
export function refused(message: string): StartupError {
  return new StartupError(message, ExitCode.config);
}

/** Any error while `what` was tried, as one that a person can act on. */
export function asStartupError(what: string, error: unknown): StartupError {
  if (error instanceof StartupError) return error;
  return cannotCreate(`${what}: ${STORAGE_ERRORS[errorCode(error)] ?? errorMessage(error)}`, error);
}

/** Whether that is why something failed there, or said this: programs do not always get to say it. */
export function isDiskFull(directory: string, output = ""): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < FULL_BYTES || /No space left on device|Disk quota exceeded/.test(output);
}
