import { statfs } from "node:fs/promises";

/** What is left on a file system for those who are not root. */
export interface Room {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Of the file system that a path lies on. */
export async function readRoom(path: string): Promise<Room> {
  const { bavail, bfree, blocks, bsize } = await statfs(path);
  // What is kept back for root counts as taken: the database does not run as root.
  return { freeBytes: bavail * bsize, sizeBytes: (blocks - (bfree - bavail)) * bsize };
}
