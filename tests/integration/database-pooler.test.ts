import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isPooler } from "../../src/db/open.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

// As PgBouncer 1.18 does it: two clients that are never busy at once have the same server process.
describe("two connections", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.close());

  test("that have a server process each go past any pooler; that share one, through it", async () => {
    const [one, other] = [database.database.createSession(), database.database.createSession()];
    expect(await isPooler(one, other)).toBe(false);
    expect(await isPooler(one, one)).toBe(true);
  });
});
