import { createHash, type Hash } from "node:crypto";
import { Readable } from "node:stream";
import { createZstdCompress, createZstdDecompress, constants as zlib } from "node:zlib";
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { errorCode } from "../lib/errors.ts";
import { jsonOf } from "../lib/json.ts";
import { readTar, TAR_END, TarError, type TarFile, tarHeader, tarPadding } from "../lib/tar.ts";
import {
  ArchiveError,
  ENTRY,
  ENTRY_BYTES_MAX,
  FORMAT,
  type Kind,
  Manifest,
  PIECE_BYTES,
  Preface,
  type SequenceEntry,
  type TableEntry,
} from "./model.ts";

const NEWLINE = 10;
const ZSTD_LEVEL = 3;

/** A table to put into an archive. */
export interface TableSource {
  readonly kind: Kind;
  readonly name: string;
  readonly columns: readonly string[];
  /** In the text form of COPY; each chunk is of whole rows. */
  rows(): Promise<AsyncIterable<Uint8Array>>;
}

/** All that goes into an archive. */
export interface ArchiveSource {
  readonly preface: Preface;
  readonly tables: readonly TableSource[];
  readonly sequences: readonly SequenceEntry[];
}

/** The archive as it is written, and, at its end, what it has. Of the rows no more than a piece is in memory. */
export async function* writeArchive(source: ArchiveSource): AsyncGenerator<Uint8Array, Manifest, undefined> {
  yield* entry(ENTRY.preface, json(source.preface));
  const tables: TableEntry[] = [];
  for (const table of source.tables) tables.push(yield* writeTable(table));
  const manifest: Manifest = { tables, sequences: [...source.sequences] };
  yield* entry(ENTRY.manifest, json(manifest));
  yield TAR_END;
  return manifest;
}

async function* writeTable({
  kind,
  name,
  columns,
  rows,
}: TableSource): AsyncGenerator<Uint8Array, TableEntry, undefined> {
  const tally = createTally();
  let no = 0;
  for await (const piece of inPieces(await rows())) {
    tally.add(piece);
    yield* entry(`${kind}/${name}/${String(++no).padStart(6, "0")}.copy`, piece);
  }
  return { kind, name, columns: [...columns], ...tally.end() };
}

async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    bytes += chunk.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

function* entry(path: string, bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  yield tarHeader({ path, sizeBytes: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

function json(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/** Rows, bytes and digest of what is added: a row ends with a newline, and none is within one. */
function createTally() {
  const hash: Hash = createHash("sha256");
  let rows = 0;
  let bytes = 0;
  return {
    add(piece: Buffer): void {
      hash.update(piece);
      bytes += piece.length;
      for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) rows++;
    },
    end: () => ({ rows, bytes, sha256: hash.digest("hex") }),
  };
}

/** Compresses an archive; it gets a checksum of its own. */
export function compressing() {
  return createZstdCompress({
    params: { [zlib.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [zlib.ZSTD_c_checksumFlag]: 1 },
  });
}

/** A piece of a table. */
export interface Piece {
  readonly kind: Kind;
  readonly name: string;
  readonly bytes: Buffer;
}

/** Who reads an archive, in order. */
interface ArchiveReader {
  preface?(preface: Preface): Promise<void>;
  piece?(piece: Piece): Promise<void>;
}

/**
 * Reads a compressed archive to its end, and checks all of it on the way; what it has is known, and true, only when this resolves.
 * Throws an ArchiveError for what is none, is damaged, cut off, or of a newer format.
 */
export async function readArchive(
  chunks: AsyncIterable<Uint8Array>,
  reader: ArchiveReader = {},
): Promise<{ preface: Preface; manifest: Manifest }> {
  try {
    return await read(readTar(Readable.from(chunks).compose(createZstdDecompress()), ENTRY_BYTES_MAX), reader);
  } catch (error) {
    if (error instanceof TarError) throw new ArchiveError(error.message, { cause: error });
    if (/^ZSTD|^Z_/.test(errorCode(error))) throw new ArchiveError("it is no backup, or is damaged", { cause: error });
    throw error;
  }
}

async function read(files: AsyncIterable<TarFile>, reader: ArchiveReader) {
  let preface: Preface | undefined;
  let manifest: Manifest | undefined;
  const found = new Map<string, ReturnType<typeof createTally>>();
  for await (const { path, bytes } of files) {
    if (manifest !== undefined) throw new ArchiveError(`${path} comes after its end`);
    if (preface === undefined) {
      preface = prefaceOf(path, bytes);
      await reader.preface?.(preface);
    } else if (path === ENTRY.manifest) manifest = decode(Manifest, path, bytes);
    else await readPiece(path, bytes, found, reader);
  }
  if (preface === undefined || manifest === undefined) throw new ArchiveError("it is cut off: its end is missing");
  compare(manifest, found);
  return { preface, manifest };
}

/** The one thing that every format says. */
const Format = Type.Object({ format: Type.Integer({ minimum: 1 }) });

function prefaceOf(path: string, bytes: Buffer): Preface {
  if (path !== ENTRY.preface) throw new ArchiveError("it is no backup of OpsPilot's");
  const { format } = decode(Format, path, bytes);
  if (format > FORMAT) throw new ArchiveError("it was made by a newer OpsPilot: restore it with that version");
  return decode(Preface, path, bytes);
}

async function readPiece(
  path: string,
  bytes: Buffer,
  found: Map<string, ReturnType<typeof createTally>>,
  reader: ArchiveReader,
): Promise<void> {
  const [, kind, name] = /^(tables|jobs)\/([a-z][a-z0-9_]{0,62})\/\d+\.copy$/.exec(path) ?? [];
  if (kind === undefined || name === undefined) throw new ArchiveError(`${path} in it is unknown`);
  const key = `${kind}/${name}`;
  const tally = found.get(key) ?? createTally();
  found.set(key, tally);
  tally.add(bytes);
  await reader.piece?.({ kind: kind as Kind, name, bytes });
}

/** What was read must be what the manifest says, no more and no less. */
function compare({ tables }: Manifest, found: Map<string, ReturnType<typeof createTally>>): void {
  for (const { kind, name, rows, bytes, sha256 } of tables) {
    const key = `${kind}/${name}`;
    const is = (found.get(key) ?? createTally()).end();
    found.delete(key);
    if (is.rows !== rows || is.bytes !== bytes || is.sha256 !== sha256)
      throw new ArchiveError(`${key} in it is damaged: ${is.rows} rows of ${rows}`);
  }
  const [extra] = found.keys();
  if (extra !== undefined) throw new ArchiveError(`${extra} in it is not in its list`);
}

function decode<T extends TSchema>(schema: T, path: string, bytes: Buffer): Static<T> {
  const value = jsonOf(bytes.toString("utf8"));
  if (!Value.Check(schema, value)) throw new ArchiveError(`${path} in it is damaged`);
  return value;
}
