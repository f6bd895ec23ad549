/**
 * What a backup is: a tar archive, compressed by zstd, that any `tar --zstd -x` unpacks.
 *
 *  - `opspilot.json`, first: by which version, when, and up to which migration the tables go (`Preface`).
 *  - `tables/<name>/<n>.copy` and `jobs/<name>/<n>.copy`: the rows of a table, in PostgreSQL's text form of COPY, in pieces.
 *  - `manifest.json`, last: of each table its columns, rows, bytes and SHA-256, and where its numbers go on (`Manifest`). Without
 *    it an archive is cut off, and nothing of it is used.
 *
 * All tables are as they were at one moment. Of the jobs there is what had not been done by then.
 */
import { type Static, Type } from "@sinclair/typebox";
import { OpsPilotError } from "../lib/errors.ts";

/** Another number means: it can be read by newer versions only. */
export const FORMAT = 1;

/** The entries that are no rows. */
export const ENTRY = { preface: "opspilot.json", manifest: "manifest.json" } as const;

/** A piece of a table ends with the row with which it reaches this. */
export const PIECE_BYTES = 4 * 1024 * 1024;
/** PostgreSQL's own bound of a row; any other entry is far smaller. */
export const ENTRY_BYTES_MAX = 2 ** 30;

/** What kind of table: ours, or one in which pg-boss keeps jobs. */
const Kind = Type.Union([Type.Literal("tables"), Type.Literal("jobs")]);
export type Kind = Static<typeof Kind>;

/** Said before the rows. */
export const Preface = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  /** OpsPilot's version. */
  opspilot: Type.String(),
  /** ISO 8601, UTC. */
  made_at: Type.String(),
  /** PostgreSQL's version, as it says it itself. */
  postgres: Type.String(),
  /** The last migration, by when it was made (Unix milliseconds). */
  migration: Type.Integer({ minimum: 1 }),
});
export type Preface = Static<typeof Preface>;

const TableEntry = Type.Object({
  kind: Kind,
  name: Type.String({ pattern: "^[a-z][a-z0-9_]{0,62}$" }),
  columns: Type.Array(Type.String()),
  rows: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String(),
});
/** What the archive has of a table. */
export type TableEntry = Static<typeof TableEntry>;

const SequenceEntry = Type.Object({
  table: Type.String(),
  column: Type.String(),
  /** The last number that was given out; null when none was. A text, since it may exceed what a number holds. */
  last: Type.Union([Type.String({ pattern: "^\\d{1,19}$" }), Type.Null()]),
});
/** Where a table's numbers go on. */
export type SequenceEntry = Static<typeof SequenceEntry>;

/** Said after the rows. */
export const Manifest = Type.Object({ tables: Type.Array(TableEntry), sequences: Type.Array(SequenceEntry) });
export type Manifest = Static<typeof Manifest>;

/** Why an archive cannot be used. */
export class ArchiveError extends OpsPilotError<"bad_archive"> {
  constructor(message: string, options?: ErrorOptions) {
    super("bad_archive", message, options);
  }
}
