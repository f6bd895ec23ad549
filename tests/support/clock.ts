import { type Clock, createSystemClock } from "../../src/lib/clock.ts";

/** A host's clock that may be put back, or forward by a negative number, while time goes on. */
export interface SettableClock extends Clock {
  setBack(ms: number): void;
}

/** The real one, at first. */
export function createSettableClock(): SettableClock {
  const clock = createSystemClock();
  let backMs = 0;
  return {
    ...clock,
    now: () => clock.now() - backMs,
    setBack(ms) {
      backMs += ms;
    },
  };
}

/** A clock that stands still until a test moves it. */
export interface TestClock extends SettableClock {
  /** Moves both clocks on, in steps of a second so that repeated work runs as often as it would. */
  advance(ms: number): Promise<void>;
  /** Moves both clocks on at once: who sleeps wakes once, at that time. For work that does real reading and writing between. */
  leap(ms: number): void;
}

/** Starts at a fixed moment. */
export function createTestClock(startMs = 1_706_140_800_000): TestClock {
  let elapsedMs = 0;
  let backMs = 0;
  const sleepers = new Set<{ untilMs: number; wake: () => void }>();

  function leap(ms: number): void {
    elapsedMs += ms;
    for (const sleeper of sleepers) if (sleeper.untilMs <= elapsedMs) sleeper.wake();
  }

  async function step(ms: number): Promise<void> {
    leap(ms);
    // Lets what was woken run, and fall asleep again.
    await new Promise((resolve) => setImmediate(resolve));
  }

  return {
    now: () => startMs + elapsedMs - backMs,
    monotonicMs: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const wake = () => {
          sleepers.delete(sleeper);
          resolve();
        };
        const sleeper = { untilMs: elapsedMs + ms, wake };
        if (signal?.aborted || ms <= 0) return resolve();
        sleepers.add(sleeper);
        signal?.addEventListener("abort", wake, { once: true });
      }),
    async advance(ms) {
      for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) await step(Math.min(leftMs, 1_000));
    },
    leap,
    setBack(ms) {
      backMs += ms;
    },
  };
}
