import { dlopen } from "bun:ffi";
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

const SHARED = 1;
const EXCLUSIVE = 2;
const DO_NOT_WAIT = 4;

/** A lock on a file that the kernel lets go of when the process ends, however it ends. */
export interface FileLock {
  /** Writes who holds it, for whoever finds it taken. */
  describe(text: string): void;
  release(): void;
}

/**
 * Takes the lock (flock(2), which Node has no call for), or gives undefined when someone else has it. A lock file is never
 * removed: another process may be about to lock the very file that is being deleted. Throws when the file cannot be made.
 */
export function tryLock(path: string, mode: "exclusive" | "shared" = "exclusive"): FileLock | undefined {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  if (process.getuid?.() === 0) giveToOwnerOf(dirname(path), file);
  if (!flock(file, (mode === "shared" ? SHARED : EXCLUSIVE) | DO_NOT_WAIT)) {
    closeSync(file);
    return undefined;
  }
  let isHeld = true;
  return {
    describe: (text) => {
      ftruncateSync(file);
      writeSync(file, text, 0);
    },
    release: () => {
      if (isHeld) closeSync(file);
      isHeld = false;
    },
  };
}

/** A command that root runs now and again leaves nothing that the directory's user could not lock. */
function giveToOwnerOf(directory: string, file: number): void {
  const { uid, gid } = statSync(directory);
  if (fstatSync(file).uid !== uid) fchownSync(file, uid, gid);
}

/** What the holder wrote. */
export function lockDescription(path: string): string {
  return readFileSync(path, "utf8").trim();
}

function flock(file: number, operation: number): boolean {
  const library = dlopen("libc.so.6", { flock: { args: ["int", "int"], returns: "int" } });
  const isTaken = library.symbols.flock(file, operation) === 0;
  library.close();
  return isTaken;
}
