import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let nodes: [TestServer, TestServer];

beforeAll(async () => {
  database = await createTestDatabase();
  nodes = [await startTestServer(database.url), await startTestServer(database.url)];
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await database.close();
});

async function createAgent(): Promise<{ id: string; token: string }> {
  return (await nodes[0].api("/v1/agents", { method: "POST", body: { hostname: "web-1" } })).body;
}

async function greet(node: TestServer, token: string): Promise<TestAgent> {
  const socket = await node.connect();
  socket.send({ ver: "1.1", id: "hello", token, ts: Date.now() / 1000 });
  await until(() => socket.frames.some((frame) => frame.type === "ack"), { what: "the ack" });
  return socket;
}

const statusOf = async (id: string, node = nodes[0]) => (await node.api(`/v1/agents/${id}`)).body?.status;
const online = (id: string) => until(async () => (await statusOf(id)) === "online", { what: "online" });

describe("two nodes on one database", () => {
  test("an agent that comes to one leaves the other: the newer connection wins", async () => {
    const { id, token } = await createAgent();
    const first = await greet(nodes[0], token);
    await online(id);
    const second = await greet(nodes[1], token);
    expect((await first.ended()).code).toBe(4409);
    await online(id);
    expect(second.closed).toBeUndefined();
    const back = await greet(nodes[0], token);
    expect((await second.ended()).code).toBe(4409);
    expect(back.closed).toBeUndefined();
    await back.close();
    await until(async () => (await statusOf(id)) === "offline", { what: "offline" });
  });

  test("a command given to one reaches the agent on the other, and its result comes back", async () => {
    const { id, token } = await createAgent();
    const socket = await greet(nodes[1], token);
    await online(id);
    const body = { agent_id: id, command: "restart_service", params: { service: "nginx" }, wait_s: 10 };
    const answer = nodes[0].api("/v1/admin/exec", { method: "POST", body });
    const command = await until(() => socket.frames.find((frame) => frame.type === "command"), { what: "the command" });
    expect(command).toMatchObject({ command: "restart_service", params: { service: "nginx" }, ttl_s: 60 });
    const result = {
      command_id: command.type === "command" ? command.id : "",
      status: "done",
      exit_code: 0,
      output: "ok",
    };
    socket.send({ ver: "1.1", id: "r", token, type: "result", ts: Date.now() / 1000, data: JSON.stringify(result) });
    expect(await answer).toMatchObject({
      status: 200,
      body: { status: "sent", command_id: result.command_id, result: { status: "done", exit_code: 0, output: "ok" } },
    });
    await socket.close();
  }, 180_000);

  test("a deleted agent's socket closes on the other, and its token never enrols again", async () => {
    const { id, token } = await createAgent();
    const socket = await greet(nodes[1], token);
    expect((await nodes[0].api(`/v1/agents/${id}`, { method: "DELETE" })).status).toBe(204);
    const closed = await until(() => socket.closed, { ms: 1_000, what: "the socket closes within a second" });
    expect(closed.code).toBe(4401);
    const again = await nodes[1].connect();
    again.send({ ver: "1.1", id: "x", token, ts: 1 });
    expect(await again.frame(0)).toMatchObject({ type: "error", code: "unauthorized" });
    expect((await again.ended()).code).toBe(1008);
  });

  test("a rotated token replaces the old one everywhere", async () => {
    const { id, token } = await createAgent();
    const socket = await greet(nodes[1], token);
    const rotated = await nodes[0].api(`/v1/agents/${id}/rotate-token`, { method: "POST" });
    expect(rotated.status).toBe(200);
    expect((await socket.ended()).code).toBe(1008);
    const again = await nodes[1].connect();
    again.send({ ver: "1.1", id: "x", token, ts: 1 });
    expect(await again.frame(0)).toMatchObject({ code: "unauthorized" });
    const fresh = await greet(nodes[1], rotated.body.token);
    await fresh.close();
  });

  test("alerts of an agent that moves between them are one incident, each counted once", async () => {
    const { id, token } = await createAgent();
    for (let round = 0; round < 6; round++) {
      const socket = await greet(nodes[(round % 2) as 0 | 1], token);
      for (let n = 0; n < 50; n++) socket.send(alertFrame(`m-${round}-${n}`, token, { source: "mover" }));
      await until(() => socket.frames.filter((frame) => frame.type === "ack").length === 51, { what: "51 acks" });
    }
    const incidents = (await nodes[0].api(`/v1/agents/${id}/incidents`)).body;
    expect(incidents).toMatchObject([{ occurrences: 300, resolved_at: null }]);
  }, 180_000);

  test("starting together migrates an empty database once", async () => {
    const empty = await createTestDatabase();
    const both = await Promise.all([startTestServer(empty.url), startTestServer(empty.url)]);
    for (const node of both) expect((await node.api("/readyz")).status).toBe(200);
    await Promise.all(both.map((node) => node.stop()));
    await empty.close();
  }, 180_000);
});

describe("a node that is gone", () => {
  test("leaves no agent online: its lease runs out", async () => {
    const { id, token } = await createAgent();
    const third = await startTestServer(database.url);
    const socket = await greet(third, token);
    await online(id);
    await third.stop();
    expect((await socket.ended()).code).toBe(1001);
    expect(await statusOf(id)).toBe("offline");
    await database.database.sql`
      update agents set status = 'online', node_id = gen_random_uuid(), connection_id = gen_random_uuid() where id = ${id}`;
    await until(async () => (await statusOf(id)) === "offline", { ms: 10_000, what: "offline" });
  }, 180_000);
});
