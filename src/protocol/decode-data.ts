import type { Envelope, FrameErrorReason } from "./frames.ts";
import { gunzip } from "./gunzip.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";

/** Why something is refused, for the error frame. */
export interface Refusal {
  ok: false;
  reason: FrameErrorReason;
  message: string;
}

/** The JSON text of a payload, and how long its UTF-8 is. */
export type DecodedData = { ok: true; text: string; sizeBytes: number } | Refusal;

/** Undoes base64, gzip and UTF-8 as the envelope says; of the result at most `limitBytes`. Never throws. */
export function decodeData(envelope: Envelope, limitBytes: number): DecodedData {
  const { data, compression } = envelope;
  if (data.length > FRAME_BYTES_MAX) return tooLarge(FRAME_BYTES_MAX);
  if (compression === "none" && startsAsObject(data)) return plainText(data);
  const bytes = decodeBase64(data);
  if (bytes === undefined) return { ok: false, reason: "bad_base64", message: "data: Expected base64" };
  const plain = compression === "gzip" ? gunzip(bytes, limitBytes) : bytes;
  if (plain === "too_large") return tooLarge(limitBytes);
  if (plain === "bad_gzip") {
    return { ok: false, reason: "bad_gzip", message: "data: Expected gzip, and nothing after it" };
  }
  return plain.length > limitBytes ? tooLarge(limitBytes) : decodeUtf8(plain);
}

function tooLarge(limitBytes: number): Refusal {
  return { ok: false, reason: "too_large", message: `data: Expected at most ${limitBytes} bytes` };
}

/** Every payload is an object, and base64 has no brace, so the first character tells plain JSON from base64. */
function startsAsObject(data: string): boolean {
  let at = 0;
  while (isJsonSpace(data.charCodeAt(at))) at++;
  return data.charCodeAt(at) === 0x7b;
}

function isJsonSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** The envelope's JSON may have escaped lone surrogates, which would pass the payload's JSON unseen. */
function plainText(data: string): DecodedData {
  return { ok: true, text: data.toWellFormed(), sizeBytes: Buffer.byteLength(data) };
}

const BASE64_OPTIONS = { alphabet: "base64", lastChunkHandling: "strict" } as const;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text, BASE64_OPTIONS);
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array): DecodedData {
  try {
    return { ok: true, text: utf8.decode(bytes), sizeBytes: bytes.length };
  } catch {
    return { ok: false, reason: "bad_payload", message: "data: Expected UTF-8" };
  }
}
