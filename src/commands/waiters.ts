import type { Clock } from "../lib/clock.ts";
import type { Command } from "./model.ts";

/** A notice may be missed; then the row is read again after this. */
const POLL_MS = 500;

/** Waiting for a command's row to reach a state: woken by notices, and by a slow poll that does not depend on them. */
export function createWaiters(clock: Clock, read: (id: string) => Promise<Command | undefined>) {
  const sleeping = new Map<string, Set<AbortController>>();

  async function nap(id: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
    const alarm = new AbortController();
    const alarms = sleeping.get(id) ?? new Set();
    sleeping.set(id, alarms.add(alarm));
    await clock.sleep(ms, signal ? AbortSignal.any([signal, alarm.signal]) : alarm.signal);
    alarms.delete(alarm);
    if (alarms.size === 0) sleeping.delete(id);
  }

  return {
    /** The row once it `holds`, or as it is after `limitS` seconds, or when the signal aborts. */
    async until(
      id: string,
      holds: (command: Command) => boolean,
      limitS: number,
      signal?: AbortSignal,
    ): Promise<Command | undefined> {
      const endMs = clock.monotonicMs() + limitS * 1000;
      for (;;) {
        const command = await read(id);
        const leftMs = endMs - clock.monotonicMs();
        if (!command || holds(command) || leftMs <= 0 || signal?.aborted) return command;
        await nap(id, Math.min(leftMs, POLL_MS), signal);
      }
    },
    wake(id: string): void {
      for (const alarm of sleeping.get(id) ?? []) alarm.abort();
    },
  };
}
