import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 180_000;
const MIB = 1024 * 1024;

let database: TestDatabase;
let proxy: DatabaseProxy;
let server: TestServer;
let token: string;

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startDatabaseProxy(database.target);
  server = await startTestServer(proxy.url, { ADMIN_TOKEN });
  token = (await create("generic", "scripts")).body.token;
}, LIMIT_MS);
afterAll(async () => {
  await server?.stop();
  await proxy?.stop();
  await database?.close();
}, LIMIT_MS);

const admin = (path: string, method = "GET", body?: unknown) =>
  server.api(path, { method, token: ADMIN_TOKEN, ...(body === undefined ? {} : { body }) });
const create = (kind: string, name: string) => admin("/v1/integrations", "POST", { kind, name });

/** What a script sends: by default as curl does, which calls JSON a form. */
async function send(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, path = "/v1/alerts") {
  const type = "application/x-www-form-urlencoded";
  const sent = { "content-type": type, authorization: `Bearer ${token}`, connection: "close", ...headers };
  const answer = await fetch(server.url + path, { method: "POST", headers: sent, body });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text) };
}

const alert = (source: string, more: object = {}) => ({ type: "backup", source, message: "it failed", ...more });
const json = JSON.stringify;
const rowsOf = (source: string) => database.database.sql<
  { status: string; origin: string; occurrences: number; alerts: number; agent_id: string }[]
>`
  select status, origin, occurrences, agent_id, (select count(*)::int from alerts where incident_id = i.id) as alerts
  from incidents i where source = ${source} order by id`;

describe("POST /v1/alerts", () => {
  test("answers once it is durable; the same key again has no second effect, another has", async () => {
    const batch = json([alert("twice"), alert("twice", { state: "resolved" }), alert("other")]);
    const key = { "idempotency-key": "night 1" };
    const accepted = { accepted: 3, refused: 0, alerts: Array(3).fill({ status: "accepted" }) };
    expect(await send(batch, key)).toMatchObject({ status: 202, body: accepted });
    const row = { origin: "integration", alerts: 2, occurrences: 1, status: "resolved" };
    expect(await rowsOf("twice")).toMatchObject([row]);
    expect(await send(batch, key)).toMatchObject({ status: 202, body: accepted });
    expect(await rowsOf("twice")).toMatchObject([row]);
    const one = json(alert("other", { id: "own-1" }));
    for (let turn = 0; turn < 2; turn++) expect((await send(one)).status).toBe(202);
    expect(await rowsOf("other")).toMatchObject([{ occurrences: 2, status: expect.not.stringMatching("resolved") }]);
    // Whose they are is no host.
    const { body } = await admin("/v1/agents");
    expect(body).toEqual([]);
  });

  test("puts what names a host with an agent there", async () => {
    const { id } = (await admin("/v1/agents", "POST", { hostname: "db-1" })).body;
    await until(async () => {
      await send(json(alert("placed", { hostname: "DB-1" })));
      return (await rowsOf("placed")).some((row) => row.agent_id === id);
    });
    const shown = (await admin(`/v1/agents/${id}/incidents`)).body;
    expect(shown).toMatchObject([{ source: "placed", origin: "integration" }]);
  });

  test("refuses item by item, and names item and field; nothing but refusals is a 422", async () => {
    const mixed = await send(json([alert("good"), { type: "x" }, alert("bad", { severity: "bad" }), 7]));
    expect(mixed).toMatchObject({ status: 202, body: { accepted: 1, refused: 3 } });
    const said = mixed.body.alerts.map((one: { status: string; message?: string }) => [one.status, one.message]);
    expect(said).toEqual([
      ["accepted", undefined],
      ["refused", expect.stringContaining("1.source: ")],
      ["refused", expect.stringContaining("2.severity: ")],
      ["refused", expect.stringContaining("3: ")],
    ]);
    expect(await rowsOf("good")).toHaveLength(1);
    const bad = await send(json([{ ...alert("none"), id: 5 }]));
    expect(bad).toMatchObject({ status: 422, body: { errors: [{ field: "0.id" }] } });
    expect(await send(json({ type: "x", source: "y" }))).toMatchObject({
      status: 422,
      body: { errors: [{ field: "message" }] },
    });
    expect((await send("[]")).status).toBe(422);
    expect((await send(json(Array(1001).fill(alert("many"))))).status).toBe(422);
    expect((await send(json(alert("k")), { "idempotency-key": "x".repeat(256) })).status).toBe(422);
    expect(await send("{")).toMatchObject({ status: 400 });
    expect((await send(new Uint8Array([0x22, 0xff, 0x22]))).status).toBe(400);
  });

  test("takes gzip, and no more than 8 MiB of it or without it", async () => {
    const gzip = { "content-encoding": "gzip" };
    expect((await send(Bun.gzipSync(Buffer.from(json(alert("packed")))), gzip)).status).toBe(202);
    expect(await rowsOf("packed")).toHaveLength(1);
    const long = json(alert("long", { logs: "x".repeat(7 * MIB) }));
    expect((await send(long)).status).toBe(202);
    const tooLong = json(alert("longer", { logs: "x".repeat(8 * MIB) }));
    for (const [body, headers, status] of [
      [Bun.gzipSync(Buffer.from(tooLong)), gzip, 413],
      ["no gzip", gzip, 400],
      [json(alert("x")), { "content-encoding": "br" }, 415],
    ] as const)
      expect((await send(body, headers)).status).toBe(status);
    // What is longer than any route takes is refused before its body is read: the sender may be cut off while it sends.
    const refused = await send(tooLong).catch(() => ({ status: 413 }));
    expect(refused.status).toBe(413);
    expect(await rowsOf("longer")).toHaveLength(0);
  });

  test("is for its integration's token alone, which is good for nothing else", async () => {
    const bad = [{}, { authorization: `Bearer ${ADMIN_TOKEN}` }, { authorization: `Bearer opi_${"x".repeat(43)}` }];
    const tried = await Promise.all(bad.map((headers) => send(json(alert("x")), { authorization: "", ...headers })));
    expect(tried.map(({ status }) => status)).toEqual([401, 401, 401]);
    expect((await server.api("/v1/agents", { token })).status).toBe(401);
    const other = (await create("alertmanager", "prod")).body;
    const asOther = { authorization: `Bearer ${other.token}` };
    expect(await send(json(alert("x")), asOther)).toMatchObject({ status: 403, body: { code: "other_intake" } });
  });

  test("lives as people say: one name once, another token, none", async () => {
    const made = await create("generic", "nightly");
    expect(made).toMatchObject({ status: 201, body: { kind: "generic", url: `${server.url}/v1/alerts` } });
    expect(made.body.setup).toContain(made.body.token);
    expect(await create("generic", "NIGHTLY")).toMatchObject({ status: 409, body: { code: "name_taken" } });
    expect((await create("cobol", "x")).status).toBe(422);
    const path = `/v1/integrations/${made.body.id}`;
    const statusOf = async (secret: string) =>
      (await send(json(alert("life")), { authorization: `Bearer ${secret}` })).status;
    expect(await statusOf(made.body.token)).toBe(202);
    const listed = (await admin("/v1/integrations?limit=1")).body;
    expect(listed).toMatchObject([{ name: "nightly", last_used_at: expect.any(String) }]);
    expect(json(listed)).not.toContain("opi_");
    const rotated = (await admin(`${path}/rotate`, "POST")).body;
    expect([await statusOf(made.body.token), await statusOf(rotated.token)]).toEqual([401, 202]);
    expect((await admin(path, "DELETE")).status).toBe(204);
    expect(await statusOf(rotated.token)).toBe(401);
    expect([(await admin(path, "DELETE")).status, (await admin(`${path}/rotate`, "POST")).status]).toEqual([404, 404]);
    expect((await rowsOf("life"))[0]).toMatchObject({ occurrences: 2 });
    const kinds = await database.database.sql`
      select kind from events where data->>'integration_id' = ${made.body.id} order by id`;
    expect(kinds.map(({ kind }) => kind)).toEqual(["created", "rotated", "revoked"].map((end) => `integration.${end}`));
    expect(server.log.join("\n")).not.toContain(rotated.token);
  });

  test("has its say about its own problems alone: what a sender has a name for, it ends itself, and what fires again is news", async () => {
    const agentId = (await admin("/v1/agents", "POST", { hostname: "pump-1" })).body.id;
    await until(async () => {
      await send(json(alert("warm-up", { hostname: "pump-1" })));
      return (await rowsOf("warm-up")).some((row) => row.agent_id === agentId);
    });
    const named = (await create("alertmanager", "named")).body.token;
    const startsAt = new Date(Date.now() - 60_000).toISOString();
    const message = (status: "firing" | "resolved", endsAt = "0001-01-01T00:00:00Z") =>
      json({
        version: "4",
        alerts: [
          {
            status,
            labels: { alertname: "Down", name: "pump.service", host: "pump-1" },
            annotations: { summary: "it is down" },
            startsAt,
            endsAt,
            fingerprint: "f1e2d3c4b5a69788",
          },
        ],
      });
    const say = (...given: Parameters<typeof message>) =>
      send(message(...given), { authorization: `Bearer ${named}` }, "/v1/integrations/alertmanager");
    const standing = async () => (await rowsOf("pump.service")).map(({ status }) => status === "resolved");

    for (let turn = 0; turn < 2; turn++) expect((await say("firing")).status).toBe(202);
    expect(await rowsOf("pump.service")).toMatchObject([{ occurrences: 1, agent_id: agentId }]);
    const foreign = { type: "systemd", source: "pump.service", message: "x", state: "resolved", hostname: "pump-1" };
    expect((await send(json(foreign))).status).toBe(202);
    expect(await standing()).toEqual([false]);

    const ends = ["01", "02"].map((second) => startsAt.replace(/\d\d\.\d{3}Z$/, `${second}Z`));
    expect((await say("resolved", ends[0])).status).toBe(202);
    expect(await standing()).toEqual([true]);
    for (let turn = 0; turn < 2; turn++) expect((await say("firing")).status).toBe(202);
    expect(await standing()).toEqual([true, false]);
    expect((await rowsOf("pump.service"))[1]).toMatchObject({ occurrences: 1 });
    expect((await say("resolved", ends[1])).status).toBe(202);
  });

  test("says 503 while nothing can be stored; the same again afterwards counts once", async () => {
    const key = { "idempotency-key": "away" };
    const body = json(alert("away"));
    proxy.cut();
    const away = await send(body, key);
    expect([away.status, Number(away.headers.get("retry-after"))]).toEqual([503, expect.any(Number)]);
    proxy.mend();
    await until(async () => (await send(body, key)).status === 202);
    expect((await send(body, key)).status).toBe(202);
    expect(await rowsOf("away")).toMatchObject([{ occurrences: 1, alerts: 1 }]);
  });
});
