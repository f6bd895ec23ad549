/** A page of rows that were read with one more than it shows: the cursor of the next page is its last row's id, where there is one more. */
export function cutPage<T extends { readonly id: string | number }>(
  found: readonly T[],
  limit: number,
): { rows: T[]; nextCursor?: T["id"] } {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return found.length > limit && last ? { rows, nextCursor: last.id } : { rows };
}
