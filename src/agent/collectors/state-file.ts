import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode, errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";

/** What a collector must still know after a restart: how far it has read, and what it has reported as broken. */
export interface StateFile<State> {
  /** What was saved last; undefined at the first start, or when the file is none of ours. */
  load(): State | undefined;
  /** Replaces it as a whole. A failure is told and borne: after a restart some things would be looked at again. */
  save(state: State): void;
}

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** A small JSON file. Its writes are synchronous: it is a few kilobytes, and what was saved is saved before anything else happens. */
export function openStateFile<State>(
  path: string,
  isState: (value: unknown) => value is State,
  log: Log,
): StateFile<State> {
  let isFailing = false;

  function noteFailure(error: unknown): void {
    if (!isFailing) log.warn({ path, error: errorMessage(error) }, "a collector's state cannot be saved");
    isFailing = true;
  }

  return {
    load() {
      const value = readJson(path, log);
      return isState(value) ? value : undefined;
    },
    save(state) {
      try {
        mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
        const temporary = `${path}.new`;
        writeFileSync(temporary, JSON.stringify(state), { mode: FILE_MODE });
        renameSync(temporary, path);
        isFailing = false;
      } catch (error) {
        noteFailure(error);
      }
    },
  };
}

function readJson(path: string, log: Log): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const isMissing = errorCode(error) === "ENOENT";
    if (!isMissing) log.warn({ path, error: errorMessage(error) }, "a collector's state cannot be read");
    return undefined;
  }
}
