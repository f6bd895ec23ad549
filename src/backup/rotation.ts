import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** The names that are given here, and no others: their order is that of time. */
const NAME = /^opspilot-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.tar\.zst$/;

/** A backup's path in a directory of backups. */
export function datedPath(directory: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return join(directory, `opspilot-${time}Z.tar.zst`);
}

/** What a backup that was killed has left. */
const UNFINISHED = /^opspilot-[\dT-]{19}Z\.tar\.zst\.part-[\da-f]{8}$/;
/** No backup takes as long. */
const UNFINISHED_MS_MAX = 86_400_000;

/**
 * Deletes the oldest backups of the directory, so that `keep` are left, and what others that were killed have left for more than a day; other
 * files are left alone. Returns which backups are gone.
 */
export async function deleteOldest(directory: string, keep: number): Promise<string[]> {
  const all = await readdir(directory);
  for (const path of all.filter((name) => UNFINISHED.test(name)).map((name) => join(directory, name)))
    if (Date.now() - (await stat(path)).mtimeMs > UNFINISHED_MS_MAX) await rm(path, { force: true });
  const names = all.filter((name) => NAME.test(name)).sort();
  const old = names.slice(0, Math.max(0, names.length - keep)).map((name) => join(directory, name));
  for (const path of old) await rm(path);
  return old;
}
