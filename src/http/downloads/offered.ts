import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../lib/errors.ts";
import { executableName, type Platform } from "../../protocol/platforms.ts";

/** The file of the process that runs, even when another has its name by now: an upgrade is not handed out before it runs. */
const OWN_PATH = "/proc/self/exe";
/** So much is read at once; the event loop turns between. */
const PIECE_BYTES = 1024 * 1024;

/** An executable that is handed out, opened. Whoever has it closes it. */
export interface Offered {
  readonly path: string;
  readonly file: FileHandle;
  readonly sizeBytes: number;
  /** SHA-256, hex. */
  readonly digest: string;
}

export interface OfferDeps {
  /** What this server's own executable was built for; undefined in a source checkout, which has none. */
  readonly own: Platform | undefined;
  /** DOWNLOADS_DIR: executables for other platforms. */
  readonly folder: string | null;
}

/** Opens the executable for a platform; undefined where there is none. */
export type FindOffered = (platform: Platform) => Promise<Offered | undefined>;

/** Its own executable for its own platform, what lies in the folder for others. Each digest is made once. */
export function createOffer({ own, folder }: OfferDeps): FindOffered {
  const digests = new Map<Platform, { identity: string; digest: Promise<string> }>();

  async function digestOf(platform: Platform, file: FileHandle, identity: string): Promise<string> {
    const known = digests.get(platform);
    if (known?.identity === identity) return known.digest;
    const made = { identity, digest: digestFile(file) };
    digests.set(platform, made);
    made.digest.catch(() => {
      if (digests.get(platform) === made) digests.delete(platform);
    });
    return made.digest;
  }

  return async (platform) => {
    const path = pathFor(platform);
    if (path === undefined) return undefined;
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    try {
      const { dev, ino, size, mtimeMs } = await file.stat();
      const digest = await digestOf(platform, file, [dev, ino, size, mtimeMs].join(":"));
      return { path, file, sizeBytes: size, digest };
    } catch (error) {
      await file.close();
      throw error;
    }
  };

  function pathFor(platform: Platform): string | undefined {
    if (platform === own) return OWN_PATH;
    return folder === null ? undefined : join(folder, executableName(platform));
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function digestFile(file: FileHandle): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of piecesOf(file, 0, Number.POSITIVE_INFINITY)) hasher.update(piece);
  return hasher.digest("hex");
}

/** The file's bytes from `start` up to `end`, which is not among them, piece by piece. */
export async function* piecesOf(file: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = start; at < end; ) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, end - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}
