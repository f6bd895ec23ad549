import { afterAll, beforeAll, expect, test } from "bun:test";
import { createWriteProbe } from "../../src/db/write-probe.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createReadiness } from "../../src/server/readiness.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

test("a server whose database can be read but not written is not ready, and says why", async () => {
  const clock = createTestClock();
  const sql = database.database.createClient({ connections: 1 });
  const probe = createWriteProbe(sql, clock, quiet);
  const readiness = createReadiness({ ping: async () => true }, createLoops(clock, quiet).late, probe);
  expect(await readiness.check()).toMatchObject({ ready: true, checks: { database: "ok" } });

  await sql`set default_transaction_read_only = on`;
  await clock.advance(11_000);
  expect(await readiness.check()).toMatchObject({
    ready: false,
    checks: { database: "cannot write: cannot execute CREATE TABLE in a read-only transaction" },
  });
  await sql`set default_transaction_read_only = off`;
  await clock.advance(2_000);
  expect(await readiness.check()).toMatchObject({ ready: true });
  await sql.end();
});

test("looking leaves nothing behind", async () => {
  const sql = database.database.createClient({ connections: 1 });
  await createWriteProbe(sql, createTestClock(), quiet)();
  expect([...(await sql`select relname from pg_class where relname like 'opspilot_probe%'`)]).toEqual([]);
  await sql.end();
});

test("that no table may be made is no reason not to be ready", async () => {
  const sql = database.database.createClient({ connections: 1 });
  await sql`set search_path = pg_catalog`;
  expect(await createWriteProbe(sql, createTestClock(), quiet)()).toBeNull();
  await sql.end();
});
