import { closeSync, fsyncSync, openSync } from "node:fs";
import { link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a file's bytes, or a directory's entries, survive a power cut. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The same, and everything else waits for it. */
export function syncPathNow(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Gives a file another name, too; whoever opens that has what had it before or this, whole. Both are on one file system. */
export async function giveName(from: string, to: string): Promise<void> {
  const temporary = `${to}.new`;
  await rm(temporary, { force: true });
  await link(from, temporary);
  await rename(temporary, to);
  // Where both were one file already, that has done nothing.
  await rm(temporary, { force: true });
  await syncPath(dirname(to));
}
