import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ENROLMENT_HEADER } from "../../src/protocol/frames.ts";
import { HostAgent } from "../support/host-agent.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

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

const post = async (path: string, body: object = {}) => {
  const answer = await nodes[1].api(path, { method: "POST", body, token: ADMIN_TOKEN });
  return answer.body;
};
const heartbeat = (id: string) => ({ ver: "1.1", type: "heartbeat", id, token: "", data: "" });

/** What the server says first to an agent with this token: `welcome`, or why not. */
async function greeting(token: string, headers: Record<string, string> = {}, node = nodes[0]): Promise<string> {
  const agent = await node.connect({ authorization: `Bearer ${token}`, ...headers });
  agent.send(heartbeat("first"));
  const frame = await agent.frame(0);
  await agent.close();
  return frame.type === "error" ? `${frame.code}: ${frame.message}` : frame.type;
}

describe("an enrolment token", () => {
  const later = () => new Date(Date.now() + 3_600_000).toISOString();
  const enrolling = (token: string) => ({ [ENROLMENT_HEADER]: token });
  const REFUSED = "unauthorized: the enrolment token is unknown, revoked, over or used up";
  let made = 0;
  const own = () => `own-token-of-host-${made++}`;
  const usesLeft = async (id: string) => {
    const { body } = await nodes[0].api("/v1/enrolments", { token: ADMIN_TOKEN });
    return body.find((one: { id: string }) => one.id === id)?.uses_left;
  };

  test("makes so many hosts known, and no more", async () => {
    const { id, token } = await post("/v1/enrolments", { uses: 2, until: later() });
    expect(token).toMatch(/^ope_[\w-]{43}$/);
    const first = own();
    expect(await greeting(first, enrolling(token))).toBe("welcome");
    expect(await usesLeft(id)).toBe(1);
    // Coming back is no second use, with the token or without, on whatever node.
    expect(await greeting(first, enrolling(token), nodes[1])).toBe("welcome");
    expect(await greeting(first)).toBe("welcome");
    expect(await usesLeft(id)).toBe(1);
    expect(await greeting(own(), enrolling(token))).toBe("welcome");
    expect(await usesLeft(id)).toBeUndefined();
    expect(await greeting(own(), enrolling(token))).toBe(REFUSED);
    expect(await greeting(own())).toContain("enrolment is closed");
    const lines = await database.database.sql<{ data: object }[]>`
      select data from events where kind = 'agent.enrolled' and data->>'enrolment_id' = ${id}`;
    expect(lines).toHaveLength(2);
  });

  test("makes no more hosts known than it is for when many come at once", async () => {
    const { token } = await post("/v1/enrolments", { uses: 5, until: later() });
    const greetings = await Promise.all(
      Array.from({ length: 12 }, (_, n) => greeting(own(), enrolling(token), nodes[n % 2])),
    );
    expect(greetings.filter((one) => one === "welcome")).toHaveLength(5);
    expect(greetings.filter((one) => one === REFUSED)).toHaveLength(7);
  });

  test("is used once by a host that comes to two nodes at the same time", async () => {
    for (let round = 0; round < 10; round++) {
      const { id, token } = await post("/v1/enrolments", { uses: 5, until: later() });
      const host = own();
      const greetings = await Promise.all(nodes.map((node) => greeting(host, enrolling(token), node)));
      expect([greetings, await usesLeft(id)]).toEqual([["welcome", "welcome"], 4]);
    }
  });

  test("is good until its end, or until somebody revokes it; hosts that came by it stay", async () => {
    const [over, revoked] = [
      await post("/v1/enrolments", { uses: 5, until: later() }),
      await post("/v1/enrolments", { uses: 5, until: later() }),
    ];
    const host = own();
    expect(await greeting(host, enrolling(revoked.token))).toBe("welcome");
    await database.database.sql`update enrolments set until = now() where id = ${over.id}`;
    const path = `/v1/enrolments/${revoked.id}`;
    expect((await nodes[1].api(path, { method: "DELETE", token: ADMIN_TOKEN })).status).toBe(204);
    expect((await nodes[1].api(path, { method: "DELETE", token: ADMIN_TOKEN })).status).toBe(404);
    for (const { token } of [over, revoked]) expect(await greeting(own(), enrolling(token))).toBe(REFUSED);
    expect(await greeting(host)).toBe("welcome");
  });

  test("brings no removed host back, and is no token of the API or of an agent", async () => {
    const { token } = await post("/v1/enrolments", { uses: 5, until: later() });
    const host = own();
    expect(await greeting(host, enrolling(token))).toBe("welcome");
    const agents = (await nodes[0].api("/v1/agents", { token: ADMIN_TOKEN })).body;
    await nodes[0].api(`/v1/agents/${agents[0].id}`, { method: "DELETE", token: ADMIN_TOKEN });
    expect(await greeting(host, enrolling(token))).toBe("unauthorized: this token was revoked");
    expect((await nodes[0].api("/v1/agents", { token })).status).toBe(401);
    expect(await greeting(token)).toContain("enrolment is closed");
  });

  test("is stored so that nobody can use what is stored", async () => {
    const { token } = await post("/v1/enrolments", { uses: 5, until: later() });
    await greeting(own(), enrolling(token));
    const rows = await database.database.sql`select * from enrolments`;
    expect(JSON.stringify(rows)).not.toContain(token);
    for (const node of nodes) expect(node.log.join("")).not.toContain(token);
  });
});

describe("hosts of one image", () => {
  const imageOf = (token: string) => ({ OPSPILOT_TOKEN: "", OPSPILOT_ENROL_TOKEN: token });
  const idIn = (agent: HostAgent) => /"agent":"([0-9a-f-]{36})".*"msg":"connected"/.exec(agent.log.join(""))?.[1];

  async function startHost(dir: string, token: string): Promise<{ agent: HostAgent; id: string }> {
    const agent = await HostAgent.start(nodes[0].url.replace("http", "ws"), { dir, env: imageOf(token) });
    return { agent, id: await until(() => idIn(agent), { ms: 20_000, what: "the host is connected" }) };
  }

  test("make tokens of their own, keep them, and so are hosts of their own", async () => {
    const { id: enrolment, token } = await post("/v1/enrolments", {
      uses: 2,
      until: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const folder = mkdtempSync(join(tmpdir(), "opspilot-image-"));
    const [first, second] = [await startHost(join(folder, "1"), token), await startHost(join(folder, "2"), token)];
    expect(first.id).not.toBe(second.id);
    await first.agent.stop();
    await nodes[0].api(`/v1/enrolments/${enrolment}`, { method: "DELETE", token: ADMIN_TOKEN });
    const again = await startHost(join(folder, "1"), token);
    expect(again.id).toBe(first.id);
    const file = join(folder, "1", "agent", "token");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    for (const { agent } of [again, second]) {
      expect(agent.log.join("")).not.toContain(readFileSync(file, "utf8").trim());
      expect(agent.log.join("")).not.toContain(token);
      await agent.stop();
    }
    rmSync(folder, { recursive: true });
  });
});

describe("an agent's token that is rotated", () => {
  const create = () => post("/v1/agents", { hostname: "web-1" });
  const rotate = (id: string, body: object) => post(`/v1/agents/${id}/rotate-token`, body);

  test("with a grace time is good beside the new one, and the agent stays connected", async () => {
    const { id, token } = await create();
    const agent = await nodes[0].connect({ authorization: `Bearer ${token}` });
    agent.send(heartbeat("a"));
    expect((await agent.frame(0)).type).toBe("welcome");
    const { token: next } = await rotate(id, { grace_s: 3_600 });
    agent.send(heartbeat("b"));
    await until(() => agent.frames.some((frame) => frame.type === "ack" && frame.id === "b"));
    expect(agent.closed).toBeUndefined();
    for (const one of [next, token]) expect(await greeting(one, {}, nodes[1])).toBe("welcome");
  });

  test("is no longer good once that time is over, and never enrols again", async () => {
    const { id, token } = await create();
    const { token: next } = await rotate(id, { grace_s: 3_600 });
    await database.database.sql`update agents set previous_until = now() where id = ${id}`;
    expect(await greeting(token)).toBe("unauthorized: this token was revoked");
    expect(await greeting(next)).toBe("welcome");
    const open = await startTestServer(database.url, { ADMIN_TOKEN, AGENT_ENROLLMENT: "open" });
    expect(await greeting(token, {}, open)).toBe("unauthorized: this token was revoked");
    await open.stop();
  });

  test("twice within the time leaves the last two; without a time only the last; and a removed agent has none", async () => {
    const { id, token } = await create();
    const { token: second } = await rotate(id, { grace_s: 3_600 });
    const { token: third } = await rotate(id, { grace_s: 3_600 });
    expect(await greeting(token)).toContain("revoked");
    for (const one of [second, third]) expect(await greeting(one)).toBe("welcome");
    const { token: fourth } = await rotate(id, {});
    for (const one of [second, third]) expect(await greeting(one)).toContain("revoked");
    const { token: fifth } = await rotate(id, { grace_s: 3_600 });
    await nodes[0].api(`/v1/agents/${id}`, { method: "DELETE", token: ADMIN_TOKEN });
    for (const one of [fourth, fifth]) expect(await greeting(one)).toContain("revoked");
  });

  test("without a grace time is cut off at once on every node", async () => {
    const { id, token } = await create();
    const agent = await nodes[0].connect({ authorization: `Bearer ${token}` });
    agent.send(heartbeat("a"));
    await agent.frame(0);
    await rotate(id, {});
    expect((await agent.ended()).code).toBe(1008);
  });
});
