/** Works that belong together: the first that ends, well or badly, ends the others, and is waited for like they are. */
export async function endTogether(works: readonly Promise<void>[], ending: AbortController): Promise<void> {
  try {
    await Promise.race(works);
  } finally {
    ending.abort();
    await Promise.allSettled(works);
  }
}
