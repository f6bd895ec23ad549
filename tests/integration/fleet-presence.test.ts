import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type CollectorStore, createCollectorStore } from "../../src/fleet/collector-store.ts";
import { createAgentService } from "../../src/fleet/fleet.ts";
import type { AgentSockets } from "../../src/fleet/model.ts";
import { createPresence } from "../../src/fleet/presence.ts";
import { createFleetStore, type FleetStore } from "../../src/fleet/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { sha256Hex } from "../../src/lib/hash.ts";
import { createLoops } from "../../src/lib/loops.ts";
import type { HeartbeatPayload } from "../../src/protocol/frames.ts";
import { createTestClock } from "../support/clock.ts";
import { countingSql } from "../support/counting-sql.ts";
import { type FleetServer, type FleetServerOptions, startFleetServer } from "../support/fleet-server.ts";
import { alertOf } from "../support/frames.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const START_MS = 1_706_140_800_000;

let database: TestDatabase;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await sql()`truncate agents, incidents, alerts, events, outages, nodes cascade`;
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
afterAll(() => database.close());

const sql = () => database.database.sql;

/** A node's sockets, as many as a test says. */
class FakeSockets implements AgentSockets {
  readonly held = new Map<string, string>();
  readonly closed: [agentId: string, why: string][] = [];

  connectionOf(agentId: string): string | undefined {
    return this.held.get(agentId);
  }

  agentIds(): string[] {
    return [...this.held.keys()];
  }

  closeAgent(agentId: string, why: string): void {
    this.closed.push([agentId, why]);
    this.held.delete(agentId);
  }

  connect(agentId: string): string {
    const connectionId = crypto.randomUUID();
    this.held.set(agentId, connectionId);
    return connectionId;
  }
}

async function startNode(
  change: (store: FleetStore) => Partial<FleetStore> = () => ({}),
  changeCollectors: (store: CollectorStore) => Partial<CollectorStore> = () => ({}),
) {
  const clock = createTestClock(START_MS);
  const sockets = new FakeSockets();
  const counting = countingSql(sql());
  const store = createFleetStore(counting.sql, createIncidentWriter());
  const collectorStore = createCollectorStore(counting.sql);
  const nodeId = crypto.randomUUID();
  let changes = 0;
  const presence = createPresence({
    store: { ...store, ...change(store) },
    collectorStore: { ...collectorStore, ...changeCollectors(collectorStore) },
    sockets,
    nodeId,
    collectorsChanged: () => void changes++,
    version: "test",
    clock,
    setBack: () => undefined,
    loops: createLoops(clock, quiet),
    log: quiet,
    announceClaims: async () => undefined,
  });
  await presence.start();
  stops.push(presence.stop);
  return { presence, sockets, clock, nodeId, said: counting.said, changes: () => changes };
}

async function createAgents(count: number): Promise<string[]> {
  const rows = await sql()<{ id: string }[]>`
    insert into agents (id, token_hash) select gen_random_uuid(), gen_random_uuid()::text from generate_series(1, ${count})
    returning id`;
  return rows.map(({ id }) => id);
}

async function rowOf(id: string) {
  const [row] = await sql()`
    select hostname, meta, status, heartbeats, extract(epoch from last_seen_at)::float8 * 1000 as seen from agents where id = ${id}`;
  return row;
}

/** Lets the node's loops run until the row is as the test wants it. */
async function eventually(clock: { advance(ms: number): Promise<void> }, state: () => Promise<boolean>) {
  await until(async () => {
    await clock.advance(1_000);
    return state();
  });
}

describe("presence", () => {
  test("keeps a sign of life that comes while it is being written", async () => {
    const gate = Promise.withResolvers<void>();
    let writes = 0;
    const { presence, clock } = await startNode((store) => ({
      async writePresence(updates) {
        await store.writePresence(updates);
        if (++writes === 1) await gate.promise;
      },
    }));
    const [id = ""] = await createAgents(1);
    presence.seen(id, { hostname: "web-01" });
    await until(() => writes === 1);
    presence.seen(id, { hostname: "web-02" });
    gate.resolve();
    await eventually(clock, async () => (await rowOf(id))?.hostname === "web-02");
    const { seen } = (await rowOf(id)) as { seen: number };
    expect(Math.abs(Date.now() - seen)).toBeLessThan(60_000);
  });

  test("keeps what could not be written, and counts no heartbeat twice when only the answer was lost", async () => {
    let left = 2;
    const { presence, clock } = await startNode((store) => ({
      async writePresence(updates) {
        await store.writePresence(updates);
        if (left-- > 0) throw new Error("the connection broke");
      },
    }));
    const [id = "", other = ""] = await createAgents(2);
    presence.seen(id, { hostname: "web-01" });
    await until(() => left === 1);
    presence.seen(other, { hostname: "web-02" });
    await eventually(clock, async () => left < 0 && (await rowOf(other))?.hostname === "web-02");
    expect(await rowOf(id)).toMatchObject({ hostname: "web-01", heartbeats: 1 });
    presence.seen(id, { hostname: "web-01" });
    await eventually(clock, async () => (await rowOf(id))?.heartbeats === 2);
  });

  test("does not believe that it knows the row of an agent that left while it was being written", async () => {
    const gate = Promise.withResolvers<void>();
    let writes = 0;
    const { presence, sockets, clock } = await startNode((store) => ({
      async writePresence(updates) {
        await store.writePresence(updates);
        if (++writes === 1) await gate.promise;
      },
    }));
    const [id = ""] = await createAgents(1);
    const connectionId = sockets.connect(id);
    presence.seen(id, { version: "1" });
    await until(() => writes === 1);
    sockets.held.delete(id);
    presence.release(id, connectionId);
    gate.resolve();
    await sql()`update agents set meta = '{"version":"2"}' where id = ${id}`;
    sockets.connect(id);
    presence.seen(id, { version: "1" });
    await eventually(clock, async () => (await rowOf(id))?.meta?.version === "1");
  });

  test("writes only what changed", async () => {
    const written: unknown[] = [];
    const { presence, sockets, clock } = await startNode((store) => ({
      async writePresence(updates) {
        written.push(...updates.map(({ hostname, meta }) => ({ hostname, meta })));
        await store.writePresence(updates);
      },
    }));
    const [id = ""] = await createAgents(1);
    sockets.connect(id);
    const allow = ["restart_service:nginx"];
    for (const heartbeat of [
      { hostname: "web-01", allow },
      { hostname: "web-01", allow },
      { hostname: "web-01", allow, uptime_s: 7 },
      undefined,
    ]) {
      const before = written.length;
      presence.seen(id, heartbeat);
      await eventually(clock, async () => written.length === before + 1);
    }
    expect(written).toEqual([
      { hostname: "web-01", meta: { allow } },
      { hostname: null, meta: null },
      { hostname: null, meta: { allow, uptime_s: 7 } },
      { hostname: null, meta: null },
    ]);
  });
});

describe("what collectors see", () => {
  const rows = (id: string) => sql()`
    select name, state, why, gave_up, is_told, round(extract(epoch from now() - since))::int as ago
    from collectors where agent_id = ${id} order by name`;

  test("is written when it changes, and not at each heartbeat; since when stays", async () => {
    const { presence, sockets, clock, said, changes } = await startNode();
    const [id = ""] = await createAgents(1);
    await presence.claim(id, sockets.connect(id));
    const signs = () => said.filter(({ text }) => text.startsWith("update agents a set last_seen_at")).length;
    /** The clock stands while this is written: what is written says how long it waited. */
    const say = async (collectors: HeartbeatPayload["collectors"], uptimeS: number, changesWanted: number) => {
      const before = signs();
      presence.seen(id, { uptime_s: uptimeS, ...(collectors === undefined ? {} : { collectors }) });
      await until(async () => {
        if (signs() === before) await clock.advance(1_000);
        return (await rowOf(id))?.meta?.uptime_s === uptimeS && changes() >= changesWanted;
      });
    };
    const writes = () => said.filter(({ text }) => text.includes("insert into collectors")).length;
    const blind = { state: "cannot", for_s: 100, why: "no answer" } as const;
    await say({ docker: blind, host: { state: "sees", for_s: 7, gave_up: ["3 disks"] } }, 1, 1);
    expect([...(await rows(id))]).toMatchObject([
      {
        name: "docker",
        state: "cannot",
        why: "no answer",
        gave_up: [],
        is_told: false,
        ago: expect.closeTo(101, -1),
      },
      { name: "host", state: "sees", why: null, gave_up: ["3 disks"], ago: expect.closeTo(8, -1) },
    ]);
    expect((await rowOf(id))?.meta).toEqual({ uptime_s: 1 });
    await say({ docker: { ...blind, for_s: 130 }, host: { state: "sees", for_s: 37, gave_up: ["3 disks"] } }, 2, 1);
    await say(undefined, 3, 1);
    expect([writes(), changes()]).toEqual([1, 1]);
    await say({ docker: { ...blind, for_s: 0, why: "refused" } }, 4, 2);
    expect([...(await rows(id))]).toMatchObject([
      { name: "docker", state: "cannot", why: "refused", ago: expect.closeTo(101, -1) },
      { name: "host", state: "off", why: null, gave_up: [] },
    ]);
    await say({ docker: { state: "sees", for_s: 3 } }, 5, 3);
    expect((await rows(id))[0]).toMatchObject({ state: "sees", why: null, ago: expect.closeTo(4, -1) });
    expect([writes(), changes()]).toEqual([3, 3]);
    const store = createFleetStore(sql(), createIncidentWriter());
    expect((await store.get(id))?.collectors).toEqual([
      {
        name: "docker",
        state: "sees",
        since: expect.stringMatching(/^\d{4}-.*Z$/),
        why: null,
        gave_up: [],
        told: false,
      },
    ]);
  });

  test("is written again where that failed, and never of a deleted agent", async () => {
    let failures = 1;
    const { presence, sockets, clock } = await startNode(undefined, (store) => ({
      write: async (updates) => {
        if (failures-- > 0) throw new Error("the database is away");
        await store.write(updates);
      },
    }));
    const [id = "", gone = ""] = await createAgents(2);
    for (const agent of [id, gone]) await presence.claim(agent, sockets.connect(agent));
    await sql()`update agents set deleted_at = now() where id = ${gone}`;
    for (const agent of [id, gone]) presence.seen(agent, { collectors: { host: { state: "sees", for_s: 0 } } });
    await eventually(clock, async () => (await rows(id)).length === 1);
    expect([...(await rows(gone))]).toEqual([]);
  });
});

test("the audit trail says who made agents, changed their tokens and deleted them", async () => {
  const store = createFleetStore(sql(), createIncidentWriter());
  const agents = createAgentService({ store, revoked: async () => undefined });
  const { agent, token } = await agents.create({ hostname: "web-01" }, "api:anna");
  expect(agent).toMatchObject({ hostname: "web-01", status: "offline", meta: null, created_at: expect.any(Date) });
  const rotated = await agents.rotateToken(agent.id, "api:berta");
  expect(rotated?.agent).toEqual(agent);
  expect(await agents.remove(agent.id, "cli:carla")).toBe(true);
  expect(await agents.remove(agent.id, "cli:carla")).toBe(false);
  const [enrolled = ""] = (await store.enrol([{ id: crypto.randomUUID(), tokenHash: "fresh" }], 10)).values();
  const lines = await sql()`select kind, actor, agent_id from events order by id`;
  expect(lines.map(({ kind, actor, agent_id }) => [kind, actor, agent_id])).toEqual([
    ["agent.created", "api:anna", agent.id],
    ["agent.token_rotated", "api:berta", agent.id],
    ["agent.deleted", "cli:carla", agent.id],
    ["agent.enrolled", "agent", enrolled],
  ]);
  const known = await store.findTokens([sha256Hex(token), sha256Hex(rotated?.token ?? ""), "fresh"]);
  expect(known.revoked.size).toBe(2);
  expect([...known.agents]).toEqual([["fresh", enrolled]]);
});

test("a node that stood still takes its agents back as soon as it renews its lease", async () => {
  const { presence, sockets, clock, nodeId } = await startNode();
  const [id = ""] = await createAgents(1);
  const connectionId = sockets.connect(id);
  await presence.claim(id, connectionId);
  await sql()`update nodes set lease_until = now() - interval '1 s'`;
  await sql()`update agents set status = 'offline', node_id = null, connection_id = null`;
  await clock.advance(11_000);
  const held = async () => (await sql()`select status, node_id, connection_id from agents`)[0];
  await until(async () => (await held())?.status === "online", { what: "the agent is online" });
  expect(await held()).toEqual({ status: "online", node_id: nodeId, connection_id: connectionId });
});

describe("a node at rest", () => {
  test("with 25,000 agents names none of them in a statement, and finds what it lost all the same", async () => {
    const { presence, sockets, clock, nodeId, said } = await startNode();
    const ids = await createAgents(25_000);
    await Promise.all(ids.map((id) => presence.claim(id, sockets.connect(id))));
    said.length = 0;
    const sums = () => said.filter(({ text }) => text.includes("bit(32)")).length;
    await eventually(clock, async () => sums() >= 2);
    expect(Math.max(...said.map(({ parameterBytes }) => parameterBytes))).toBeLessThan(1_000);
    expect(sockets.closed).toEqual([]);

    const [lost = "", deleted = "", freed = ""] = ids;
    const other = crypto.randomUUID();
    await sql()`insert into nodes (id, version, lease_until) values (${other}, 'test', now() + interval '1 hour')`;
    await sql()`update agents set node_id = ${other}, connection_id = gen_random_uuid() where id = ${lost}`;
    await sql()`update agents set deleted_at = now() where id = ${deleted}`;
    await sql()`update agents set status = 'offline', node_id = null, connection_id = null where id = ${freed}`;
    await eventually(clock, async () => sockets.closed.length === 2 && (await rowOf(freed))?.status === "online");
    expect(new Map(sockets.closed)).toEqual(
      new Map([
        [lost, "superseded"],
        [deleted, "deleted"],
      ]),
    );
    expect(await sql()`select from agents where node_id = ${nodeId} and deleted_at is null`).toHaveLength(24_998);
    expect(Math.max(...said.map(({ parameterBytes }) => parameterBytes))).toBeLessThan(100_000);
  }, 180_000);

  test("asks nothing but for its lease and the sum", async () => {
    const { sockets, presence, clock, said } = await startNode();
    const [id = ""] = await createAgents(1);
    await presence.claim(id, sockets.connect(id));
    said.length = 0;
    await eventually(clock, async () => said.some(({ text }) => text.includes("bit(32)")));
    // Agents without a node are a part of the lease's statement, made by itself.
    const expected = ["bit(32)", "insert into nodes", "for no key update skip locked"];
    expect(said.filter(({ text }) => !expected.some((part) => text.includes(part)))).toEqual([]);
  });
});

describe("the first contact", () => {
  async function start(options: FleetServerOptions = {}): Promise<FleetServer> {
    const server = await startFleetServer(database, options);
    stops.push(server.stop);
    return server;
  }
  const frame = (type: string, id: string, payload: unknown) => ({
    ver: "1.1",
    ts: Date.now() / 1000,
    token: "first-contact",
    type,
    id,
    data: JSON.stringify(payload),
  });
  const isAcked = (frames: readonly { type: string; id?: string }[], wanted: string) =>
    frames.some(({ type, id }) => type === "ack" && id === wanted);

  test("an alert that comes with the first heartbeat is stored when host and buttons are known", async () => {
    const known: unknown[] = [];
    const server = await start({
      opened: async () => void known.push(...(await sql()`select hostname, meta->'allow' as allow from agents`)),
    });
    const socket = await server.connect();
    const allow = ["restart_service:nginx"];
    socket.send(frame("heartbeat", "h1", { hostname: "web-01", allow }));
    socket.send(frame("alert", "a1", alertOf()));
    await until(() => isAcked(socket.frames, "a1"), { what: "the ack" });
    socket.send(frame("heartbeat", "h2", { hostname: "web-01", allow: [], uptime_s: 9 }));
    socket.send(frame("alert", "a2", alertOf({ source: "other" })));
    await until(() => isAcked(socket.frames, "a2"), { what: "the ack" });
    expect(known).toEqual([
      { hostname: "web-01", allow },
      { hostname: "web-01", allow: [] },
    ]);
  });

  test("is over after it: heartbeats that only bring other figures make no alert wait", async () => {
    const { presence, sockets, said } = await startNode();
    const [id = ""] = await createAgents(1);
    sockets.connect(id);
    presence.seen(id, { hostname: "web-01", uptime_s: 1 });
    await presence.introduce([id]);
    expect(await rowOf(id)).toMatchObject({ hostname: "web-01", meta: { uptime_s: 1 } });
    said.length = 0;
    presence.seen(id, { hostname: "web-01", uptime_s: 2 });
    await presence.introduce([id]);
    expect(said).toEqual([]);
    presence.seen(id, { hostname: "web-02", uptime_s: 3 });
    await presence.introduce([id]);
    expect(await rowOf(id)).toMatchObject({ hostname: "web-02", meta: { uptime_s: 3 } });
  });
});
