/** Waits until `condition` gives something true, and returns that; fails after `ms`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { ms?: number; what?: string } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { ms = 5_000, what = condition.toString() } = options;
  const startMs = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (performance.now() - startMs > ms) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
