import type { Log } from "./log.ts";

/** What must be undone, in reverse order of its making. */
export interface Cleanups {
  add(what: string, cleanup: () => Promise<void>): void;
  /** Runs all, once; one that fails is logged and holds up none of the others. Never rejects. */
  run(): Promise<void>;
}

/** An empty list of cleanups. */
export function createCleanups(log: Log): Cleanups {
  const steps: { what: string; cleanup: () => Promise<void> }[] = [];
  let running: Promise<void> | undefined;

  async function runAll(): Promise<void> {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await step.cleanup();
      } catch (error) {
        log.error({ error, what: step.what }, "stopping failed");
      }
    }
  }

  return {
    add: (what, cleanup) => void steps.push({ what, cleanup }),
    run: () => {
      running ??= runAll();
      return running;
    },
  };
}
