import { uptime } from "node:os";
import { OpsPilotError } from "./errors.ts";

/** Where time comes from, so that a test can set it. */
export interface Clock {
  /** Wall-clock time, Unix milliseconds. */
  now(): number;
  /**
   * Milliseconds that never run backwards, since about the start of the machine; only differences mean something, to another
   * process of that start within a second.
   */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as the signal aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. */
export function createSystemClock(): Clock {
  const startedMs = uptime() * 1000 - performance.now();
  return { now: Date.now, monotonicMs: () => startedMs + performance.now(), sleep };
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Whether the work ends before `limitMs` are over or the signal aborts; it goes on where it does not. Rejects as it does. */
export async function endsWithin(
  clock: Clock,
  limitMs: number,
  work: Promise<unknown>,
  signal?: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  const limit = clock.sleep(limitMs, signal ? AbortSignal.any([over.signal, signal]) : over.signal);
  try {
    return await Promise.race([work.then(() => true), limit.then(() => false)]);
  } finally {
    over.abort();
  }
}

/** Resolves when the signal aborts, or has. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A wait that was given up. */
export class DeadlineError extends OpsPilotError<"deadline"> {
  constructor(what: string, limitMs: number) {
    super("deadline", `${what} did not finish within ${limitMs} ms`);
  }
}

/**
 * The promise's outcome, or a DeadlineError after `limitMs`. The work itself goes on: whoever calls must be able to bear
 * that, or end it. A rejection that comes after the deadline is handed to `late`, never dropped.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  limitMs: number,
  what: string,
  late: (error: unknown) => void,
): Promise<T> {
  let expired = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      expired = true;
      reject(new DeadlineError(what, limitMs));
    }, limitMs);
  });
  work.catch((error) => {
    if (expired) late(error);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** How the wait between tries grows. */
export interface BackoffOptions {
  minMs: number;
  maxMs: number;
}

/**
 * The wait before try `attempt` (0 is the first repetition), in milliseconds: doubling from minMs to maxMs, with "equal
 * jitter" (half fixed, half random), so that many clients do not come back in step.
 */
export function backoffMs(attempt: number, { minMs, maxMs }: BackoffOptions): number {
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return ceilingMs / 2 + Math.random() * (ceilingMs / 2);
}
