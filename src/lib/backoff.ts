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
