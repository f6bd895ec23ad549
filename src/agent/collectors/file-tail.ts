/**
 * A log file that is written by others, and rotated in all the ways there are:
 *
 *   not there yet        read from its beginning once it is
 *   renamed, made anew   the old one is read to its end, and for a while longer, since its writer may still have it open
 *   copied, truncated    read from its beginning (also when it has grown past the old place already: its first bytes differ)
 *   deleted              read to its end, and let go of soon, so that its space is free again
 *   agent was away       read from the saved place, and when it was rotated meanwhile, the old one first, under its new name
 */
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { errorCode } from "../../lib/errors.ts";
import { createLineCutter } from "./lines.ts";

/** How far a file was read: up to a line's beginning. */
export interface FilePlace {
  readonly device: number;
  readonly inode: number;
  readonly offset: number;
  /** When its reading began, or began anew: the same place may hold another line after the file was cut. */
  readonly sinceMs: number;
}

/** A line of the file, and where it ends. */
export type TakeLine = (text: string, place: FilePlace) => Promise<void> | undefined;

export interface FileTailOptions {
  readonly path: string;
  readonly clock: Pick<Clock, "monotonicMs" | "now">;
  /** Where it was read up to; "end" and "beginning" where that is not known. */
  readonly from: FilePlace | "end" | "beginning";
  readonly take: TakeLine;
  /** A file that is still there is no longer open: it is not this path's any more. */
  readonly leave?: (file: string, place: FilePlace) => void;
}

const LINE_BYTES_MAX = 16 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** In one go, so that one file that grows fast does not keep the others waiting. */
const TURN_BYTES_MAX = 4 * 1024 * 1024;
/** For as long a renamed file is still read. */
const DRAIN_MS = 30_000;
/** A line without an end counts after this time as a whole one. */
const OPEN_LINE_MS = 3_000;
const HEAD_BYTES = 128;
const SIBLINGS_MAX = 1000;

interface OpenFile {
  readonly handle: FileHandle;
  readonly device: number;
  readonly inode: number;
  readonly name: string;
  readonly cutter: ReturnType<typeof createLineCutter>;
  offset: number;
  sinceMs: number;
  head: Buffer;
  readMs: number;
}

/** Follows one file; `look` is called again and again, and reads what there is. */
export function createFileTail({ path, clock, from, take, leave }: FileTailOptions) {
  let current: OpenFile | undefined;
  let draining: { file: OpenFile; untilMs: number }[] = [];
  let start: FileTailOptions["from"] | undefined = from;
  /** Once nothing is there any more, or it is closed. */
  let left: FilePlace | undefined;
  const buffer = Buffer.alloc(CHUNK_BYTES);

  async function look(): Promise<void> {
    const info = await statIfThere(path);
    // What is not there at the first look is new when it comes.
    if (!info && start === "end") start = "beginning";
    if (typeof start === "object" && current === undefined) await resume(start, info);
    else if (current === undefined && info) current = await begin(start === "end" ? info.size : 0);
    if (current) {
      await readOn(current);
      if (!info) retire(current);
      else if (info.ino !== current.inode || info.dev !== current.device) await change(current);
    }
    for (const { file } of draining) await readOn(file);
    await endDraining();
  }

  /** After a restart: where it was left, or in the file that it was renamed to. */
  async function resume(place: FilePlace, info: { ino: number; dev: number; size: number } | undefined): Promise<void> {
    start = "beginning";
    const isSame = info && info.ino === place.inode && info.dev === place.device;
    if (isSame && info.size >= place.offset) current = await openFile(path, place.offset, place.sinceMs);
    else if (isSame) current = await begin(0);
    else {
      const renamed = await findRenamed(path, place);
      const old = renamed === undefined ? undefined : await openFile(renamed, place.offset, place.sinceMs);
      if (old) draining.push({ file: old, untilMs: clock.monotonicMs() + DRAIN_MS });
      if (old) await readOn(old);
      if (info) current = await begin(0);
    }
  }

  async function begin(offset: number): Promise<OpenFile | undefined> {
    start = "beginning";
    return openFile(path, offset);
  }

  async function openFile(name: string, offset: number, sinceMs = clock.now()): Promise<OpenFile | undefined> {
    const handle = await open(name, "r");
    const info = await handle.stat();
    if (!info.isFile()) {
      await handle.close();
      throw new Error(`${name} is no file`);
    }
    const [cutter, head] = [createLineCutter(LINE_BYTES_MAX), Buffer.alloc(0)];
    const readMs = clock.monotonicMs();
    return { handle, device: info.dev, inode: info.ino, name: fileName(info), cutter, offset, sinceMs, head, readMs };
  }

  function retire(old: OpenFile): void {
    draining.push({ file: old, untilMs: clock.monotonicMs() + DRAIN_MS });
    left = placeOf(old);
    current = undefined;
  }

  async function change(old: OpenFile): Promise<void> {
    retire(old);
    current = await openFile(path, 0);
    if (current) await readOn(current);
  }

  async function readOn(file: OpenFile): Promise<void> {
    const { size } = await file.handle.stat();
    if (size < file.offset || !(await hasSameHead(file))) startOver(file);
    for (let turnBytes = 0; turnBytes < TURN_BYTES_MAX; ) {
      const { bytesRead } = await file.handle.read(buffer, 0, CHUNK_BYTES, file.offset);
      if (bytesRead === 0) return endOpenLine(file);
      turnBytes += bytesRead;
      file.readMs = clock.monotonicMs();
      const lines = file.cutter.push(buffer.subarray(0, bytesRead));
      const startOffset = file.offset;
      file.offset += bytesRead;
      for (const { text, endByte } of lines) await take(text, { ...placeOf(file), offset: startOffset + endByte });
    }
  }

  async function endOpenLine(file: OpenFile): Promise<void> {
    if (clock.monotonicMs() - file.readMs < OPEN_LINE_MS) return;
    const line = file.cutter.rest();
    if (line !== undefined) await take(line, placeOf(file));
  }

  async function hasSameHead(file: OpenFile): Promise<boolean> {
    const head = Buffer.alloc(Math.min(HEAD_BYTES, file.offset));
    const { bytesRead } = await file.handle.read(head, 0, head.length, 0);
    const isSame = head.subarray(0, Math.min(file.head.length, bytesRead)).equals(file.head);
    if (isSame) file.head = head.subarray(0, bytesRead);
    return isSame;
  }

  function startOver(file: OpenFile): void {
    file.cutter.rest();
    file.offset = 0;
    file.sinceMs = clock.now();
    file.head = Buffer.alloc(0);
  }

  async function endDraining(): Promise<void> {
    const [over, open] = partition(draining, ({ untilMs }) => clock.monotonicMs() >= untilMs);
    draining = open;
    for (const { file } of over) await closeFile(file);
  }

  /** A deleted file's name may be given to the next one at once: it is not remembered. */
  async function closeFile(file: OpenFile): Promise<void> {
    const { nlink } = await file.handle.stat();
    if (nlink > 0) leave?.(file.name, placeOf(file));
    await file.handle.close();
  }

  return {
    look,
    /** Up to where lines were taken, also after closing; undefined before the file was there. */
    place: (): FilePlace | undefined => (current ? placeOf(current) : left),
    /** The files that are open now, by their own names. */
    open: (): string[] => [current, ...draining.map(({ file }) => file)].flatMap((file) => (file ? [file.name] : [])),
    async close(): Promise<void> {
      left = current ? placeOf(current) : left;
      for (const file of [current, ...draining.map((one) => one.file)]) if (file) await closeFile(file);
      current = undefined;
      draining = [];
    },
  };
}

/** A file's own name, whatever its path: the number of a deleted one is given to another. */
export function fileName(info: { dev: number; ino: number; birthtimeMs: number }): string {
  return `${info.dev}:${info.ino}:${Math.floor(info.birthtimeMs)}`;
}

export type FileTail = ReturnType<typeof createFileTail>;

function placeOf({ device, inode, offset, sinceMs, cutter }: OpenFile): FilePlace {
  return { device, inode, offset: offset - cutter.openBytes, sinceMs };
}

async function statIfThere(path: string): Promise<{ ino: number; dev: number; size: number } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Beside the file: `app.log.1`, `app.log-20261124` and the like. */
async function findRenamed(path: string, { device, inode, offset }: FilePlace): Promise<string | undefined> {
  const directory = dirname(path);
  const stem = basename(path).replace(/\.[^.]*$/, "");
  const names = (await readdir(directory)).filter((name) => name.startsWith(stem)).slice(0, SIBLINGS_MAX);
  for (const name of names) {
    const info = await statIfThere(join(directory, name));
    if (info?.ino === inode && info.dev === device && info.size >= offset) return join(directory, name);
  }
  return undefined;
}

function partition<T>(values: readonly T[], isFirst: (value: T) => boolean): [T[], T[]] {
  return [values.filter(isFirst), values.filter((value) => !isFirst(value))];
}
