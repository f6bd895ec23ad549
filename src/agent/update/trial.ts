/**
 * A new executable takes the place of the former one on trial:
 *
 * the former one gets the name `.previous` → `.trial` says which is on trial → the new one has the name → the service is started again →
 * the new one has a welcome of the server, and says so beside its connection → `.trial` is emptied.
 *
 * Whoever changes any of this holds `.trial` by a lock that ends with the process. So a `.trial` that says something and that nobody holds is
 * of an update that was killed; whoever finds it (each start of the service looks) keeps the new one where it had its welcome, and else
 * puts the former one back. All names are in one folder, and each change of a name is one rename.
 */
import { chmodSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { giveName, syncPath, syncPathNow } from "../../lib/durable.ts";
import { errorCode } from "../../lib/errors.ts";
import { type FileLock, tryLock } from "../../lib/file-lock.ts";
import { fieldsOf, jsonOf } from "../../lib/json.ts";
import { readConnectionStatus } from "../state-dir.ts";

/** What is on trial. */
export interface Trial {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

/** The names beside an executable that have to do with its updates. */
export function updatePaths(executable: string) {
  return {
    executable,
    /** The former one. */
    previous: `${executable}.previous`,
    /** What is to take its place. */
    next: `${executable}.next`,
    trial: `${executable}.trial`,
  };
}

export type UpdatePaths = ReturnType<typeof updatePaths>;

/** What is on trial by this executable's name; undefined for nothing, which is the rule. */
export function readTrial(executable: string): Trial | undefined {
  const { id, from, to } = fieldsOf(jsonOf(readIfThere(updatePaths(executable).trial)));
  if (typeof id !== "string" || typeof from !== "string" || typeof to !== "string") return undefined;
  return { id, from, to };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}

/** Holds the right to update; undefined while another process has it. */
export function holdUpdates({ trial }: UpdatePaths): FileLock | undefined {
  const lock = tryLock(trial);
  // The agent reads it as its own user.
  if (lock !== undefined) chmodSync(trial, 0o644);
  return lock;
}

/** Puts the next one in the executable's place, on trial. */
export async function beginTrial(paths: UpdatePaths, lock: FileLock, trial: Trial): Promise<void> {
  await giveName(paths.executable, paths.previous);
  lock.describe(JSON.stringify(trial));
  await syncPath(paths.trial);
  renameSync(paths.next, paths.executable);
  await syncPath(dirname(paths.executable));
}

/** It stays, or is gone: nothing is on trial any more. */
export function endTrial({ trial }: UpdatePaths, lock: FileLock): void {
  lock.describe("");
  syncPathNow(trial);
}

/** Gives the former one its name back. */
export async function putBack(paths: UpdatePaths): Promise<void> {
  await giveName(paths.previous, paths.executable);
}

/** What comes of an update that was killed. */
export type Settled = "nothing" | "under way" | "kept" | "put back";

/** Ends what an update that was killed has left, and says how. */
export async function settle(paths: UpdatePaths, statusPath: string): Promise<Settled> {
  if (readIfThere(paths.trial) === "") return "nothing";
  const lock = holdUpdates(paths);
  if (lock === undefined) return "under way";
  try {
    return await settleHeld(paths, lock, statusPath);
  } finally {
    lock.release();
  }
}

/** The same by who holds the right to update. */
export async function settleHeld(paths: UpdatePaths, lock: FileLock, statusPath: string): Promise<Settled> {
  const trial = readTrial(paths.executable);
  if (trial === undefined) return "nothing";
  const isGood = hadWelcome(statusPath, trial);
  if (!isGood) await putBack(paths);
  endTrial(paths, lock);
  return isGood ? "kept" : "put back";
}

/** Whether the one on trial has had a welcome of the server, as the agent itself wrote it down. */
export function hadWelcome(statusPath: string, { id }: Pick<Trial, "id">): boolean {
  return readConnectionStatus(statusPath)?.trial === id;
}
