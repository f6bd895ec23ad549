import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSessionStore } from "../../src/sessions/store.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const OTHER_TOKEN = "another-token-of-the-administrator";
const HOUR_MS = 3_600_000;

let database: TestDatabase;
/** Two that know the same token, and one that was started with another. */
let nodes: [TestServer, TestServer, TestServer];

beforeAll(async () => {
  database = await createTestDatabase();
  const start = (token: string) => startTestServer(database.url, { ADMIN_TOKEN: token });
  nodes = [await start(ADMIN_TOKEN), await start(ADMIN_TOKEN), await start(OTHER_TOKEN)];
}, 180_000);

afterAll(async () => {
  for (const node of nodes ?? []) await node.stop();
  await database?.close();
}, 180_000);

function send({ url }: TestServer, method: string, path: string, { cookie = "", body = "" } = {}): Promise<Response> {
  const headers = { origin: url, connection: "close", "content-type": "application/json", cookie };
  return fetch(url + path, { method, headers, ...(body === "" ? {} : { body }) });
}

async function signIn(node: TestServer, token = ADMIN_TOKEN): Promise<string> {
  const answer = await send(node, "POST", "/v1/session", { body: JSON.stringify({ token }) });
  expect(answer.status).toBe(204);
  expect(answer.headers.get("set-cookie")).toContain("; Max-Age=43200; ");
  return answer.headers.get("set-cookie")?.split(";")[0] ?? "";
}

const statuses = (cookie: string) =>
  Promise.all(nodes.map(async (node) => (await send(node, "GET", "/v1/agents", { cookie })).status));

test("a session holds on every node that knows its token, and ends on all at once", async () => {
  const cookie = await signIn(nodes[0]);
  expect(await statuses(cookie)).toEqual([200, 200, 401]);
  expect((await send(nodes[1], "POST", "/v1/agents", { cookie })).status).toBe(201);
  expect((await send(nodes[1], "DELETE", "/v1/session", { cookie })).status).toBe(204);
  expect(await statuses(cookie)).toEqual([401, 401, 401]);
});

test("sessions of several browsers know nothing of each other", async () => {
  const [first, second] = [await signIn(nodes[0]), await signIn(nodes[1])];
  await send(nodes[0], "DELETE", "/v1/session", { cookie: first });
  expect(await statuses(second)).toEqual([200, 200, 401]);
});

test("a session ends when ADMIN_TOKEN changes", async () => {
  const cookie = await signIn(nodes[2], OTHER_TOKEN);
  expect(await statuses(cookie)).toEqual([401, 401, 200]);
  await nodes[2].stop();
  nodes[2] = await startTestServer(database.url, { ADMIN_TOKEN });
  expect(await statuses(cookie)).toEqual([401, 401, 401]);
  expect(await (await send(nodes[2], "GET", "/v1/session", { cookie })).json()).toEqual({
    access: "token",
    signed_in: false,
    expires_at: null,
    role: null,
    name: null,
    signed_in_by: null,
    oidc: null,
  });
});

test("a session lasts twelve hours, and is deleted once it is over", async () => {
  const { sql } = database.database;
  await sql`delete from sessions`;
  const cookie = await signIn(nodes[0]);
  const session = (await (await send(nodes[0], "GET", "/v1/session", { cookie })).json()) as { expires_at: string };
  expect(Date.parse(session.expires_at) - Date.now()).toBeWithin(12 * HOUR_MS - 60_000, 12 * HOUR_MS + 60_000);
  const lasting = await signIn(nodes[0]);
  const store = createSessionStore(sql);
  expect(await store.deleteOver()).toBe(0);
  await sql`update sessions set expires_at = now() where created_at = (select min(created_at) from sessions)`;
  expect(await statuses(cookie)).toEqual([401, 401, 401]);
  expect(await store.deleteOver()).toBe(1);
  expect((await statuses(lasting))[0]).toBe(200);
});

test("what is stored gives nobody a session", async () => {
  const cookie = await signIn(nodes[0]);
  const rows = await database.database.sql`select * from sessions`;
  const text = JSON.stringify(rows);
  const secret = cookie.split("=")[1] ?? "";
  expect(secret).toHaveLength(43);
  for (const one of [secret, ADMIN_TOKEN, new Bun.CryptoHasher("sha256").update(secret).digest("hex")])
    expect(text).not.toContain(one);
  for (const node of nodes) expect(node.log.join()).not.toContain(secret);
});
