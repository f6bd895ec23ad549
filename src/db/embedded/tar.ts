/** One thing to put into a tar: a file with its bytes, or a symbolic link with the name it points to. */
export interface TarEntry {
  /** Relative, at most 100 bytes. */
  readonly path: string;
  readonly content: Uint8Array | { readonly linkTo: string };
  readonly executable: boolean;
}

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;

/**
 * The entries as a ustar archive. It is written here because Bun.Archive, which reads it back, makes no links and no
 * modes; times and owners are left at zero, so that the same files always give the same bytes.
 */
export function writeTar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const body = entry.content instanceof Uint8Array ? entry.content : new Uint8Array();
    return [headerOf(entry, body.length), body, new Uint8Array(-body.length & (BLOCK_BYTES - 1))];
  });
  return Buffer.concat([...parts, new Uint8Array(2 * BLOCK_BYTES)]);
}

function headerOf({ path, content, executable }: TarEntry, sizeBytes: number): Uint8Array {
  const header = Buffer.alloc(BLOCK_BYTES);
  const linkTo = content instanceof Uint8Array ? "" : content.linkTo;
  put(header, path, 0);
  put(header, executable ? "0000755" : "0000644", 100);
  put(header, "0000000", 108);
  put(header, "0000000", 116);
  put(header, sizeBytes.toString(8).padStart(11, "0"), 124);
  put(header, "00000000000", 136);
  put(header, "        ", 148);
  put(header, linkTo === "" ? "0" : "2", 156);
  put(header, linkTo, 157);
  put(header, "ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(header, `${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

function put(header: Buffer, text: string, at: number): void {
  if (Buffer.byteLength(text) > NAME_BYTES_MAX) throw new Error(`too long a name for the archive: ${text}`);
  header.write(text, at);
}
