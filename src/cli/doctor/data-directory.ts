import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errorMessage } from "../../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../../lib/finding.ts";

const MIB = 2 ** 20;
/** PostgreSQL stops when it cannot write its log. */
const FREE_BYTES_MIN = 256 * MIB;
/** A storm of alerts fills some hundred MB an hour. */
const FREE_BYTES_DOUBTFUL = 2048 * MIB;
const FREE_FILES_MIN = 1_000;

/** Whether the data directory can be written to, or made, and how much room is left there. Nothing is made. */
export function checkDataDirectory(dataDir: string): Finding[] {
  const place = nearestExisting(dataDir);
  const problem = objectionTo(place);
  const what = place === dataDir ? dataDir : `${dataDir} (not there yet, to be made in ${place})`;
  const todo = `give this user the right to write there (chown), or set OPSPILOT_DATA_DIR`;
  const directory =
    problem === undefined ? fine("data directory", what) : broken("data directory", `${what}: ${problem}`, todo);
  return [directory, checkDisk(place)];
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

function objectionTo(path: string): string | undefined {
  if (!statSync(path).isDirectory()) return "is no directory";
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

function checkDisk(path: string): Finding {
  const { bavail, bsize, ffree, files } = statfsSync(path);
  const freeBytes = bavail * bsize;
  const text = `${Math.floor(freeBytes / MIB)} MiB are free for ${path}`;
  const todo = "make room, move the directory (OPSPILOT_DATA_DIR), or keep less (RETENTION)";
  // Some file systems have no fixed number of files.
  if (files > 0 && ffree < FREE_FILES_MIN) return broken("disk", `only ${ffree} more files can be made on it`, todo);
  if (freeBytes < FREE_BYTES_MIN) return broken("disk", text, todo);
  return freeBytes < FREE_BYTES_DOUBTFUL ? doubtful("disk", text, todo) : fine("disk", text);
}
