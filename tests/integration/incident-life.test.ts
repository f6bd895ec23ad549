import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url, { HEARTBEAT_TIMEOUT: "1s" });
});
afterAll(async () => {
  await server.stop();
  await database.close();
});

const silences = async (query = "") => (await server.api(`/v1/silences${query}`)).body;

test("an agent that falls silent is an incident, which its return resolves", async () => {
  const { body } = await server.api("/v1/agents", { method: "POST", body: { hostname: "web-9" } });
  const heartbeat = { ver: "1.1", token: body.token, type: "heartbeat", data: "", compression: "none" };
  const agent = await server.connect();
  for (const id of ["h1", "h2"]) agent.send({ ...heartbeat, id, ts: Date.now() / 1000 });
  await agent.frame(2);
  const incidents = async () => (await server.api(`/v1/agents/${body.id}/incidents`)).body;
  // Closed with a code that is no goodbye, as by a host that crashed.
  await agent.close(4000);
  const [incident] = await until(async () => (await incidents()).length > 0 && incidents(), { ms: 25_000 });
  expect(incident).toMatchObject({ type: "host", source: "agent", severity: "critical", occurrences: 1 });
  expect(incident.raw_error).toStartWith("No sign of life from web-9");
  const back = await server.connect();
  back.send({ ...heartbeat, id: "h3", ts: Date.now() / 1000 });
  await until(async () => (await incidents())[0].status === "resolved", { ms: 10_000 });
  expect(await incidents()).toHaveLength(1);
  await back.close();
}, 180_000);

test("a person's ignoring of an incident is a silence that ends with it", async () => {
  const { body } = await server.api("/v1/agents", { method: "POST", body: { hostname: "web-1" } });
  const agent = await server.connect();
  agent.send(alertFrame("m1", body.token));
  const [incident] = await until(async () => {
    const { body: found } = await server.api(`/v1/agents/${body.id}/incidents`);
    return found.length > 0 && found;
  });
  const patch = (status: string) => server.api(`/v1/incidents/${incident.id}`, { method: "PATCH", body: { status } });
  expect((await patch("ignored")).body.status).toBe("ignored");
  expect(await silences()).toMatchObject([{ incident_id: incident.id, ends: "until_resolved", source: "nginx" }]);
  expect((await patch("resolved")).body.status).toBe("resolved");
  expect(await silences()).toEqual([]);
  expect(await silences("?ended=true")).toMatchObject([{ incident_id: incident.id, ended_at: expect.any(String) }]);
  const { body: whole } = await server.api(`/v1/incidents/${incident.id}`);
  const kinds = whole.timeline.map(({ kind }: { kind: string }) => kind);
  expect(kinds).toEqual(expect.arrayContaining(["opened", "ignored", "silence.created", "resolved", "silence.ended"]));
  await agent.close();
});

test("a silence that a person asks for is kept until it is deleted", async () => {
  const made = await server.api("/v1/silences", {
    method: "POST",
    body: { source: "nightly-*", comment: "the backup" },
  });
  expect(made).toMatchObject({ status: 201, body: { source: "nightly-*", ends: "never", until: null } });
  expect(await silences()).toMatchObject([{ id: made.body.id, comment: "the backup" }]);
  const remove = () => server.api(`/v1/silences/${made.body.id}`, { method: "DELETE" });
  expect((await remove()).status).toBe(204);
  expect((await remove()).status).toBe(404);
  expect(await silences()).toEqual([]);
});
