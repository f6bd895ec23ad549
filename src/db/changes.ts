/**
 * What tells that rows have changed, to whoever shows them live, and what finds those that changed since a moment. Told by NOTIFY
 * within the transaction that changes them; who was not listening finds them by his cursor.
 */
import type { Sql, TransactionSql } from "postgres";

type Query = Sql | TransactionSql;

/** The channel on which commits tell what they changed: what, and its ids with commas between them, or `timeline` alone. */
export const CHANGES_CHANNEL = "opspilot_changes";

/** Rows that are told of by their ids. */
export type Changed = "incidents" | "agents" | "commands";

/** Ids of one notice, UUIDs too: a payload has less than 8,000 bytes. */
const NOTICE_IDS_MAX = 200;
/** A timeline is told of without ids: its rows are found by the cursor. */
const TIMELINE = "timeline";

/** The notices for these rows, as `channel` and `notice` of a table `told`. */
export function noticesOf(query: Query, what: Changed, ids: readonly (number | string)[]) {
  const notices = Array.from({ length: Math.ceil(ids.length / NOTICE_IDS_MAX) }, (_, at) =>
    [what, ids.slice(at * NOTICE_IDS_MAX, (at + 1) * NOTICE_IDS_MAX).join(",")].join(" "),
  );
  return query`(select ${CHANGES_CHANNEL}::text as channel, notice from unnest(${notices}::text[]) notice)`;
}

/** Tells that these rows changed; within a transaction, at its commit. */
export async function tellChanged(query: Query, what: Changed, ids: readonly (number | string)[]): Promise<void> {
  if (ids.length > 0) await query`select pg_notify(channel, notice) from ${noticesOf(query, what, ids)} told`;
}

/** The same as the last part of a statement that returns the rows' `id` by the name `from`. */
export function tellOf(query: Query, what: Changed, from: string) {
  return query`
    select pg_notify(${CHANGES_CHANNEL}, ${`${what} `} || string_agg(id::text, ','))
    from (select id, (row_number() over () - 1) / ${NOTICE_IDS_MAX}::int as part from ${query(from)}) parts group by part`;
}

/** That lines were added, as the last part of a statement that returns them by the name `from`. */
export function tellOfLines(query: Query, from: string) {
  return query`select pg_notify(${CHANGES_CHANNEL}, ${TIMELINE}) where exists (select from ${query(from)})`;
}

/** Each row that a statement changes and returns the `id` of, as a part of what it returns: for one that changes few. */
export function tellOfEach(query: Query, what: Changed) {
  return query`pg_notify(${CHANGES_CHANNEL}, ${`${what} `} || id::text)`;
}

/** The same for lines that a statement adds; of many in one transaction PostgreSQL tells once. */
export function tellOfEachLine(query: Query) {
  return query`pg_notify(${CHANGES_CHANNEL}, ${TIMELINE})`;
}

/** What a notice says; undefined for one that names no rows. */
export function readNotice(payload: string): { what: Changed; ids: string[] } | undefined {
  const [what, ids] = payload.split(" ");
  if (ids === undefined || (what !== "incidents" && what !== "agents" && what !== "commands")) return undefined;
  return { what, ids: ids.split(",") };
}

/** A moment of the database: which transactions had ended by then. As people carry it, it is opaque. */
export interface Cursor {
  /** Unix seconds, by the database's clock. */
  readonly atS: number;
  /** As `pg_snapshot` is written. */
  readonly snapshot: string;
}

const CURSOR = /^(\d{1,12})\.((\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?))$/;
/** More transactions at once than a cluster's connections make. */
const CURSOR_CHARS_MAX = 8_000;

/** Reads a cursor; undefined for what is none. */
export function readCursor(text: string): Cursor | undefined {
  const match = text.length > CURSOR_CHARS_MAX ? null : CURSOR.exec(text);
  if (!match) return undefined;
  const [, at = "", snapshot = "", first = "", next = "", running = ""] = match;
  const ids = [first, ...(running === "" ? [] : running.split(","))].map(BigInt);
  const isRising = ids.every((id, n) => n < 2 || id > (ids[n - 1] ?? 0n));
  const isWithin = ids.every((id) => id >= (ids[0] ?? 0n) && (id < BigInt(next) || ids.length === 1));
  if (ids[0] === 0n || !isRising || !isWithin || BigInt(next) < (ids[0] ?? 0n)) return undefined;
  return { atS: Number(at), snapshot };
}

/** The cursor of the statement that it is a part of, as text. */
export function cursorNow(query: Query) {
  return query`(extract(epoch from now())::bigint || '.' || pg_current_snapshot()::text)`;
}

/**
 * Whether the row of `table` as it stands now was written by a transaction that had not ended at the cursor. Exact, whatever the
 * order in which transactions commit. A row knows the lower half of its transaction's number: of four billion the last one is meant.
 */
export function isNewSince(query: Query, table: string, { snapshot }: Pick<Cursor, "snapshot">) {
  const next = query`(select pg_snapshot_xmax(pg_current_snapshot())::text::bigint)`;
  return query`
    not pg_visible_in_snapshot((${next} - ((${next} - ${query(`${table}.xmin`)}::text::bigint) & 4294967295))::text::xid8,
      ${snapshot}::pg_snapshot)`;
}
