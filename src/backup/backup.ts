import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Database } from "../db/client.ts";
import { compressing, writeArchive } from "./archive.ts";
import { type Maker, withSnapshot } from "./dump-store.ts";
import type { Manifest } from "./model.ts";
import type { Place } from "./place.ts";

/** What was written. */
export interface Written {
  readonly manifest: Manifest;
  readonly bytes: number;
}

/** Writes all that the database has to the place, while it is in use. Nothing is there when this rejects, or is aborted. */
export function backUp(database: Database, maker: Maker, place: Place, stop: AbortSignal): Promise<Written> {
  return withSnapshot(database, maker, async (source) => {
    let manifest: Manifest | undefined;
    let bytes = 0;
    const archive = writeArchive(source);
    const counting = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    async function* entries() {
      manifest = yield* archive;
    }
    await place.write(async (sink) => {
      await pipeline(Readable.from(entries(), { objectMode: false }), compressing(), counting, sink, { signal: stop });
    });
    if (manifest === undefined) throw new Error("the archive has no end");
    return { manifest, bytes };
  });
}
