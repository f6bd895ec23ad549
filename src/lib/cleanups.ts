import { DeadlineError, withDeadline } from "./clock.ts";
import { errorMessage } from "./errors.ts";
import type { Log } from "./log.ts";

/** What must be undone, in reverse order of its making. */
export function createCleanups(log: Log) {
  const steps: { what: string; cleanup: () => Promise<void>; limitMs: number | undefined }[] = [];
  let running: Promise<void> | undefined;

  async function runStep({ what, cleanup, limitMs }: (typeof steps)[number]): Promise<void> {
    const startedMs = performance.now();
    const tookMs = () => Math.round(performance.now() - startedMs);
    const late = (error: unknown) => log.debug({ error: errorMessage(error), what }, "a step of the stop failed late");
    try {
      const work = cleanup();
      await (limitMs === undefined ? work : withDeadline(work, limitMs, what, late));
      log.info({ what, tookMs: tookMs() }, "stopped");
    } catch (error) {
      if (error instanceof DeadlineError) log.error({ what, tookMs: tookMs() }, "stopping took too long, and is left");
      else log.error({ error, what, tookMs: tookMs() }, "stopping failed");
    }
  }

  async function runAll(): Promise<void> {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) await runStep(step);
  }

  return {
    /** `limitMs`: how long it may take before those that follow are held up no longer; without one, as long as it takes. */
    add: (what: string, cleanup: () => Promise<void>, limitMs?: number) => void steps.push({ what, cleanup, limitMs }),
    /** Runs all, once; one that fails, or takes too long, is logged and holds up none of the others. Never rejects. */
    run: (): Promise<void> => {
      running ??= runAll();
      return running;
    },
  };
}

export type Cleanups = ReturnType<typeof createCleanups>;
