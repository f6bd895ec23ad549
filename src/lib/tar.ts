import { OpsPilotError } from "./errors.ts";

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
/** What a file's mode is: nobody's owner or time is kept, so that the same files always give the same bytes. */
const MODES = { file: "0000644", program: "0000755" } as const;
const TYPE_FILE = "0";
const TYPE_LINK = "2";

/** What follows the last entry. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

/** What stands before an entry's bytes in a ustar archive. */
export interface TarHeader {
  /** Relative, at most 100 bytes. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly mode?: keyof typeof MODES;
  /** For a symbolic link: the name it points to. */
  readonly linkTo?: string;
}

/** The header's own bytes. */
export function tarHeader({ path, sizeBytes, mode = "file", linkTo = "" }: TarHeader): Uint8Array {
  const header = Buffer.alloc(BLOCK_BYTES);
  put(header, path, 0);
  put(header, MODES[mode], 100);
  put(header, "0000000", 108);
  put(header, "0000000", 116);
  put(header, sizeBytes.toString(8).padStart(11, "0"), 124);
  put(header, "00000000000", 136);
  put(header, "        ", 148);
  put(header, linkTo === "" ? TYPE_FILE : TYPE_LINK, 156);
  put(header, linkTo, 157);
  put(header, "ustar\u000000", 257);
  put(header, `${sumOf(header)}\0 `, 148);
  return header;
}

/** What fills an entry of that size up to whole blocks. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array(-sizeBytes & (BLOCK_BYTES - 1));
}

function sumOf(header: Uint8Array): string {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return sum.toString(8).padStart(6, "0");
}

function put(header: Buffer, text: string, at: number): void {
  if (Buffer.byteLength(text) > NAME_BYTES_MAX) throw new Error(`too long a name for the archive: ${text}`);
  header.write(text, at);
}

/** The bytes are no archive that `readTar` can read to its end. */
export class TarError extends OpsPilotError<"bad_tar"> {
  constructor(message: string) {
    super("bad_tar", message);
  }
}

/** A file of an archive. */
export interface TarFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/**
 * The files of an archive, one after the other, each as a whole: for archives whose files are small. Throws a TarError for what
 * is none, is cut off, or has a file of more than `fileBytesMax`.
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  fileBytesMax: number,
): AsyncGenerator<TarFile, void, undefined> {
  const reader = createReader(chunks);
  for (;;) {
    const header = await reader.take(BLOCK_BYTES);
    if (header.every((byte) => byte === 0)) break;
    const { path, sizeBytes } = parseHeader(header);
    if (sizeBytes > fileBytesMax) throw new TarError(`${path} in it has ${sizeBytes} bytes, which is too much`);
    const bytes = await reader.take(sizeBytes);
    await reader.take(tarPadding(sizeBytes).length);
    yield { path, bytes };
  }
  await reader.drain();
}

function parseHeader(header: Buffer): { path: string; sizeBytes: number } {
  if (header.toString("latin1", 148, 154) !== sumOf(header)) throw new TarError("it is no tar archive, or is damaged");
  const text = (from: number, to: number) => header.toString("utf8", from, to).replace(/\0.*$/s, "");
  const path = text(0, NAME_BYTES_MAX);
  if (text(156, 157) !== TYPE_FILE) throw new TarError(`${path} in it is no file`);
  return { path, sizeBytes: Number.parseInt(text(124, 136), 8) };
}

/** Hands out what comes in pieces of the sizes that are asked for. */
function createReader(chunks: AsyncIterable<Uint8Array>) {
  const source = chunks[Symbol.asyncIterator]();
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;

  return {
    async take(sizeBytes: number): Promise<Buffer> {
      while (waitingBytes < sizeBytes) {
        const { value, done } = await source.next();
        if (done) throw new TarError("it is cut off: its end is missing");
        waiting.push(value);
        waitingBytes += value.length;
      }
      const all =
        waiting.length === 1 && waiting[0]
          ? Buffer.from(waiting[0].buffer, waiting[0].byteOffset, waiting[0].length)
          : Buffer.concat(waiting);
      waiting = [all.subarray(sizeBytes)];
      waitingBytes -= sizeBytes;
      return all.subarray(0, sizeBytes);
    },
    /** What comes after the end is read, so that who unpacks it gets to see its own check. */
    async drain(): Promise<void> {
      while ((await source.next()).done !== true);
    },
  };
}
