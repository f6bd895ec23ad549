import { gunzipSync, type ZlibOptions } from "node:zlib";
import { GZIP_RATIO_MAX } from "./limits.ts";

/** Why there is no output: not gzip from the first byte to the last, or more output than the limit. */
export type GunzipFault = "bad_gzip" | "too_large";

/**
 * Decompresses gzip into at most `limitBytes`. Members are joined (RFC 1952), anything else after one is `bad_gzip`, at
 * every size; memory stays within the limit. Never throws.
 */
export function gunzip(bytes: Uint8Array<ArrayBuffer>, limitBytes: number): Uint8Array | GunzipFault {
  const isSmall = bytes.length * GZIP_RATIO_MAX <= limitBytes;
  return (isSmall ? gunzipSmall(bytes, limitBytes) : undefined) ?? gunzipBounded(bytes, limitBytes);
}

/** A header of 10 bytes, an empty block of 2, the trailer. */
const GZIP_BYTES_MIN = 20;
const TRAILER_BYTES = 8;

/**
 * The quick way, for what cannot expand beyond the limit: Bun's own function has no bound, stops after the first member
 * and ignores what follows. So its output counts only when the payload ends in that output's CRC-32 and length, and
 * nowhere earlier holds the same 8 bytes: the member, whose trailer Bun has verified, then ends where the payload does.
 */
function gunzipSmall(bytes: Uint8Array<ArrayBuffer>, limitBytes: number): Uint8Array | undefined {
  const trailerAt = bytes.length - TRAILER_BYTES;
  // Bun allocates what the trailer claims before it looks at the data.
  if (bytes.length < GZIP_BYTES_MIN || uint32At(bytes, trailerAt + 4) > limitBytes) return undefined;
  const output = tryGunzip(bytes);
  if (output === undefined || output.length !== uint32At(bytes, trailerAt + 4)) return undefined;
  if (Bun.hash.crc32(output) !== uint32At(bytes, trailerAt)) return undefined;
  const firstAt = Buffer.prototype.indexOf.call(bytes, bytes.subarray(trailerAt));
  return firstAt === trailerAt ? output : undefined;
}

function tryGunzip(bytes: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  try {
    return Bun.gunzipSync(bytes);
  } catch {
    return undefined;
  }
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  );
}

/** The bounded way, for all else; it joins members, but takes a zero byte after one for padding, whatever follows. */
export function gunzipBounded(bytes: Uint8Array, limitBytes: number): Uint8Array | GunzipFault {
  const options: ZlibOptions = { maxOutputLength: limitBytes, info: true };
  try {
    const { buffer, engine } = gunzipSync(bytes, options) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    return engine.bytesWritten === bytes.length ? buffer : "bad_gzip";
  } catch (error) {
    return (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE" ? "too_large" : "bad_gzip";
  }
}
