import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { syncPathNow } from "../lib/durable.ts";
import type { Envelope } from "../protocol/frames.ts";
import type { Moment } from "./moments.ts";

/** After so much a new file is begun: what is read, rewritten or sent twice after a crash is at most about this. */
const SEGMENT_BYTES = 256 * 1024;

const FILE_NAME = /^(\d{12})\.spool$/;
const TEMPORARY = ".new";
const NEWLINE = 0x0a;

/** Where a record lies. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
  /** With its newline. */
  readonly bytes: number;
}

interface Open {
  readonly segment: number;
  readonly file: number;
}

const flush = promisify(fdatasync);

/**
 * The spool's files: `000000000001.spool` and so on, each written once from its beginning to its end, and removed
 * when none of its records is wanted any more. Nothing is ever appended to a file of an earlier process, whose end may
 * be torn. The directory is made when it is not there; throws what the system says when it cannot be used.
 */
export function openSegments(dir: string) {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const sizes = new Map<number, number>();
  let open: Open | undefined;
  let appending: number | undefined;
  let last = 0;
  /** The file that was read last: sending goes through one after the other. */
  let cached: { segment: number; content: Buffer } | undefined;

  const pathOf = (segment: number) => join(dir, `${String(segment).padStart(12, "0")}.spool`);

  function scan(visit: (position: Position, frame: SpoolFrame) => void): number {
    let damaged = 0;
    for (const segment of existing()) {
      const content = readFileSync(pathOf(segment));
      last = segment;
      sizes.set(segment, content.length);
      const { good, bad } = scanSegment(segment, content, visit);
      if (good === 0) remove(segment);
      damaged += bad;
    }
    return damaged;
  }

  function existing(): number[] {
    const names = readdirSync(dir);
    for (const name of names) if (name.endsWith(TEMPORARY)) rmSync(join(dir, name), { force: true });
    return names
      .flatMap((name) => FILE_NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((one, other) => one - other);
  }

  async function append(lines: readonly string[]): Promise<Position[]> {
    const { segment, file } = open ?? begin();
    const start = sizes.get(segment) ?? 0;
    appending = segment;
    try {
      writeAll(file, Buffer.from(lines.join("")));
      await flush(file);
    } catch (error) {
      // What of it came to the disk must not be found later: it is written again elsewhere.
      abandon(segment, start);
      throw error;
    } finally {
      appending = undefined;
    }
    const positions = positionsOf(segment, start, lines);
    sizes.set(segment, endOf(positions, start));
    if (endOf(positions, start) >= SEGMENT_BYTES) end();
    return positions;
  }

  function begin(): Open {
    const segment = last + 1;
    const file = openSync(pathOf(segment), "wx", 0o600);
    last = segment;
    open = { segment, file };
    sizes.set(segment, 0);
    syncPathNow(dir);
    return open;
  }

  function end(): void {
    if (open) closeSync(open.file);
    open = undefined;
  }

  function abandon(segment: number, goodBytes: number): void {
    if (open?.segment !== segment) return;
    try {
      ftruncateSync(open.file, goodBytes);
    } finally {
      end();
      if (goodBytes === 0) remove(segment);
    }
  }

  function read({ segment, offset, bytes }: Position): SpoolFrame | undefined {
    if (cached?.segment !== segment || cached.content.length < offset + bytes) {
      cached = { segment, content: readIfThere(pathOf(segment)) };
    }
    return decodeRecord(cached.content.toString("utf8", offset, offset + bytes - 1));
  }

  function rewrite(segment: number, kept: readonly Position[]): Position[] {
    const content = readFileSync(pathOf(segment));
    const pieces = kept.map(({ offset, bytes }) => content.subarray(offset, offset + bytes));
    if (open?.segment === segment) end();
    replace(pathOf(segment), Buffer.concat(pieces));
    cached = undefined;
    let offset = 0;
    const positions = pieces.map(({ length: bytes }) => {
      const position = { segment, offset, bytes };
      offset += bytes;
      return position;
    });
    sizes.set(segment, offset);
    return positions;
  }

  function remove(segment: number): void {
    if (open?.segment === segment) end();
    if (cached?.segment === segment) cached = undefined;
    rmSync(pathOf(segment), { force: true });
    sizes.delete(segment);
  }

  return {
    /** Shows all good records in their order, one at a time, and tells how many lines were damaged. For once, first. */
    scan,
    /** Writes lines one behind the other; on disk when it resolves. Rejects when the disk does not take all of them. */
    append,
    /** The frame at a position; undefined when it cannot be read as it was written. */
    read,
    /** Keeps of the segment only these records; gives their new positions, in order. Throws when the disk is full. */
    rewrite,
    remove,
    /** The segment that is being appended to at this moment: it may be neither removed nor rewritten. */
    appending: () => appending,
    /** On disk, over all segments. */
    totalBytes: () => sizes.values().reduce((sum, bytes) => sum + bytes, 0),
    close: end,
  };
}

function scanSegment(
  segment: number,
  content: Buffer,
  visit: (position: Position, frame: SpoolFrame) => void,
): { good: number; bad: number } {
  const count = { good: 0, bad: 0 };
  for (let offset = 0; offset < content.length; ) {
    const newline = content.indexOf(NEWLINE, offset);
    const end = newline < 0 ? content.length : newline;
    const frame = newline < 0 ? undefined : decodeRecord(content.toString("utf8", offset, end));
    if (frame) visit({ segment, offset, bytes: end + 1 - offset }, frame);
    count[frame ? "good" : "bad"]++;
    offset = end + 1;
  }
  return count;
}

function positionsOf(segment: number, start: number, lines: readonly string[]): Position[] {
  let offset = start;
  return lines.map((line) => {
    const bytes = Buffer.byteLength(line);
    const position = { segment, offset, bytes };
    offset += bytes;
    return position;
  });
}

function endOf(positions: readonly Position[], start: number): number {
  const position = positions.at(-1);
  return position === undefined ? start : position.offset + position.bytes;
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** Whole or not at all. */
function replace(path: string, content: Buffer): void {
  const temporary = path + TEMPORARY;
  const file = openSync(temporary, "w", 0o600);
  try {
    writeAll(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    // Then what was in it is damaged, which is for the caller to tell.
    if (error instanceof Error) return Buffer.alloc(0);
    throw error;
  }
}

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
  /** When it was put there; earlier versions did not say. */
  readonly noted?: Moment;
}

const CHECKSUM_CHARS = 8;
const LINE_END = "\n";

/**
 * A frame as a line: the CRC-32 of the rest, a space, JSON. A line that was not written to its end, or that the disk has
 * changed, is thereby known, and the next line is found all the same.
 */
export function encodeRecord(frame: SpoolFrame): string {
  const { id, type, data, compression, key, noted } = frame;
  const json = JSON.stringify({ id, type, data, compression, key, noted });
  return `${checksumOf(json)} ${json}${LINE_END}`;
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
