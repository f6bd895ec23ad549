import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { EventReader } from "../support/event-stream.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let nodes: [TestServer, TestServer];
const readers: EventReader[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  nodes = [await startTestServer(database.url), await startTestServer(database.url)];
}, 180_000);
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await database.close();
});

const sql = () => database.database.sql;

async function listen(node = nodes[0], path?: string, headers?: Record<string, string>): Promise<EventReader> {
  const reader = await EventReader.open(node.url, path, headers);
  readers.push(reader);
  return reader;
}

const listenAfter = (id: string, node = nodes[0]) => listen(node, `/v1/events?after=${encodeURIComponent(id)}`);

async function createAgent(hostname = "web-1"): Promise<{ id: string; token: string }> {
  return (await nodes[0].api("/v1/agents", { method: "POST", body: { hostname } })).body;
}

async function greet(node: TestServer, token: string): Promise<TestAgent> {
  const socket = await node.connect();
  socket.send({ ver: "1.1", id: "hello", token, ts: Date.now() / 1000 });
  await until(() => socket.frames.some((frame) => frame.type === "ack"), { what: "the ack" });
  return socket;
}

let messages = 0;

/** An alert that opens an incident of its own. */
function raise(socket: TestAgent, token: string, source: string): void {
  socket.send(
    alertFrame(`m-${messages++}`, token, { source, message: `${source} is down\nmore`, severity: "critical" }),
  );
}

describe("a stream of changes", () => {
  test("begins with hello, as an answer that nobody keeps or holds back, whatever encodings the client takes", async () => {
    const reader = await listen(nodes[0], undefined, { "accept-encoding": "gzip, br" });
    expect(reader.head).toStartWith("HTTP/1.1 200");
    expect(reader.head.toLowerCase()).toContain("content-type: text/event-stream");
    expect(reader.head.toLowerCase()).toContain("cache-control: no-store");
    expect(reader.head.toLowerCase()).toContain("x-accel-buffering: no");
    expect(reader.head.toLowerCase()).not.toContain("content-encoding");
    const hello = await reader.event("hello");
    expect(hello.data).toEqual({ version: "0.0.0-test", at: expect.any(String), access: "open" });
    expect(hello.id).toMatch(/^\d+\.\d+:\d+:/);
  });

  test("tells within a second what happened on whatever node: the incident, its agent, its command, the timeline", async () => {
    const { id, token } = await createAgent("web-9");
    const both = [await listen(nodes[0]), await listen(nodes[1])] as const;
    const socket = await greet(nodes[1], token);
    for (const reader of both) {
      const online = await reader.event("agent", (agent) => agent.id === id && agent.status === "online");
      expect(online.data).toMatchObject({ hostname: "web-9", collectors: [], shared_with: [] });
    }
    const sentMs = performance.now();
    raise(socket, token, "postgres");
    for (const reader of both) {
      const { data } = await reader.event("incident", (incident) => incident.source === "postgres");
      expect(data).toMatchObject({ agent_id: id, host: "web-9", title: "postgres is down", severity: "critical" });
    }
    expect(performance.now() - sentMs).toBeLessThan(1_000);
    const explained = await both[0].event("incident", (one) => one.source === "postgres" && one.status === "analyzed");
    expect(explained.data).toMatchObject({
      by: "heuristic",
      cause: expect.any(String),
      confidence: expect.any(Number),
    });

    const incident = explained.data.id;
    const { body: lines } = await nodes[0].api("/v1/timeline");
    for (const reader of both) {
      const opened = await reader.event("timeline", (one) => one.incident_id === incident && one.kind === "opened");
      expect(lines).toContainEqual(opened.data);
    }
    await nodes[0].api(`/v1/incidents/${incident}`, { method: "PATCH", body: { status: "acknowledged" } });
    for (const reader of both) {
      await reader.event("incident", (one) => one.id === incident && one.status === "acknowledged");
      const line = await reader.event("timeline", (one) => one.incident_id === incident && one.kind === "acknowledged");
      expect(line.data).toMatchObject({ agent_id: id, host: "web-9", actor: "api:127.0.0.1", data: null });
    }

    const body = { agent_id: id, command: "ping", params: {} };
    const sent = await nodes[0].api("/v1/admin/exec", { method: "POST", body });
    const answer = { command_id: sent.body.command_id, status: "done", exit_code: 0, output: "pong", duration_ms: 5 };
    await both[1].event("command", (one) => one.id === answer.command_id && one.status === "sent");
    socket.send({ ver: "1.1", id: "r", token, type: "result", ts: Date.now() / 1000, data: JSON.stringify(answer) });
    for (const reader of both) {
      const done = await reader.event("command", (one) => one.id === answer.command_id && one.status === "done");
      expect(done.data).toEqual({
        id: answer.command_id,
        agent_id: id,
        incident_id: null,
        command: "ping",
        status: "done",
        exit_code: 0,
        duration_ms: 5,
        finished_at: expect.any(String),
      });
    }
    await socket.close();
    for (const reader of both) await reader.event("agent", (agent) => agent.id === id && agent.status === "offline");
  }, 180_000);

  test("tells nothing of heartbeats that say nothing new", async () => {
    const { id, token } = await createAgent();
    const socket = await greet(nodes[0], token);
    const reader = await listen();
    const beat = (allow: string[]) =>
      socket.send({ ver: "1.1", token, ts: Date.now() / 1000, data: JSON.stringify({ hostname: "web-1", allow }) });
    beat(["ping"]);
    await reader.event("agent", (agent) => agent.id === id && agent.meta?.allow?.length === 1);
    const seenAt = async () => (await sql()`select last_seen_at from agents where id = ${id}`)[0]?.last_seen_at as Date;
    const before = await seenAt();
    const told = () => reader.events.filter(({ name, data }) => name === "agent" && data.id === id).length;
    const count = told();
    beat(["ping"]);
    await until(async () => (await seenAt()) > before, { what: "the heartbeat is written" });
    beat(["ping", "restart_service:*"]);
    await reader.event("agent", (agent) => agent.id === id && agent.meta?.allow?.length === 2);
    expect(told()).toBe(count + 1);
    await socket.close();
  }, 180_000);
});

describe("whether an incident is silenced", () => {
  const silence = (body: object) => nodes[0].api("/v1/silences", { method: "POST", body });
  const isMarked = (reader: EventReader, id: number, silenced: boolean, after: number) =>
    until(() => reader.events.slice(after).some(({ data }) => data.id === id && data.silenced === silenced), {
      ms: 10_000,
      what: `incident ${id} is told with silenced ${silenced}`,
    });

  test("is told as a silence is made, ended, or runs out, of whatever node, and of no other incident", async () => {
    const agent = await addAgent(database);
    const [id, other] = [await addIncident(database, agent, { source: "noisy-1" }), await addIncident(database, agent)];
    const reader = await listen(nodes[1]);
    await reader.event("hello");
    const made = await silence({ source: "noisy-*" });
    await isMarked(reader, id, true, 0);
    let seen = reader.events.length;
    await nodes[0].api(`/v1/silences/${made.body.id}`, { method: "DELETE" });
    await isMarked(reader, id, false, seen);
    seen = reader.events.length;
    await silence({ source: "noisy-*", until: new Date(Date.now() + 1_500).toISOString() });
    await isMarked(reader, id, true, seen);
    seen = reader.events.length;
    await isMarked(reader, id, false, seen);
    expect(reader.events.filter(({ name, data }) => name === "incident" && data.id === other)).toEqual([]);
  });

  test("that has changed while nobody listened makes a reader read the lists anew", async () => {
    const before = await listen();
    await before.event("hello");
    const { lastId } = before;
    before.close();
    await silence({ source: "anything" });
    await (await listenAfter(lastId)).event("reset");
  });
});

describe("a reader that comes back", () => {
  test.each([
    ["to the same node", 0],
    ["to another", 1],
  ] as const)(
    "%s is told what it missed, and none of what was before",
    async (_, to) => {
      const { id, token } = await createAgent();
      const socket = await greet(nodes[0], token);
      const before = await listen();
      raise(socket, token, `before-${to}`);
      await before.event("incident", (one) => one.source === `before-${to}` && one.status === "analyzed");
      raise(socket, token, `known-${to}`);
      await before.event("incident", (one) => one.source === `known-${to}` && one.status === "analyzed");
      before.close();
      const { lastId } = before;

      raise(socket, token, `missed-${to}`);
      const missed = await until(
        async () =>
          (await nodes[0].api(`/v1/agents/${id}/incidents?status=analyzed`)).body.find(
            (one: { source: string }) => one.source === `missed-${to}`,
          ),
        { ms: 20_000, what: "the missed incident" },
      );
      await nodes[1].api(`/v1/incidents/${missed.id}`, { method: "PATCH", body: { status: "resolved" } });
      await socket.close();
      await until(async () => (await nodes[0].api(`/v1/agents/${id}`)).body.status === "offline", { what: "offline" });

      const back = await listenAfter(lastId, nodes[to]);
      await back.event("hello");
      await back.event("incident", (one) => one.id === missed.id && one.status === "resolved");
      await back.event("timeline", (one) => one.incident_id === missed.id && one.kind === "resolved");
      await back.event("agent", (one) => one.id === id && one.status === "offline");
      expect(back.events.filter(({ name }) => name === "reset")).toEqual([]);
      expect(back.events.filter(({ data }) => data.source === `before-${to}`)).toEqual([]);
      raise(await greet(nodes[to], token), token, `after-${to}`);
      await back.event("incident", (one) => one.source === `after-${to}`);
    },
    180_000,
  );

  test("with Last-Event-ID, as browsers do, misses nothing of a transaction that began before and ended after", async () => {
    const agent = await addAgent(database);
    const began = Promise.withResolvers<void>();
    const commit = Promise.withResolvers<void>();
    const late = sql().begin(async (tx) => {
      await tx`insert into events (kind, actor, agent_id) values ('slow', 'ana', ${agent})`;
      began.resolve();
      await commit.promise;
    });
    await began.promise;
    await sql()`insert into events (kind, actor, agent_id) values ('quick', 'ana', ${agent})`;
    const { lastId } = await until(async () => {
      const reader = await listen();
      await reader.event("hello");
      return reader;
    });
    commit.resolve();
    await late;
    const back = await listen(nodes[1], undefined, { "last-event-id": lastId });
    await back.event("timeline", ({ kind, agent_id }) => kind === "slow" && agent_id === agent);
    expect(back.events.filter(({ data }) => data.kind === "quick" && data.agent_id === agent)).toEqual([]);
  }, 180_000);

  test("hears of what was told while the listening connection was away", async () => {
    const reader = await listen();
    await reader.event("hello");
    const agent = await addAgent(database);
    // Another program's writes: nobody is told, and then all listening connections break.
    const id = await addIncident(database, agent, { source: "unheard" });
    await sql()`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'opspilot listen' and datname = current_database()`;
    await reader.event("incident", (one) => one.id === id);
  }, 180_000);

  test.each([
    ["what no cursor is", "yesterday"],
    ["a cursor of another database", "1000000000.5000000000:5000000001:"],
    ["one that is too old", "1000000000.3:4:"],
    ["one whose numbers contradict each other", "1000000000.9:3:7"],
  ])("with %s reads the lists anew", async (_, after) => {
    const reader = await listenAfter(after);
    await reader.event("hello");
    const { id } = await reader.event("reset");
    expect(id).toMatch(/^\d+\.\d+:\d+:/);
  });

  test("after more than is told one by one reads the lists anew, and so does who listens meanwhile", async () => {
    const agent = await addAgent(database);
    const reader = await listen();
    const { id } = await reader.event("hello");
    await sql()`
      with noted as (
        insert into events (kind, actor, agent_id) select 'many', 'ana', ${agent} from generate_series(1, 600) returning 1)
      select pg_notify('opspilot_changes', 'timeline')`;
    await reader.event("reset");
    expect(reader.events.filter(({ name }) => name === "timeline")).toEqual([]);
    const back = await listenAfter(id ?? "");
    await back.event("reset");
  }, 180_000);
});

describe("streams of one node", () => {
  test("have a comment every 15 s, and say how new all is", async () => {
    const reader = await listen();
    await until(() => reader.comments > 0, { ms: 40_000, what: "a comment" });
    const alive = await reader.event("alive");
    expect(Date.now() - Date.parse(alive.data.at)).toBeLessThan(20_000);
    expect(reader.isEnded).toBe(false);
  }, 180_000);

  test("do not wait for a reader that takes nothing: it is dropped, and the others are told all", async () => {
    const agent = await addAgent(database);
    const third = await startTestServer(database.url);
    const [slow, quick] = [await listen(third), await listen(third)];
    await Promise.all([slow.event("hello"), quick.event("hello")]);
    slow.socket.pause();
    const dropped = async () =>
      /^opspilot_event_streams_dropped_total (\d+)$/m.exec(
        await (await fetch(`${third.url}/metrics`, { keepalive: false })).text(),
      )?.[1];
    const text = "x".repeat(100_000);
    let count = 0;
    await until(
      async () => {
        count++;
        await sql()`
          with noted as (
            insert into events (kind, actor, agent_id, data) select ${`bulk-${count}`}, 'ana', ${agent}, ${sql().json({ text })}
            from generate_series(1, 8) returning 1)
          select pg_notify('opspilot_changes', 'timeline')`;
        await quick.event("timeline", ({ kind }) => kind === `bulk-${count}`);
        return (await dropped()) === "1";
      },
      { ms: 60_000, what: "the slow one is dropped" },
    );
    // A line may come twice: once its node is sure that it hears of everything, it looks back.
    const lines = quick.events.filter(({ name }) => name === "timeline");
    expect(new Set(lines.map(({ data }) => data.id)).size).toBe(8 * count);
    expect(quick.isEnded).toBe(false);
    slow.socket.resume();
    await until(() => slow.isEnded, { ms: 20_000, what: "the slow one's connection is closed" });
    await third.stop();
  }, 180_000);

  test("are ended at a stop, which is not held up by them", async () => {
    const third = await startTestServer(database.url);
    const open = await Promise.all(Array.from({ length: 5 }, () => listen(third)));
    await Promise.all(open.map((reader) => reader.event("hello")));
    const startedMs = performance.now();
    const stopped = third.stop();
    await until(() => open.every(({ isEnded }) => isEnded), { ms: 10_000, what: "all are ended" });
    await stopped;
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(third.log.some((line) => line.includes('"event streams"') && line.includes("stopped"))).toBe(true);
  }, 180_000);

  test("are bounded in number, and one that is gone makes room", async () => {
    const third = await startTestServer(database.url);
    const open = await Promise.all(Array.from({ length: 256 }, () => listen(third)));
    expect(open.filter(({ head }) => head.startsWith("HTTP/1.1 200"))).toHaveLength(256);
    const refused = await fetch(`${third.url}/v1/events`, { keepalive: false });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("15");
    expect(await refused.json()).toMatchObject({ code: "too_many_streams" });
    open[0]?.close();
    const metrics = async () => (await fetch(`${third.url}/metrics`, { keepalive: false })).text();
    await until(async () => (await metrics()).includes("opspilot_event_streams 255"), { what: "a place is free" });
    expect((await listen(third)).head).toStartWith("HTTP/1.1 200");
    await third.stop();
  }, 180_000);

  test("need a credential where one is needed, and end when it does", async () => {
    const ADMIN_TOKEN = "a-token-of-the-administrator";
    const third = await startTestServer(database.url, { ADMIN_TOKEN });
    expect((await listen(third)).head).toStartWith("HTTP/1.1 401");
    const reader = await listen(third, undefined, { authorization: `Bearer ${ADMIN_TOKEN}` });
    expect((await reader.event("hello")).data.access).toBe("token");

    const signIn = await fetch(`${third.url}/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: third.url },
      body: JSON.stringify({ token: ADMIN_TOKEN }),
      keepalive: false,
    });
    expect(signIn.status).toBe(204);
    const cookie = signIn.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const signedIn = await listen(third, undefined, { cookie });
    await signedIn.event("hello");
    const headers = { cookie, origin: third.url, "content-type": "application/json" };
    const signOut = await fetch(`${third.url}/v1/session`, { method: "DELETE", headers, keepalive: false });
    expect(signOut.status).toBe(204);
    await until(() => signedIn.isEnded, { ms: 40_000, what: "the stream of who signed out is ended" });
    expect(reader.isEnded).toBe(false);
    await third.stop();
  }, 180_000);
});
