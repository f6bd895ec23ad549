import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createAccessStore } from "../../src/access/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const HOUR_MS = 3_600_000;

let database: TestDatabase;
let nodes: [TestServer, TestServer];

beforeAll(async () => {
  database = await createTestDatabase();
  const start = () => startTestServer(database.url, { ADMIN_TOKEN });
  nodes = [await start(), await start()];
}, 180_000);

afterAll(async () => {
  for (const node of nodes ?? []) await node.stop();
  await database?.close();
}, 180_000);

const later = () => new Date(Date.now() + HOUR_MS).toISOString();

async function make(name: string, role: string, more: object = {}): Promise<{ id: string; token: string }> {
  const { status, body } = await nodes[0].api("/v1/tokens", {
    method: "POST",
    body: { name, role, ...more },
    token: ADMIN_TOKEN,
  });
  expect(status).toBe(201);
  return body;
}

const statusesOf = (token: string) =>
  Promise.all(nodes.map(async (node) => (await node.api("/v1/agents", { token })).status));

const revoke = (id: string) => nodes[1].api(`/v1/tokens/${id}`, { method: "DELETE", token: ADMIN_TOKEN });

const auditOf = (kind: string) =>
  database.database.sql<{ actor: string; data: Record<string, unknown> }[]>`
    select actor, data from events where kind = ${kind} order by id desc`;

describe("an access token", () => {
  test("is good on every node, until it is revoked: then on none from the next request on", async () => {
    const { id, token } = await make("ci", "viewer");
    expect(token).toMatch(/^opt_[\w-]{43}$/);
    expect(await statusesOf(token)).toEqual([200, 200]);
    expect((await revoke(id)).status).toBe(204);
    expect(await statusesOf(token)).toEqual([401, 401]);
    expect((await revoke(id)).status).toBe(404);
    expect((await auditOf("token.created"))[0]?.data).toMatchObject({ token_id: id, name: "ci", role: "viewer" });
    expect((await auditOf("token.revoked"))[0]?.data).toMatchObject({ token_id: id, name: "ci" });
  });

  test("ends when it says, and so does what signed in with it", async () => {
    const { id, token } = await make("shift", "operator", { expires_at: later() });
    const [node] = nodes;
    const headers = { origin: node.url, "content-type": "application/json", connection: "close" };
    const signIn = await fetch(`${node.url}/v1/session`, { method: "POST", headers, body: JSON.stringify({ token }) });
    const cookie = signIn.headers.get("set-cookie")?.split(";")[0] ?? "";
    const session = () => fetch(`${nodes[1].url}/v1/session`, { headers: { cookie, connection: "close" } });
    const open = (await (await session()).json()) as { expires_at: string };
    expect(open).toMatchObject({ signed_in: true, role: "operator", name: "shift" });
    expect(Date.parse(open.expires_at)).toBeLessThan(Date.now() + HOUR_MS + 1);
    await database.database.sql`update access_tokens set until = now() where id = ${id}`;
    expect(await statusesOf(token)).toEqual([401, 401]);
    expect(await (await session()).json()).toMatchObject({ signed_in: false, role: null });
    // Its name is free again.
    expect((await make("SHIFT", "operator")).id).not.toBe(id);
  });

  test("takes its sessions with it when it is revoked, or gone altogether", async () => {
    for (const end of ["revoke", "forget"]) {
      const { id, token } = await make(`laptop ${end}`, "admin");
      const [node] = nodes;
      const headers = { origin: node.url, "content-type": "application/json", connection: "close" };
      const signIn = await fetch(`${node.url}/v1/session`, {
        method: "POST",
        headers,
        body: JSON.stringify({ token }),
      });
      const cookie = signIn.headers.get("set-cookie")?.split(";")[0] ?? "";
      const status = async () =>
        (await fetch(`${nodes[1].url}/v1/agents`, { headers: { cookie, connection: "close" } })).status;
      expect(await status()).toBe(200);
      if (end === "revoke") await revoke(id);
      else await database.database.sql`delete from access_tokens where id = ${id}`;
      expect([end, await status()]).toEqual([end, 401]);
    }
  });

  test("has a name of its own while it is good, whatever the case, and never the administrator's", async () => {
    const { id } = await make("Deploy", "operator");
    const again = (name: string) =>
      nodes[1].api("/v1/tokens", { method: "POST", body: { name, role: "viewer" }, token: ADMIN_TOKEN });
    for (const name of ["Deploy", "deploy", "admin_token"]) {
      const { status, body } = await again(name);
      expect([name, status, body.code]).toEqual([name, 409, "name_taken"]);
    }
    await revoke(id);
    expect((await again("deploy")).status).toBe(201);
  });

  test("shows when and from where it was used last", async () => {
    const { id, token } = await make("grafana", "viewer");
    for (let n = 0; n < 20; n++) await nodes[0].api("/v1/agents", { token });
    const row = async () => {
      const { body } = await nodes[1].api("/v1/tokens", { token: ADMIN_TOKEN });
      return body.find((one: { id: string }) => one.id === id);
    };
    const seen = async () => {
      const one = await row();
      return one.last_used_at === null ? undefined : one;
    };
    const used = await until(seen, { ms: 25_000 });
    expect(used).toMatchObject({ name: "grafana", last_used_from: "127.0.0.1" });
    expect(Math.abs(Date.parse(used.last_used_at) - Date.now())).toBeLessThan(30_000);
    expect(JSON.stringify(used)).not.toContain(token);
  });

  test("is stored so that nobody can use what is stored, and logged nowhere", async () => {
    const { token } = await make("secret", "viewer");
    await statusesOf(token);
    const rows = await database.database.sql`select * from access_tokens`;
    expect(JSON.stringify(rows)).not.toContain(token);
    for (const node of nodes) expect(node.log.join("")).not.toContain(token);
  });

  test("is forgotten a while after its end", async () => {
    const { sql } = database.database;
    const store = createAccessStore(sql, createIncidentWriter());
    const { id } = await make("old", "viewer");
    await revoke(id);
    const isThere = async () => (await sql`select from access_tokens where id = ${id}`).count === 1;
    await store.deleteOld(HOUR_MS);
    expect(await isThere()).toBe(true);
    await sql`update access_tokens set revoked_at = now() - interval '2 h' where id = ${id}`;
    await store.deleteOld(HOUR_MS);
    expect(await isThere()).toBe(false);
  });
});

describe("the audit trail", () => {
  const kinds = async () =>
    (await database.database.sql<{ kind: string }[]>`select kind from events where kind ~ '^(session|access)'`).map(
      ({ kind }) => kind,
    );

  test("has who signed in and out, and who was refused", async () => {
    await database.database.sql`delete from events`;
    const { token } = await make("viewer of the trail", "viewer");
    const [node] = nodes;
    const headers = { origin: node.url, "content-type": "application/json", connection: "close" };
    const send = (method: string, body: object, cookie = "") =>
      fetch(`${node.url}/v1/session`, { method, headers: { ...headers, cookie }, body: JSON.stringify(body) });
    const signIn = await send("POST", { token });
    const cookie = signIn.headers.get("set-cookie")?.split(";")[0] ?? "";
    await send("DELETE", {}, cookie);
    await send("POST", { token: "wrong" });
    await node.api("/v1/agents", { method: "POST", token });
    await node.api("/v1/agents", { method: "POST", token });
    const all = ["access.refused", "session.ended", "session.refused", "session.started"];
    await until(async () => ((await kinds()).length >= all.length ? true : undefined));
    expect((await kinds()).sort()).toEqual(all);
    expect((await auditOf("session.started"))[0]?.actor).toBe("api:viewer of the trail@127.0.0.1");
    expect((await auditOf("session.refused"))[0]?.actor).toBe("api:127.0.0.1");
    expect((await auditOf("access.refused"))[0]?.data).toEqual({
      route: "POST /v1/agents",
      role: "viewer",
      needed: "admin",
    });
  });

  test("tells who did what, when and from where, by whatever filter, page by page", async () => {
    await database.database.sql`delete from events`;
    const [node] = nodes;
    const alice = await make("alice", "admin");
    const agent = (await node.api("/v1/agents", { method: "POST", body: { hostname: "web-1" }, token: alice.token }))
      .body;
    await node.api(`/v1/agents/${agent.id}/rotate-token`, { method: "POST", token: ADMIN_TOKEN });
    const silence = { source: "nginx*", until: later() };
    await node.api("/v1/silences", { method: "POST", body: silence, token: alice.token });
    await database.database.sql`
      insert into events (kind, actor) values ('explained_by_model', 'system'), ('agent.enrolled', 'agent'),
        ('decided', 'slack:U012AB3CD'), ('agent.created', 'cli:root'), ('command', 'model')`;
    const audit = async (query = "") => {
      const { status, body } = await node.api(`/v1/audit${query}`, { token: alice.token });
      expect(status).toBe(200);
      return body as { kind: string; actor: string; name: string | null; address: string | null; at: string }[];
    };
    const kinds = async (query: string) => (await audit(query)).map(({ kind }) => kind);
    const all = await audit();
    expect(all.map(({ kind, name, address }) => [kind, name, address])).toEqual([
      ["command", null, null],
      ["agent.created", "root", null],
      ["decided", "U012AB3CD", null],
      ["silence.created", "alice", "127.0.0.1"],
      ["agent.token_rotated", "ADMIN_TOKEN", "127.0.0.1"],
      ["agent.created", "alice", "127.0.0.1"],
      ["token.created", "ADMIN_TOKEN", "127.0.0.1"],
    ]);
    expect(all[5]).toMatchObject({ host: "web-1", agent_id: agent.id, actor: "api:alice@127.0.0.1" });
    expect(await kinds("?who=alice")).toEqual(["silence.created", "agent.created"]);
    expect(await kinds("?who=U012AB3CD")).toEqual(["decided"]);
    expect(await kinds("?who=cli:root")).toEqual(["agent.created"]);
    expect(await kinds("?who=model")).toEqual(["command"]);
    expect(await kinds("?who=system")).toEqual(["explained_by_model"]);
    expect(await kinds("?who=al%25")).toEqual([]);
    expect(await kinds("?what=agent.*")).toEqual(["agent.created", "agent.token_rotated", "agent.created"]);
    expect(await kinds("?what=decided")).toEqual(["decided"]);
    expect(await kinds("?from=127.0.0.1&who=alice&what=silence.*")).toEqual(["silence.created"]);
    expect(await kinds("?from=10.0.0.1")).toEqual([]);
    expect(await kinds(`?agent_id=${agent.id}`)).toEqual(["agent.token_rotated", "agent.created"]);
    expect(await kinds(`?since=${later()}`)).toEqual([]);
    expect(await kinds(`?until=${later()}`)).toHaveLength(7);
    const pages: string[] = [];
    for (let path: string | undefined = "/v1/audit?limit=3"; path !== undefined; ) {
      const headers = { authorization: `Bearer ${alice.token}`, connection: "close" };
      const answer: Response = await fetch(node.url + path, { headers });
      pages.push(...((await answer.json()) as { kind: string }[]).map(({ kind }) => kind));
      path = /<(.+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    expect(pages).toEqual(all.map(({ kind }) => kind));
  });

  test("has one line of an address that guesses, and the metrics count each guess", async () => {
    await database.database.sql`delete from events`;
    const [node] = nodes;
    const statuses: number[] = [];
    for (let n = 0; n < 110; n++) statuses.push((await node.api("/v1/agents", { token: `guess-${n}` })).status);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(5);
    await until(async () => (await kinds()).includes("access.guessed"));
    expect(await kinds()).toEqual(["access.guessed"]);
    expect(node.log.filter((line) => line.includes("too many wrong credentials"))).toHaveLength(1);
    const metrics = await fetch(`${node.url}/metrics`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, connection: "close" },
    });
    const text = await metrics.text();
    const count = (outcome: string) =>
      Number(new RegExp(`credentials_refused_total\\{way="api",outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
    expect(count("refused")).toBeGreaterThanOrEqual(100 - 10);
    expect(count("limited")).toBe(statuses.filter((status) => status === 429).length);
    // At the agents' stream they are counted for themselves.
    const agent = await node.connect();
    agent.send({ ver: "1.1", token: "a-guess-at-the-stream" });
    await agent.ended();
    const after = await fetch(`${node.url}/metrics`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, connection: "close" },
    });
    expect(await after.text()).toContain('opspilot_credentials_refused_total{way="stream",outcome="refused"} 1');
    // Others from there are let in.
    const { token } = await make("neighbour", "viewer");
    expect((await node.api("/v1/agents", { token })).status).toBe(200);
  });
});
