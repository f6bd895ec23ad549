import { afterAll, beforeAll, expect, test } from "bun:test";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
}, 180_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
});

test("hosts that are silent are listed alone, and so are those that are named", async () => {
  const made = await server.api("/v1/agents", { method: "POST", body: { hostname: "silent" } });
  const agent = await server.connect();
  agent.send({ token: "a-token-of-web-1", data: JSON.stringify({ hostname: "web-1" }) });
  const ids = async (query: string) => {
    const { body } = await server.api(`/v1/agents${query}`);
    return body.map(({ id }: { id: string }) => id);
  };
  await until(async () => (await ids("?status=online")).length === 1, { ms: 15_000 });
  expect(await ids("?status=offline")).toEqual([made.body.id]);
  expect(await ids("")).toContain(made.body.id);
  expect((await server.api("/v1/agents?status=asleep")).status).toBe(422);
  const [online] = await ids("?status=online");
  expect(await ids(`?ids=${made.body.id},${crypto.randomUUID()}`)).toEqual([made.body.id]);
  expect((await ids(`?ids=${made.body.id},${online}`)).toSorted()).toEqual([made.body.id, online].toSorted());
  expect(await ids(`?status=offline&ids=${online}`)).toEqual([]);
  await agent.close();
});

test("what follows from an incident is listed by it", async () => {
  const agent = await addAgent(database);
  const cause = await addIncident(database, agent, { source: "cause" });
  const other = await addIncident(database, agent, { source: "other" });
  const consequence = await addIncident(database, agent, { source: "consequence" });
  await database.database.sql`update incidents set parent_id = ${cause} where id = ${consequence}`;
  const { body } = await server.api(`/v1/incidents?view=short&parent_id=${cause}`);
  expect(body.map(({ id }: { id: number }) => id)).toEqual([consequence]);
  expect((await server.api(`/v1/incidents?view=short&parent_id=${other}`)).body).toEqual([]);
  expect((await server.api("/v1/incidents?parent_id=x")).status).toBe(422);
});
