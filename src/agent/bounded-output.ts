import { keepEnds } from "../protocol/text.ts";

/** Takes what a program writes, however much, in bounded memory. */
export interface BoundedOutput {
  push(bytes: Uint8Array): void;
  /** All of it, or its head and tail with a line between them that says how much is missing. */
  text(): string;
}

/** Room for the mark between head and tail. */
const MARK_BYTES_MAX = 64;

/** Keeps `limitBytes` of UTF-8 at most, both ends cut between characters. */
export function createBoundedOutput(limitBytes: number): BoundedOutput {
  const tail = Buffer.alloc(limitBytes);
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let totalBytes = 0;

  function pushTail(bytes: Uint8Array, startByte: number): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - limitBytes));
    const at = (startByte + bytes.length - kept.length) % limitBytes;
    const first = kept.subarray(0, limitBytes - at);
    tail.set(first, at);
    tail.set(kept.subarray(first.length), 0);
  }

  function lastBytes(count: number): Buffer {
    const end = totalBytes % limitBytes;
    return Buffer.concat([tail.subarray(end), tail.subarray(0, end)]).subarray(limitBytes - count);
  }

  function cut(): string {
    const endBytes = (limitBytes - MARK_BYTES_MAX) >> 1;
    const start = wholeCharacters(Buffer.concat(head).subarray(0, endBytes));
    const end = fromCharacter(lastBytes(endBytes));
    return `${start.toString()}\n[... ${totalBytes - start.length - end.length} bytes left out ...]\n${end.toString()}`;
  }

  return {
    push(bytes) {
      pushTail(bytes, totalBytes);
      totalBytes += bytes.length;
      if (headBytes >= limitBytes) return;
      // A copy: the reader may use its buffer again.
      const part = Uint8Array.from(bytes.subarray(0, limitBytes - headBytes));
      head.push(part);
      headBytes += part.length;
    },
    // What is no UTF-8 grows by being decoded.
    text: () => keepEnds(totalBytes <= limitBytes ? Buffer.concat(head).toString() : cut(), limitBytes),
  };
}

const CHARACTER_BYTES_MAX = 4;

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Without the beginning of a character at the end. */
function wholeCharacters(bytes: Buffer): Buffer {
  let lead = bytes.length - 1;
  while (lead > bytes.length - CHARACTER_BYTES_MAX && lead > 0 && isContinuation(bytes[lead])) lead--;
  return lead + lengthFrom(bytes[lead] ?? 0) > bytes.length ? bytes.subarray(0, lead) : bytes;
}

/** Without the rest of a character at the beginning. */
function fromCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < CHARACTER_BYTES_MAX - 1 && isContinuation(bytes[start])) start++;
  return bytes.subarray(start);
}

function lengthFrom(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}
