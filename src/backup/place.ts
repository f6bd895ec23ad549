import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Writable } from "node:stream";
import { syncPath } from "../lib/durable.ts";

/** Where a backup is, or will be. */
export interface Place {
  /** For people. */
  readonly name: string;
  /** What `fill` writes is there under its name once this resolves, all of it; else nothing is, or what was there before. */
  write(fill: (sink: Writable) => Promise<void>): Promise<void>;
  /** From its beginning; may be asked for again. */
  read(): AsyncIterable<Uint8Array>;
}

/** A file that only its owner may read. */
export function filePlace(path: string): Place {
  return {
    name: path,
    async write(fill) {
      const temporary = `${path}.part-${randomBytes(4).toString("hex")}`;
      const sink = createWriteStream(temporary, { mode: 0o600, flags: "wx" });
      // Else it might be made after it was cleared away.
      await once(sink, "open");
      try {
        await fill(sink);
        await syncPath(temporary);
        await rename(temporary, path);
        await syncPath(dirname(path));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    read: () => createReadStream(path),
  };
}
