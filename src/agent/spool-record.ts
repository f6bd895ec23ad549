import type { Envelope } from "../protocol/frames.ts";

/** A frame that is to reach the server, but for what belongs to the moment of sending. */
export interface SpoolFrame {
  /** The frame's id: with it the server knows a repetition. */
  readonly id: string;
  readonly type: "alert" | "result";
  /** The payload as the envelope has it. */
  readonly data: string;
  readonly compression: Envelope["compression"];
  /** The same for alerts that say the same: which of them can be spared. */
  readonly key: number;
}

const CHECKSUM_CHARS = 8;
const NEWLINE = "\n";

/**
 * A frame as a line: the CRC-32 of the rest, a space, JSON. A line that was not written to its end, or that the disk has
 * changed, is thereby known, and the next line is found all the same.
 */
export function encodeRecord(frame: SpoolFrame): string {
  const { id, type, data, compression, key } = frame;
  const json = JSON.stringify({ id, type, data, compression, key });
  return `${checksumOf(json)} ${json}${NEWLINE}`;
}

/** The frame of a line (without its newline), or undefined when the line is damaged. */
export function decodeRecord(line: string): SpoolFrame | undefined {
  const json = line.slice(CHECKSUM_CHARS + 1);
  if (line.slice(0, CHECKSUM_CHARS) !== checksumOf(json)) return undefined;
  // The checksum says that this is what was written.
  return JSON.parse(json) as SpoolFrame;
}

function checksumOf(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(CHECKSUM_CHARS, "0");
}
