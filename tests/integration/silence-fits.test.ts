import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createFitStore } from "../../src/silences/fit-store.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
const ids: Record<string, number> = {};

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  const { sql } = database.database;
  const web = await addAgent(database);
  const db = await addAgent(database);
  await sql`update agents set hostname = 'DB_1' where id = ${db}`;
  const nameless = await addAgent(database);
  await sql`update agents set hostname = null where id = ${nameless}`;
  const resolvedAgoS = 60;
  ids.nginx = await addIncident(database, web, { source: "nginx" });
  ids.over = await addIncident(database, web, { source: "nginx", resolvedAgoS });
  ids.docker = await addIncident(database, web, { source: "100%", type: "docker" });
  ids.postgres = await addIncident(database, db, { source: "postgresql@16-main" });
  ids.nameless = await addIncident(database, nameless, { source: "cron" });
}, 180_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
});

const fit = async (query: string) => (await server.api(`/v1/silences/fit?${query}`)).body;
const namesOf = ({ newest }: { newest: { id: number }[] }) =>
  newest.map(({ id }) => Object.keys(ids).find((name) => ids[name] === id));

describe("what a silence speaks of", () => {
  test.each([
    ["source=nginx", ["nginx"]],
    ["source=ngin?", ["nginx"]],
    ["source=nginx&type=docker", []],
    ["type=sys*", ["nameless", "postgres", "nginx"]],
    ["agent=db?1", ["postgres"]],
    ["agent=db_1", ["postgres"]],
    ["agent=web*", ["docker", "nginx"]],
    ["source=100%25", ["docker"]],
    ["source=1%25", []],
    ["source=NGINX", []],
    ["agent=*", ["nameless", "postgres", "docker", "nginx"]],
  ])("over %s are the open incidents %j, as it would mute them", async (query, names) => {
    const found = await fit(query);
    expect(found).toMatchObject({ total: names.length, is_exact: true });
    expect(namesOf(found)).toEqual(names);
    const body = { ...Object.fromEntries(new URLSearchParams(query)), until: new Date(Date.now() + 60_000) };
    const made = await server.api("/v1/silences", { method: "POST", body });
    const { body: open } = await server.api("/v1/incidents?view=short&status=open");
    const silenced = open.filter((one: { silenced: boolean }) => one.silenced);
    expect(namesOf({ newest: silenced })).toEqual(names);
    expect((await server.api(`/v1/silences/${made.body.id}/fit`)).body).toEqual(found);
    await server.api(`/v1/silences/${made.body.id}`, { method: "DELETE" });
    expect((await server.api(`/v1/silences/${made.body.id}/fit`)).status).toBe(404);
  });

  test("where it is about one problem, is that one alone", async () => {
    await server.api(`/v1/incidents/${ids.postgres}`, { method: "PATCH", body: { status: "ignored" } });
    const { body } = await server.api("/v1/silences");
    const found = (await server.api(`/v1/silences/${body[0].id}/fit`)).body;
    expect(found.newest).toMatchObject([{ id: ids.postgres, host: "DB_1", source: "postgresql@16-main" }]);
    expect(found.total).toBe(1);
  });

  test("is counted whole, and shown by the newest few", async () => {
    const agent = await addAgent(database);
    await database.database.sql`
      insert into incidents (agent_id, type, source, raw_error, message_chars, fingerprint, last_seen_at)
      select ${agent}, 'log', 'app-' || n, 'x', 1, gen_random_uuid(), now() from generate_series(1, 1200) n`;
    const found = await fit("source=app-*");
    expect(found).toMatchObject({ total: 1_200, is_exact: true });
    expect(found.newest.map(({ source }: { source: string }) => source)).toEqual(
      [1200, 1199, 1198, 1197, 1196].map((n) => `app-${n}`),
    );
    const few = createFitStore(database.database.sql, 1_000);
    expect((await few.find({ agent: null, type: "log", source: null, fingerprint: null })).is_exact).toBe(false);
  });
});
