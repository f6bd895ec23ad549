import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** The names that are given here, and no others: their order is that of time. */
const NAME = /^opspilot-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.tar\.zst$/;

/** A backup's path in a directory of backups. */
export function datedPath(directory: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return join(directory, `opspilot-${time}Z.tar.zst`);
}

/** Deletes the oldest backups of the directory, so that `keep` are left; other files are left alone. Returns what is gone. */
export async function deleteOldest(directory: string, keep: number): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  const old = names.slice(0, Math.max(0, names.length - keep)).map((name) => join(directory, name));
  for (const path of old) await rm(path);
  return old;
}
