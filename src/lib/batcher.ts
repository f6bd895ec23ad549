/**
 * Makes one call for many: items that are asked for in the same turn of the event loop, or while a call is under way, go
 * together, at most `max` at a time. `work` answers one result for each item, in order; its failure is that of each.
 */
export function createBatcher<Item, Result>(
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  options: { max: number },
): (item: Item) => Promise<Result> {
  interface Waiting {
    item: Item;
    resolve(result: Result): void;
    reject(error: unknown): void;
  }
  const waiting: Waiting[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, options.max);
      try {
        const results = await work(batch.map((entry) => entry.item));
        for (const [at, entry] of batch.entries()) entry.resolve(results[at] as Result);
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    isRunning = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (isRunning) return;
      isRunning = true;
      setImmediate(run);
    });
}
