import { afterAll, beforeAll, expect, test } from "bun:test";
import { createIncidentStore } from "../../src/incidents/store.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

/** So many that reading them would show. */
const RESOLVED = 200_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  const agent = await addAgent(database);
  await addIncident(database, agent, { status: "new", source: "oldest" });
  const patient = database.database.createClient({ statementLimitMs: 0 });
  await patient`
    insert into incidents (agent_id, type, source, raw_error, message_chars, status, fingerprint, last_seen_at, resolved_at)
    select ${agent}, 'systemd', 'nginx', 'x', 1, 'resolved', md5(n::text)::uuid, now(), now() from generate_series(1, ${RESOLVED}::int) n`;
  await patient`analyze incidents`;
  await patient.end();
}, 120_000);
afterAll(() => database.close());

test("open incidents are listed without a look at the resolved ones", async () => {
  const { sql } = database.database;
  const blocks = async () => {
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql`
      select (heap_blks_read + heap_blks_hit)::int as n from pg_statio_user_tables where relname = 'incidents'`;
    return row?.n as number;
  };
  // One session, whose figures can be asked for.
  const lister = database.database.createClient({ connections: 1 });
  const store = createIncidentStore(lister);
  await lister`select 1`;
  const before = await blocks();
  // More than five times: from then on a prepared statement may get a plan for any status.
  for (let n = 0; n < 10; n++) {
    const found = await store.list({ limit: 100, status: "new" });
    expect(found.map(({ source }) => source)).toEqual(["oldest"]);
  }
  await lister`select pg_stat_force_next_flush()`;
  expect((await blocks()) - before).toBeLessThan(1_000);
}, 60_000);
