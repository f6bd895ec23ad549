import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { createHistoryStore } from "../../src/incidents/history-store.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const FINGERPRINT = crypto.randomUUID();

let database: TestDatabase;
let server: TestServer;
let web: string;
let other: string;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  web = await addAgent(database);
  other = await addAgent(database);
  await database.database.sql`update agents set hostname = 'web-02' where id = ${other}`;
}, 180_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
});

/** A decision that is over, or of which nobody knows how it ended. */
async function decide(incidentId: number, action: string, state: string, outcome: string | null, agoS = 0) {
  await database.database.sql`
    insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, outcome, requested_at)
    values (${crypto.randomUUID()}, ${incidentId}, ${action}, 'slack:U1', '@ana', 'slack', ${state}, ${outcome},
      now() - make_interval(secs => ${agoS}))`;
}

const history = async (id: number) => (await server.api(`/v1/incidents/${id}/history`)).body;
const idsOf = (rows: { id: number }[]) => rows.map(({ id }) => id);

describe("what happened before", () => {
  test("is the last few times on this host, with what was done and whether it held, and no later one", async () => {
    const same = { fingerprint: FINGERPRINT, resolvedAgoS: 60 };
    const past: number[] = [];
    for (let n = 0; n < 8; n++) past.push(await addIncident(database, web, same));
    const [, , held = 0, , failed = 0] = past;
    await decide(held, "restart", "verified", "restarted by @ana, active again after 2 s", 10);
    await decide(held, "logs", "done", "logs fetched for @ana");
    await decide(failed, "restart", "failed_again", "restarted, failed again after 3 s", 20);
    await decide(failed, "acknowledge", "done", "acknowledged by @ana", 10);
    const now = await addIncident(database, web, { fingerprint: FINGERPRINT });
    const found = await history(now);
    expect(idsOf(found.here)).toEqual(past.slice(2).reverse());
    expect(found.elsewhere).toEqual([]);
    const of = (id: number) => found.here.find((one: { id: number }) => one.id === id);
    expect(of(held)).toMatchObject({ host: "web-01", resolved_at: expect.any(String), occurrences: 1 });
    expect(of(held).decisions).toMatchObject([
      {
        action: "restart",
        state: "verified",
        actor_name: "@ana",
        outcome: "restarted by @ana, active again after 2 s",
      },
    ]);
    expect(of(failed).decisions.map(({ action }: { action: string }) => action)).toEqual(["acknowledge", "restart"]);
    expect(idsOf((await history(held)).here)).toEqual(past.slice(0, 2).reverse());
  });

  test("is, on other hosts, what has the same type, source and cause", async () => {
    const kind = { source: "shop", category: "port_conflict", resolvedAgoS: 60 };
    await addIncident(database, other, { ...kind, source: "till" });
    await addIncident(database, other, { ...kind, type: "docker" });
    await addIncident(database, other, { ...kind, category: "out_of_memory" });
    const elsewhere = await addIncident(database, other, kind);
    await addIncident(database, other, { ...kind, resolvedAgoS: null });
    await addIncident(database, web, kind);
    const now = await addIncident(database, web, { ...kind, resolvedAgoS: null });
    const found = await history(now);
    expect(found).toMatchObject({ here: [], elsewhere: [{ id: elsewhere, host: "web-02" }] });
    const unknown = { ...kind, source: "riddle", category: "unknown" };
    await addIncident(database, other, unknown);
    expect((await history(await addIncident(database, web, unknown))).elsewhere).toEqual([]);
  });

  test("is found by indexes, however many incidents there are", async () => {
    const { sql } = database.database;
    const now = await addIncident(database, web, { fingerprint: FINGERPRINT, source: "many" });
    await sql`
      insert into incidents (agent_id, type, source, raw_error, message_chars, fingerprint, last_seen_at, status, resolved_at, analysis)
      select ${other}, 'systemd', case when n % 100 = 0 then 'many' else 'other-' || n % 100 end, 'x', 1, gen_random_uuid(), now(),
        'resolved', now(), '{"category": "port_conflict"}' from generate_series(1, 20000) n`;
    await sql`analyze incidents`;
    const later = await addIncident(database, web, { source: "many" });
    expect(await rowsReadFor(now)).toBeLessThan(1_000);
    expect(await rowsReadFor(later)).toBeLessThan(1_000);
    expect((await history(later)).elsewhere).toHaveLength(4);
  });

  /** Rows of incidents that were read one by one, or by an index, to tell what was before this one. */
  async function rowsReadFor(id: number): Promise<number> {
    return database.database.sql.begin(async (tx) => {
      await createHistoryStore(tx as unknown as Sql).history(id);
      const [row] = await tx<{ n: number }[]>`
        select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as n from pg_stat_xact_user_tables where relname = 'incidents'`;
      return row?.n ?? 0;
    });
  }
});
