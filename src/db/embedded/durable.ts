import { dlopen } from "bun:ffi";
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Makes the directory's entry, or the file's bytes, survive a power cut. */
export function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Makes a whole tree survive a power cut, by one syncfs(2) of its file system, which Node has no call for: a thousand small
 * files flushed one by one take seconds on the disks of usual virtual machines.
 */
export function syncFileSystem(path: string): void {
  const library = dlopen("libc.so.6", { syncfs: { args: ["int"], returns: "int" } });
  const file = openSync(path, "r");
  try {
    if (library.symbols.syncfs(file) !== 0) throw new Error(`${path} cannot be written to its disk`);
  } finally {
    closeSync(file);
    library.close();
  }
}

/** Gives a finished file or directory its name: whoever looks finds all of it or nothing. */
export function publish(temporary: string, path: string): void {
  renameSync(temporary, path);
  syncPath(dirname(path));
}

/** A small file that only its owner may read, whole or not at all. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
  syncPath(temporary);
  publish(temporary, path);
}

/** Removes what is in the directory, or of that what begins with `prefix`. */
export function removeContent(directory: string, prefix = ""): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(prefix)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}
