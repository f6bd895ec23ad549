import type { Clock } from "../lib/clock.ts";

/** Questions to a model that are under way at once, to begin with. */
const SLOTS_AT_FIRST = 4;
/** And at most; so many jobs ask. */
export const SLOTS_MAX = 8;

export interface SlotsOptions {
  /** What a call may take. */
  timeoutMs: number;
  clock: Clock;
}

/**
 * How many questions a model is asked at once. A local model has one slot, and lets all others wait until they are too late: after
 * a question that timed out beside others one is asked at a time, and more again while answers come so fast that all of them would
 * come in time even one after another. Who waits for a slot comes in order.
 */
export function createSlots({ timeoutMs, clock }: SlotsOptions) {
  const line: (() => void)[] = [];
  let limit = SLOTS_AT_FIRST;
  let taken = 0;

  function callNext(): void {
    while (taken < limit && line.length > 0) {
      taken++;
      line.shift()?.();
    }
  }

  /** False when the signal aborted first. */
  async function wait(signal: AbortSignal): Promise<boolean> {
    const called = Promise.withResolvers<boolean>();
    const enter = () => called.resolve(true);
    const leave = () => {
      const at = line.indexOf(enter);
      if (at >= 0) line.splice(at, 1);
      called.resolve(false);
    };
    line.push(enter);
    callNext();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await called.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  function learn(isTimeout: boolean, tookMs: number): void {
    if (isTimeout && taken > 1) limit = 1;
    else if (!isTimeout && (tookMs * (limit + 1)) / limit <= timeoutMs / 2) limit = Math.min(SLOTS_MAX, limit + 1);
  }

  return {
    /** Whether more than one question is under way. */
    isCrowded: () => taken > 1,
    /** Does the work in a slot; undefined when the signal aborted before there was one. */
    async use<T>(
      work: () => Promise<T>,
      isTimeout: (result: T) => boolean,
      signal: AbortSignal,
    ): Promise<T | undefined> {
      if (!(await wait(signal))) return undefined;
      try {
        const startMs = clock.monotonicMs();
        const result = await work();
        learn(isTimeout(result), clock.monotonicMs() - startMs);
        return result;
      } finally {
        taken--;
        callNext();
      }
    },
  };
}

export type Slots = ReturnType<typeof createSlots>;

/** How long a question may take, waiting included, seconds: each of those before it may take the whole time, twice. */
export function longestAskS(timeoutMs: number): number {
  return Math.ceil((timeoutMs / 1000) * 2 * SLOTS_MAX);
}
