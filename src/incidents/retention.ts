import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";

const INTERVAL_MS = 3_600_000;

export interface RetentionDeps {
  /** Each deletes a chunk of what is too old and says how many rows that were; called until it says none. */
  deletions: readonly ((retentionMs: number) => Promise<number>)[];
  retentionMs: number;
  clock: Clock;
  log: Log;
}

/** Forgets what is older than RETENTION, once an hour. Several nodes may do so at once: rows taken by one are skipped. */
export function startRetention({ deletions, retentionMs, clock, log }: RetentionDeps): Running {
  const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, "old rows could not be deleted");
  return repeat(clock, INTERVAL_MS, () => forget(deletions, retentionMs), failed);
}

/** Deletes everything that is too old. */
export async function forget(deletions: RetentionDeps["deletions"], retentionMs: number): Promise<void> {
  for (const deletion of deletions) {
    while ((await deletion(retentionMs)) > 0);
  }
}
