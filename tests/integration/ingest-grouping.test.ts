import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
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

/** An agent of its own for each test, with its incidents and a way to send alerts that waits for their acks. */
async function createAgent() {
  const made = await server.api("/v1/agents", { method: "POST", body: { hostname: "web-1" } });
  const token: string = made.body.token;
  const socket: TestAgent = await server.connect();
  let sent = 0;
  socket.send({ ver: "1.1", token, ts: Date.now() / 1000 });
  const welcome = await socket.frame(0);
  if (welcome.type !== "welcome") throw new Error(JSON.stringify(welcome));

  async function send(...alerts: Record<string, unknown>[]): Promise<void> {
    const ids = alerts.map(() => `m${++sent}`);
    for (const [at, alert] of alerts.entries()) socket.send(alertFrame(ids[at] as string, token, alert));
    for (const id of ids) await acked(id);
  }
  const acked = (id: string, times = 1) =>
    until(() => socket.frames.filter((frame) => frame.type === "ack" && frame.id === id).length >= times, {
      what: `${times} ack(s) of ${id}; so far ${JSON.stringify(socket.frames.at(-1))}`,
    });
  const incidents = async () => (await server.api(`/v1/agents/${welcome.agent_id}/incidents`)).body;
  return { id: welcome.agent_id, token, socket, send, acked, incidents };
}

describe("an alert", () => {
  test("becomes an incident with everything that it said", async () => {
    const agent = await createAgent();
    await agent.send({ message: "nginx crashed", logs: "error logs", exit_code: 1, severity: "critical" });
    const [incident, ...others] = await agent.incidents();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({
      agent_id: agent.id,
      type: "systemd",
      source: "nginx",
      raw_error: "nginx crashed\n\nLogs:\nerror logs",
      message_chars: 13,
      exit_code: 1,
      severity: "critical",
      resolved_at: null,
      occurrences: 1,
    });
  });

  test("is kept without what only a terminal understands, so that colours make no other problem of it", async () => {
    const agent = await createAgent();
    await agent.send({ message: "\u001b[31mnginx\u001b[0m crashed", logs: "\u001b]0;title\u0007one\r\n\ttwo" });
    await agent.send({ message: "nginx crashed" });
    const [incident, ...others] = await agent.incidents();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({
      raw_error: "nginx crashed\n\nLogs:\none\n\ttwo",
      message_chars: 13,
      occurrences: 2,
    });
  });

  test("with long logs is cut in lists, not where it is looked at alone, and never within a character", async () => {
    const agent = await createAgent();
    await agent.send({ logs: "ä".repeat(10_000) });
    const [listed] = await agent.incidents();
    expect(Buffer.byteLength(listed.raw_error)).toBeWithin(4_094, 4_097);
    expect(listed.raw_error).toEndWith("ää");
    expect(listed.raw_error_bytes).toBe(20_000 + "nginx crashed\n\nLogs:\n".length);
    const { body } = await server.api(`/v1/incidents/${listed.id}`);
    expect(Buffer.byteLength(body.raw_error)).toBe(listed.raw_error_bytes);
  });

  test("that repeats raises the counter, and draws no id", async () => {
    const agent = await createAgent();
    await agent.send({ message: "worker 1 died" });
    for (let n = 2; n <= 5; n++) await agent.send({ message: `worker ${n} died`, logs: `log ${n}` });
    await agent.send({ message: "something else" });
    const [second, first] = await agent.incidents();
    expect(first).toMatchObject({ occurrences: 5, raw_error: "worker 1 died" });
    expect(second.id).toBe(first.id + 1);
  });

  test("keeps its own text where it is not its incident's first", async () => {
    const agent = await createAgent();
    await agent.send({ message: "worker 1 died", logs: "first" });
    await agent.send({ message: "worker 2 died", logs: "second" });
    const rows = await database.database.sql`select raw_error from alerts where agent_id = ${agent.id} order by id`;
    expect(rows.map((row) => row.raw_error)).toEqual([null, "worker 2 died\n\nLogs:\nsecond"]);
  });

  test("with an id that came before is acknowledged again and has no second effect", async () => {
    const agent = await createAgent();
    const frame = alertFrame("same", agent.token, { source: "repeated" });
    agent.socket.send(frame);
    await agent.acked("same");
    agent.socket.send(frame);
    agent.socket.send(frame);
    await agent.acked("same", 3);
    expect(await agent.incidents()).toMatchObject([{ occurrences: 1 }]);
  });

  test("with an id of another agent is another alert", async () => {
    const [one, two] = [await createAgent(), await createAgent()];
    for (const agent of [one, two]) {
      agent.socket.send(alertFrame("shared", agent.token));
      await agent.acked("shared");
    }
    expect(await one.incidents()).toHaveLength(1);
    expect(await two.incidents()).toHaveLength(1);
  });

  test("of protocol 1.0 is stored without an answer", async () => {
    const agent = await createAgent();
    agent.socket.send({ ...alertFrame("ignored", agent.token), ver: "1.0" });
    await until(async () => (await agent.incidents()).length === 1);
    expect(agent.socket.frames.filter((frame) => frame.type === "ack")).toEqual([]);
  });

  test("longer ago than the window opens a new incident, and supersedes the old one, linked both ways", async () => {
    const agent = await createAgent();
    const now = Date.now() / 1000;
    await agent.send({ at: now - 3600 }, { at: now });
    const [newer, older] = await agent.incidents();
    expect(older).toMatchObject({ status: "resolved", reason: "superseded", next_id: newer.id });
    expect(newer).toMatchObject({ resolved_at: null, previous_id: older.id, occurrences: 1 });
    const { body } = await server.api(`/v1/incidents/${older.id}`);
    expect(body.timeline.map((line: { kind: string }) => line.kind).sort()).toEqual(["opened", "superseded"]);
  });

  test.each(["by a person", "by the agent"])(
    "of a problem that was resolved %s opens a new incident, linked both ways",
    async (by) => {
      const agent = await createAgent();
      await agent.send({});
      const [first] = await agent.incidents();
      if (by === "by the agent") await agent.send({ state: "resolved" });
      else await server.api(`/v1/incidents/${first.id}`, { method: "PATCH", body: { status: "resolved" } });
      await agent.send({}, {});
      await until(async () => (await agent.incidents())[0]?.previous_id !== null, { what: "the new one is linked" });
      const [second, older, ...others] = await agent.incidents();
      expect(others).toEqual([]);
      expect(older).toMatchObject({ id: first.id, status: "resolved", occurrences: 1, next_id: second.id });
      expect(second).toMatchObject({ previous_id: first.id, next_id: null, occurrences: 2, resolved_at: null });
    },
  );

  test.each([
    ["of the future", 3600],
    ["older than a week", -8 * 24 * 3600],
  ])("whose time is %s counts as of now", async (_, offsetS) => {
    const agent = await createAgent();
    await agent.send({ at: Date.now() / 1000 + offsetS });
    const [incident] = await agent.incidents();
    expect(Math.abs(Date.parse(incident.last_seen_at) - Date.now())).toBeLessThan(60_000);
  });
});

describe("a recovery report", () => {
  test("resolves the incidents of its type and source, and says so in the timeline", async () => {
    const agent = await createAgent();
    await agent.send({ message: "down" }, { message: "slow" }, { message: "down", source: "redis" });
    await agent.send({ message: "up again", state: "resolved" });
    const incidents = await agent.incidents();
    expect(incidents.map((one: { source: string; reason: string | null }) => `${one.source}: ${one.reason}`)).toEqual([
      "redis: null",
      "nginx: resolved by the agent",
      "nginx: resolved by the agent",
    ]);
    const { body } = await server.api(`/v1/incidents/${incidents[1].id}`);
    expect(body.timeline.at(-1)).toMatchObject({ kind: "resolved", actor: "agent" });
  });

  test("with nothing open opens nothing", async () => {
    const agent = await createAgent();
    await agent.send({ state: "resolved" });
    expect(await agent.incidents()).toEqual([]);
  });

  test("leaves open what fired after it", async () => {
    const agent = await createAgent();
    const now = Date.now() / 1000;
    await agent.send({ at: now - 10 });
    await agent.send({ state: "resolved", at: now - 20 });
    expect(await agent.incidents()).toMatchObject([{ resolved_at: null }]);
  });

  test("overtakes an alert that occurred before it: that one is a row of the resolved incident", async () => {
    const agent = await createAgent();
    const now = Date.now() / 1000;
    await agent.send({ at: now - 60 });
    await agent.send({ state: "resolved", at: now - 10 });
    await agent.send({ at: now - 30, logs: "late" });
    expect(await agent.incidents()).toMatchObject([{ status: "resolved", occurrences: 1 }]);
    const rows = await database.database.sql`select incident_id from alerts where agent_id = ${agent.id}`;
    expect(new Set(rows.map((row) => row.incident_id)).size).toBe(1);
    expect(rows).toHaveLength(3);
  });

  test("after it the same failure opens a new incident", async () => {
    const agent = await createAgent();
    await agent.send({}, { state: "resolved" }, {});
    expect(await agent.incidents()).toMatchObject([{ resolved_at: null }, { status: "resolved" }]);
  });
});

describe("many frames at once", () => {
  test("take effect in the order in which they came, across batches", async () => {
    const agent = await createAgent();
    const alerts = Array.from({ length: 1500 }, (_, n) => ({
      source: `s${Math.floor(n / 3)}`,
      state: n % 3 === 1 ? "resolved" : "firing",
    }));
    await agent.send(...alerts);
    const [counts] = await database.database.sql<{ open: number; resolved: number }[]>`
      select count(*) filter (where status <> 'resolved')::int as open, count(*) filter (where status = 'resolved')::int as resolved
      from incidents where agent_id = ${agent.id}`;
    expect(counts).toEqual({ open: 500, resolved: 500 });
  }, 180_000);

  test("of 500 agents are all stored", async () => {
    const tokens = await Promise.all(
      Array.from(
        { length: 500 },
        async () => (await server.api("/v1/agents", { method: "POST", body: {} })).body.token,
      ),
    );
    const sockets = await Promise.all(tokens.map(() => server.connect()));
    for (const [at, socket] of sockets.entries()) socket.send(alertFrame("one", tokens[at], { source: "crowd" }));
    await until(() => sockets.every((socket) => socket.frames.some((frame) => frame.type === "ack")), { ms: 20_000 });
    const [row] = await database.database
      .sql`select count(distinct agent_id)::int as agents from incidents where source = 'crowd'`;
    expect(row?.agents).toBe(500);
    await Promise.all(sockets.map((socket) => socket.close()));
  }, 180_000);
});
