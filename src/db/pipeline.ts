/**
 * Waits for statements of one transaction that were sent together, also after one has failed: nothing is left behind that could be
 * sent past the rollback. Rejects with the failure that comes first in the list; the others are what that one made of the transaction.
 */
export async function allSent<const T extends readonly Promise<unknown>[]>(
  statements: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  for (const outcome of await Promise.allSettled(statements)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
  return Promise.all(statements);
}
