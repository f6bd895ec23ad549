/** Limits are for a machine of one's own: a busy one takes several times as long, and what never comes fails all the same. */
const BUSY_FACTOR = 4;
const LIMIT_MS = 10_000;

/**
 * Waits until `condition` gives something true, and returns that; fails after `ms`, or what a busy machine makes of it. It is asked each
 * `everyMs`: less often where the question itself costs something.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { ms?: number; what?: string; everyMs?: number } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { ms = LIMIT_MS, what = condition.toString(), everyMs = 5 } = options;
  const startMs = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (performance.now() - startMs > ms * BUSY_FACTOR) throw new Error(`not within ${ms * BUSY_FACTOR} ms: ${what}`);
    await Bun.sleep(everyMs);
  }
}
