/** Runs works side by side, `max` at a time; the others wait in the order in which they came. */
export type AtMost = <T>(work: () => Promise<T>) => Promise<T>;

/** So that thirty slow answers take as long as a few, and a thousand do not come at once. */
export function createAtMost(max: number): AtMost {
  let free = max;
  const waiting: (() => void)[] = [];

  async function enter(): Promise<void> {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else free++;
  }

  return async (work) => {
    await enter();
    try {
      return await work();
    } finally {
      leave();
    }
  };
}
