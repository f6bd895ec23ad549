import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { copyRows, int, moment, text, uuid } from "../../src/db/copy.ts";
import { allSent } from "../../src/db/pipeline.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
  await own.database.sql`create table copied (no int primary key, word text, id uuid, at timestamptz)`;
});
afterAll(() => own.close());

type Row = readonly [no: number | null, word: string | null, id: string, atMs: number | null];

const COLUMNS = [
  int("no", ([no]: Row) => no),
  text("word", ([, word]: Row) => word),
  uuid("id", ([, , id]: Row) => id),
  moment("at", ([, , , atMs]: Row) => atMs),
];

const copy = (tx: TransactionSql, rows: readonly Row[], table = "copied") => copyRows(tx, table, COLUMNS, rows);

async function count(tx: TransactionSql): Promise<number | undefined> {
  const [counted] = await tx<{ rows: number }[]>`select count(*)::int as rows from copied`;
  return counted?.rows;
}

async function stored(): Promise<unknown[]> {
  const rows = await own.database.sql`
    select no, word, id, extract(epoch from at)::float8 * 1000 as "atMs" from copied order by no`;
  await own.database.sql`truncate copied`;
  return rows.map(({ no, word, id, atMs }) => [no, word, id, atMs]);
}

const ID = "01234567-89ab-cdef-0123-456789abcdef";

describe("rows that are copied", () => {
  test("are stored as they were given: signs, long texts, every alphabet, moments before 2000", async () => {
    const rows: Row[] = [
      [-2_147_483_648, "", ID, Date.UTC(1969, 6, 20, 20, 17, 40, 123)],
      [-1, 'tab\t, line\n, quote", backslash\\N', "ffffffff-ffff-ffff-ffff-ffffffffffff", Date.UTC(1999, 11, 31, 23)],
      [0, null, ID, null],
      [255, "größer · 失敗 · 🚒", ID, Date.UTC(2000, 0, 1)],
      [2_147_483_647, "x".repeat(300_000), ID, Date.UTC(2038, 0, 19, 3, 14, 8, 1)],
    ];
    await own.database.sql.begin((tx) => copy(tx, rows));
    expect(await stored()).toEqual(rows);
  });

  test("and none of them if one breaks a constraint; the failure is told, and the connection goes on", async () => {
    const rows: Row[] = [
      [1, "a", ID, null],
      [1, "b", ID, null],
    ];
    const failed = own.database.sql.begin((tx) => copy(tx, rows));
    expect(await failed.catch((error) => error.code)).toBe("23505");
    expect(await stored()).toEqual([]);
  });

  test("into a table that is not there, with statements sent behind them: the first failure is told, nothing is stored", async () => {
    const rows: Row[] = [[7, "first", ID, null]];
    const failed = own.database.sql.begin((tx) => allSent([copy(tx, rows), copy(tx, rows, "nowhere"), count(tx)]));
    expect(await failed.catch((error) => error.code)).toBe("42P01");
    expect(await stored()).toEqual([]);
  });

  test("between other statements, all sent at once, take effect in that order", async () => {
    const [, , rows] = await own.database.sql.begin((tx) =>
      allSent([
        copy(tx, [[1, "a", ID, null]]),
        copy(tx, [[2, "b", ID, null]]),
        count(tx),
        copy(tx, [[3, "c", ID, null]]),
      ]),
    );
    expect(rows).toBe(2);
    expect(await stored()).toHaveLength(3);
  });
});
