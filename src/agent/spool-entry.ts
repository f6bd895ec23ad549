import type { SpoolFrame } from "./spool-record.ts";

/** What is known of a record in memory. Kept small: there may be many. The frame itself is on disk. */
export interface Entry {
  readonly type: SpoolFrame["type"];
  readonly key: number;
  bytes: number;
  state: "waiting" | "in flight" | "done";
  /** Until it is on disk. */
  line: string | undefined;
  /** Where it is on disk. */
  segment: number;
  offset: number;
}

/** How much they take on disk. */
export function sumOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}
