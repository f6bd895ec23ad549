import type { Sql } from "postgres";
import { type Cursor, cursorNow, isNewSince, readCursor } from "../db/changes.ts";
import { auditColumns } from "./list-store.ts";
import type { AuditLine } from "./model.ts";

/** Of the timeline's newest lines so many are looked at: more than are written while one transaction of ours runs. */
const LOOK_MAX = 2_000;

/** What was written since a cursor. */
export interface NewLines {
  /** Of this look, for the next. */
  cursor: Cursor;
  /** In the order in which they were written. */
  lines: AuditLine[];
}

/** The SQL of what has changed since a cursor. */
export function createChangeStore(sql: Sql) {
  return {
    /** The present moment. */
    async now(): Promise<Cursor> {
      const [row] = await sql<{ cursor: string }[]>`select ${cursorNow(sql)} as cursor`;
      return cursorOf(row?.cursor);
    },

    /** Lines that were added since then; undefined when there are more than `limit`, or when then is yet to come. */
    async lines(since: Cursor, limit: number): Promise<NewLines | undefined> {
      const rows = await sql<({ cursor: string } & { [K in keyof AuditLine]: AuditLine[K] | null })[]>`
        select ${cursorNow(sql)} as cursor, line.* from (select 1) one left join (
          select ${auditColumns(sql)} from (select *, xmin from events order by id desc limit ${LOOK_MAX}) e
          left join agents a on a.id = e.agent_id
          where ${isNewSince(sql, "e", since)} order by e.id desc limit ${limit + 1}) line on true
        order by line.id`;
      const cursor = cursorOf(rows[0]?.cursor);
      if (rows.length > limit || isBefore(cursor, since)) return undefined;
      const lines = rows.flatMap(({ cursor: _, ...line }) => (line.id === null ? [] : [line as AuditLine]));
      return { cursor, lines };
    },

    /** Open incidents, at most `limit`, that changed since then. */
    async open(since: Cursor, limit: number): Promise<number[]> {
      const rows = await sql<{ id: number }[]>`
        select i.id from incidents i where i.status <> 'resolved' and ${isNewSince(sql, "i", since)} limit ${limit}`;
      return rows.map(({ id }) => id);
    },
  };
}

function cursorOf(text: string | undefined): Cursor {
  const cursor = readCursor(text ?? "");
  if (!cursor) throw new Error(`the database says a cursor that cannot be read: ${text}`);
  return cursor;
}

/** Transactions are numbered one after the other: a database with fewer is another one, or an older copy. */
function isBefore(cursor: Cursor, other: Cursor): boolean {
  return nextOf(cursor) < nextOf(other);
}

function nextOf({ snapshot }: Cursor): bigint {
  return BigInt(snapshot.split(":")[1] ?? 0);
}
