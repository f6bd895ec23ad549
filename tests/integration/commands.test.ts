import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { expireCommand } from "../support/commands.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});

afterAll(async () => {
  await server.stop();
  await database.close();
});

async function createAgent() {
  const made = await server.api("/v1/agents", { method: "POST", body: {} });
  const token: string = made.body.token;
  const socket: TestAgent = await server.connect();
  socket.send({ ver: "1.1", token, ts: Date.now() / 1000 });
  const welcome = await socket.frame(0);
  if (welcome.type !== "welcome") throw new Error(JSON.stringify(welcome));
  const id = welcome.agent_id;
  const exec = (command: string, params: Record<string, unknown>, waitS?: number) =>
    server.api("/v1/admin/exec", {
      method: "POST",
      body: { agent_id: id, command, params, ...(waitS ? { wait_s: waitS } : {}) },
    });
  const answer = (messageId: string, result: Record<string, unknown>) =>
    socket.send({
      ver: "1.1",
      id: messageId,
      token,
      type: "result",
      ts: Date.now() / 1000,
      data: JSON.stringify(result),
    });
  const answered = (messageId: string) =>
    until(
      () =>
        socket.frames.find((frame) => frame.type !== "welcome" && frame.type !== "command" && frame.id === messageId),
      {
        what: `an answer to ${messageId}`,
      },
    );
  return { id, token, socket, exec, answer, answered };
}

describe("a command", () => {
  test("is sent, recorded with its actor, and ended by its result", async () => {
    const agent = await createAgent();
    const { status, body } = await agent.exec("get_logs", { service: "nginx", lines: 50 });
    expect({ status, body }).toMatchObject({ status: 200, body: { status: "sent" } });
    expect(await agent.socket.frame(1)).toEqual({
      type: "command",
      id: body.command_id,
      command: "get_logs",
      params: { service: "nginx", lines: 50 },
      ttl_s: 60,
    });
    agent.answer("r1", {
      command_id: body.command_id,
      status: "failed",
      exit_code: 3,
      error: "no such unit",
      duration_ms: 12.4,
    });
    expect(await agent.answered("r1")).toMatchObject({ type: "ack" });
    const command = (await server.api(`/v1/commands/${body.command_id}`)).body;
    expect(command).toMatchObject({
      status: "failed",
      exit_code: 3,
      error: "no such unit",
      duration_ms: 12,
      late: false,
    });
    expect(command.actor).toStartWith("api:");
    expect((await server.api(`/v1/agents/${agent.id}/commands`)).body).toMatchObject([{ id: body.command_id }]);
    const trail = await database.database
      .sql`select kind, actor from events where command_id = ${body.command_id} order by id`;
    expect(trail.map((line) => line.kind)).toEqual(["command", "result"]);
  });

  test("that is still open is not sent twice", async () => {
    const agent = await createAgent();
    const first = await agent.exec("restart_service", { service: "nginx" });
    expect(await agent.exec("restart_service", { service: "nginx" })).toMatchObject({
      status: 409,
      body: { code: "command_open" },
    });
    expect((await agent.exec("restart_service", { service: "redis" })).status).toBe(200);
    agent.answer("r", { command_id: first.body.command_id, status: "done" });
    await agent.answered("r");
    expect((await agent.exec("restart_service", { service: "nginx" })).status).toBe(200);
    await agent.socket.frame(4);
    expect(agent.socket.frames.filter((frame) => frame.type === "command")).toHaveLength(3);
  });

  test("asked for by two at once is sent once", async () => {
    const agent = await createAgent();
    const both = await Promise.all([1, 2].map(() => agent.exec("restart_service", { service: "nginx" })));
    expect(both.map((one) => one.status).sort()).toEqual([200, 409]);
  });

  test("whose agent is not there is refused", async () => {
    const agent = await createAgent();
    await agent.socket.close();
    await until(async () => (await server.api(`/v1/agents/${agent.id}`)).body.status === "offline", {
      what: "offline",
    });
    expect(await agent.exec("ping", {})).toMatchObject({ status: 409, body: { code: "agent_offline" } });
    const missing = { agent_id: crypto.randomUUID(), command: "ping", params: {} };
    expect((await server.api("/v1/admin/exec", { method: "POST", body: missing })).status).toBe(404);
  });

  test.each([
    ["rm", {}, "command"],
    ["restart_service", {}, "service"],
    ["restart_service", { service: "-rf" }, "service"],
    ["restart_service", { service: "nginx; reboot" }, "service"],
    ["restart_service", { service: "nginx", force: true }, "force"],
    ["get_logs", { service: "nginx", lines: 1e9 }, "lines"],
  ])("%s %p is refused, naming %s", async (command, params, field) => {
    const agent = await createAgent();
    const { status, body } = await agent.exec(command, params);
    expect(status).toBe(422);
    expect(JSON.stringify(body)).toContain(field);
    expect(agent.socket.frames.filter((frame) => frame.type === "command")).toEqual([]);
  });

  test("without a result in time answers what is known by then", async () => {
    const agent = await createAgent();
    const { body } = await agent.exec("ping", {}, 1);
    expect(body.status).toBe("sent");
    expect(body.result).toBeUndefined();
  });

  test("without a result expires; one that comes later is kept and marked late, once", async () => {
    const agent = await createAgent();
    const { body } = await agent.exec("ping", {});
    await expireCommand(database.database.sql, body.command_id);
    const read = async () => (await server.api(`/v1/commands/${body.command_id}`)).body;
    await until(async () => (await read()).status === "expired", { what: "expired" });
    agent.answer("late", { command_id: body.command_id, status: "done", output: "pong" });
    expect(await agent.answered("late")).toMatchObject({ type: "ack" });
    agent.answer("later", { command_id: body.command_id, status: "failed", output: "other" });
    expect(await agent.answered("later")).toMatchObject({ type: "ack" });
    expect(await read()).toMatchObject({ status: "expired", late: true, output: "pong" });
  });
});

describe("a result", () => {
  test("that repeats is acknowledged again and changes nothing", async () => {
    const agent = await createAgent();
    const { body } = await agent.exec("ping", {});
    agent.answer("one", { command_id: body.command_id, status: "done", output: "first" });
    await agent.answered("one");
    agent.answer("two", { command_id: body.command_id, status: "failed", output: "second" });
    expect(await agent.answered("two")).toMatchObject({ type: "ack" });
    expect((await server.api(`/v1/commands/${body.command_id}`)).body).toMatchObject({
      status: "done",
      output: "first",
    });
  });

  test("of a command that was sent to another agent is refused", async () => {
    const [one, two] = [await createAgent(), await createAgent()];
    const { body } = await one.exec("ping", {});
    two.answer("stolen", { command_id: body.command_id, status: "done" });
    expect(await two.answered("stolen")).toMatchObject({ type: "error", code: "bad_payload" });
    expect((await server.api(`/v1/commands/${body.command_id}`)).body.status).toBe("sent");
  });
});
