import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import { createLostWatch } from "../../src/fleet/lost.ts";
import { createLostStore } from "../../src/fleet/lost-store.ts";
import { createFleetStore } from "../../src/fleet/store.ts";
import { createAlertRecorder } from "../../src/incidents/recorder.ts";
import { createIngestMetrics } from "../../src/ingest/metrics.ts";
import type { OfferedAlert, OfferedResult } from "../../src/ingest/model.ts";
import { createIngestService } from "../../src/ingest/service.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const NODE = crypto.randomUUID();
const LEASE = { leaseSeconds: 15, lateSeconds: 10 };
const TIMEOUT_MS = 90_000;
/** Of the rules: HEARTBEAT_TIMEOUT and half a minute. */
const SILENT_AFTER_S = 120;

let database: TestDatabase;
let ingest: ReturnType<typeof createIngestService>;
let settled: Promise<unknown>[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  ingest = createIngestService({
    connect: () => database.database.createClient({ connections: 1 }),
    alerts: createAlertRecorder({ incidentGroupWindowMs: 300_000, opened: async () => undefined }),
    results: { record: async (_, results) => results.map(() => ({ ok: true })) },
    flow: { pauseAll() {}, resumeAll() {}, pauseAgent() {}, resumeAgent() {} },
    clock: createSystemClock(),
    log: quiet,
    metrics: createIngestMetrics(new Registry(), () => ingest.queuedBytes()),
    bufferBytes: 2 ** 20,
  });
});

afterAll(async () => {
  await ingest.stop(1_000);
  await database.close();
});

beforeEach(async () => {
  await sql()`truncate agents, incidents, alerts, events, outages, nodes cascade`;
  await live(NODE);
});

const sql = () => database.database.sql;

const live = (id: string, seconds = 15, startedSecondsAgo = 3_600) => sql()`
  insert into nodes (id, version, started_at, lease_until)
  values (${id}, 'test', now() - ${startedSecondsAgo} * interval '1 s', now() + ${seconds} * interval '1 s')`;

/** An agent that was last heard of so many seconds ago. */
async function agentOf(seenSecondsAgo: number, changes: Record<string, unknown> = {}): Promise<string> {
  const id = crypto.randomUUID();
  await sql()`
    insert into agents ${sql()({ id, token_hash: id, hostname: "web-01", heartbeats: 2, ...changes })}`;
  await sql()`
    update agents set last_seen_at = now() - ${seenSecondsAgo} * interval '1 s',
      connected_at = now() - interval '1 day' where id = ${id}`;
  return id;
}

/** A watch whose look is over once what it told is stored. */
function watchOf(nodeId = NODE, accept: typeof ingest.accept = (frame) => ingest.accept(frame)) {
  const waiting = (frame: OfferedAlert | OfferedResult) => {
    const done = Promise.withResolvers<void>();
    settled.push(done.promise);
    const { settled: told } = frame;
    accept({ ...frame, settled: (outcome) => done.resolve(told?.(outcome)) });
  };
  const watch = createLostWatch({
    store: createLostStore(sql()),
    ingest: { accept: waiting },
    nodeId,
    heartbeatTimeoutMs: TIMEOUT_MS,
    retentionMs: 86_400_000,
    clock: createTestClock(),
    log: quiet,
  });
  return {
    async look() {
      await watch.look();
      await Promise.all(settled);
      settled = [];
    },
  };
}

const comeBack = (id: string) =>
  sql()`update agents set status = 'online', connected_at = now(), last_seen_at = now() where id = ${id}`;
const incidents = () => sql()`
  select agent_id, type, source, severity, raw_error, status, occurrences, last_seen_at from incidents order by id`;
const silentSince = async (id: string) => {
  const [row] = await sql()`select silent_since from agents where id = ${id}`;
  return row?.silent_since ?? null;
};

describe("an agent", () => {
  test("that is silent for too long is an incident of its own, and its return ends it, each once", async () => {
    const id = await agentOf(SILENT_AFTER_S + 5);
    const watch = watchOf();
    for (let look = 0; look < 3; look++) await watch.look();
    const [incident, ...others] = await incidents();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({
      agent_id: id,
      type: "host",
      source: "agent",
      severity: "critical",
      occurrences: 1,
    });
    expect(incident?.raw_error).toMatch(
      /^No sign of life from web-01: .* last heard of at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    );
    const since = await silentSince(id);
    expect(Math.abs(incident?.last_seen_at - since)).toBeLessThan(1_000);

    await comeBack(id);
    for (let look = 0; look < 3; look++) await watch.look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
    expect(await silentSince(id)).toBeNull();
    expect((await sql()`select state from alerts order by id`).map(({ state }) => state)).toEqual([
      "firing",
      "resolved",
    ]);
  });

  test("that falls silent again right after its return is a new incident of the same fingerprint", async () => {
    const id = await agentOf(SILENT_AFTER_S * 2);
    const watch = watchOf();
    await watch.look();
    await sql()`
      update agents set connected_at = now() - ${SILENT_AFTER_S + 5} * interval '1 s',
        last_seen_at = now() - ${SILENT_AFTER_S + 5} * interval '1 s' where id = ${id}`;
    for (let look = 0; look < 3; look++) await watch.look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved", "new"]);
    const [row] = await sql()`select count(distinct fingerprint)::int as count from incidents`;
    expect(row?.count).toBe(1);
  });

  test.each<[string, number, Record<string, unknown>, boolean]>([
    ["within the grace", SILENT_AFTER_S - 5, {}, false],
    ["that is online", 3_600, { status: "online" }, false],
    ["with one heartbeat", 3_600, { heartbeats: 1 }, false],
    ["that was deleted", 3_600, { deleted_at: new Date() }, false],
    ["that said goodbye", 600, { goodbye_at: new Date(Date.now() - 600_000) }, false],
    ["that said goodbye long ago", 800, { goodbye_at: new Date(Date.now() - 800_000) }, true],
  ])("%s is silent as it should be", async (_, seenSecondsAgo, changes, isSilent) => {
    const id = await agentOf(seenSecondsAgo, changes);
    await watchOf().look();
    expect((await silentSince(id)) !== null).toBe(isSilent);
    expect(await incidents()).toHaveLength(isSilent ? 1 : 0);
  });

  test("is not silent for what nobody could hear", async () => {
    const id = await agentOf(3_600);
    await sql()`insert into outages (kind, ended_at) values ('no_node', now() - interval '60 s')`;
    await watchOf().look();
    expect(await silentSince(id)).toBeNull();
    await sql()`update outages set ended_at = now() - interval '121 s'`;
    await watchOf().look();
    const since = await silentSince(id);
    expect(Date.now() - since).toBeWithin(120_000, 130_000);
  });

  test("is told once by many nodes", async () => {
    await agentOf(SILENT_AFTER_S + 5);
    const nodes = Array.from({ length: 4 }, () => crypto.randomUUID());
    for (const node of nodes) await live(node);
    const watches = nodes.map((node) => watchOf(node));
    for (let look = 0; look < 3; look++) await Promise.all(watches.map((watch) => watch.look()));
    expect((await incidents()).map(({ occurrences }) => occurrences)).toEqual([1]);
    expect(await sql()`select id from alerts`).toHaveLength(1);
  });

  test("is told by another node when the first one dies before it is stored", async () => {
    const id = await agentOf(SILENT_AFTER_S + 5);
    const dying = createLostWatch({
      store: createLostStore(sql()),
      ingest: { accept: () => undefined },
      nodeId: NODE,
      heartbeatTimeoutMs: TIMEOUT_MS,
      retentionMs: 86_400_000,
      clock: createTestClock(),
      log: quiet,
    });
    await dying.look();
    expect(await silentSince(id)).not.toBeNull();
    expect([...(await incidents())]).toEqual([]);
    await comeBack(id);
    await watchOf().look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
    await watchOf().look();
    expect(await silentSince(id)).toBeNull();
  });

  test("is not looked for by a node without a lease", async () => {
    const id = await agentOf(SILENT_AFTER_S + 5);
    await sql()`update nodes set lease_until = now() - interval '1 s'`;
    await watchOf().look();
    expect(await silentSince(id)).toBeNull();
  });
});

describe("an outage", () => {
  const outages = () => sql()`select kind, extract(epoch from now() - ended_at)::float8 as ago from outages`;
  const renew = (id: string) =>
    createFleetStore(sql(), database.database.orm).renewLease({ id, version: "test", ...LEASE });

  test("ends when a node begins while no other lives", async () => {
    await sql()`delete from nodes`;
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    for (const id of [first, second, first, second]) await renew(id);
    expect((await outages()).map(({ kind }) => kind)).toEqual(["no_node"]);
  });

  test("ends when the database was away for a while", async () => {
    await renew(NODE);
    await sql()`update nodes set lease_until = now() + interval '6 s'`;
    await renew(NODE);
    expect([...(await outages())]).toEqual([]);
    await sql()`update nodes set lease_until = now() + interval '4 s'`;
    await renew(NODE);
    expect((await outages()).map(({ kind }) => kind)).toEqual(["database"]);
  });

  test("is found when the other node's lease outlived it", async () => {
    await sql()`delete from nodes`;
    await live(crypto.randomUUID(), 3);
    await live(NODE, 15, 10);
    await watchOf().look();
    const [outage] = await outages();
    expect(outage).toMatchObject({ kind: "no_node", ago: expect.closeTo(10, 0) });
  });

  test("is none while another node lives", async () => {
    await sql()`delete from nodes`;
    await live(crypto.randomUUID(), 14);
    await live(NODE, 15, 10);
    await watchOf().look();
    expect([...(await outages())]).toEqual([]);
  });

  test("is forgotten after a while, except for the last", async () => {
    await sql()`
      insert into outages (kind, ended_at) select 'no_node', now() - days * interval '1 day' from generate_series(1, 5) days`;
    expect(await createLostStore(sql()).deleteOutages(3_600_000)).toBe(4);
    expect(await outages()).toHaveLength(1);
  });
});

test("heartbeats are counted to two, and a goodbye stands until the agent is back", async () => {
  const store = createFleetStore(sql(), database.database.orm);
  const agentId = await agentOf(0, { heartbeats: 0 });
  const read = async () => {
    const [row] = await sql()`select heartbeats, goodbye_at from agents where id = ${agentId}`;
    return { heartbeats: row?.heartbeats, saidGoodbye: row?.goodbye_at !== null };
  };
  const update = { agentId, lastSeenAt: Date.now(), hostname: null, meta: null };
  for (const [heartbeats, counted] of [
    [0, 0],
    [1, 1],
    [5, 2],
    [1, 2],
  ] as const) {
    await store.writePresence([{ ...update, heartbeats }]);
    expect((await read()).heartbeats).toBe(counted);
  }
  const connectionId = crypto.randomUUID();
  await store.claim(NODE, [{ agentId, connectionId }]);
  await store.release(NODE, [{ agentId, connectionId, isGoodbye: false }]);
  expect((await read()).saidGoodbye).toBe(false);
  await store.claim(NODE, [{ agentId, connectionId }]);
  await store.release(NODE, [{ agentId, connectionId, isGoodbye: true }]);
  await until(async () => (await read()).saidGoodbye);
  await store.claim(NODE, [{ agentId, connectionId }]);
  expect((await read()).saidGoodbye).toBe(false);
});
