import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import { createNoticeReader } from "../../src/fleet/fleet.ts";
import { createLostWatch } from "../../src/fleet/lost.ts";
import { createLostStore } from "../../src/fleet/lost-store.ts";
import { createFleetStore } from "../../src/fleet/store.ts";
import { createAlertRecorder } from "../../src/incidents/recorder.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createIngestMetrics } from "../../src/ingest/metrics.ts";
import type { OfferedAlert, OfferedResult } from "../../src/ingest/model.ts";
import { createIngestService } from "../../src/ingest/service.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const NODE = crypto.randomUUID();
const SUBJECT = { type: "host", source: "agent" };
const LEASE = { leaseSeconds: 15, lateSeconds: 10 };
const TIMEOUT_MS = 90_000;
/** Of the rules: HEARTBEAT_TIMEOUT and half a minute. */
const LOST_AFTER_S = 120;

let database: TestDatabase;
let ingest: ReturnType<typeof createIngestService>;
let settled: Promise<unknown>[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  ingest = createIngestService({
    connect: () => database.database.createClient({ connections: 1 }),
    alerts: createAlertRecorder({ incidentGroupWindowMs: 300_000, opened: async () => undefined }),
    results: { record: async (_, results) => results.map(() => ({ ok: true })) },
    before: async () => undefined,
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

const depsOf = (nodeId: string, accept: typeof ingest.accept) => ({
  store: createLostStore(sql()),
  ingest: { accept, uuidOf: ingest.uuidOf },
  nodeId,
  heartbeatTimeoutMs: TIMEOUT_MS,
  retentionMs: 86_400_000,
  onReturn: () => undefined,
  clock: createTestClock(),
  loops: createLoops(createTestClock(), quiet),
  log: quiet,
});

/** What an agent sends, once it is stored. */
async function send(agentId: string, messageId: string | null, alert: Partial<OfferedAlert["alert"]> = {}) {
  const said = { ...SUBJECT, message: "I am here", ...alert };
  await new Promise<void>((resolve) =>
    ingest.accept({
      kind: "alert",
      origin: "agent",
      agentId,
      messageId,
      alert: said,
      ageMs: 0,
      sizeBytes: 10,
      settled: () => resolve(),
    }),
  );
}

/** A watch whose look is over once what it told is stored. */
function watchOf(nodeId = NODE, accept: typeof ingest.accept = (frame) => ingest.accept(frame)) {
  const waiting = (frame: OfferedAlert | OfferedResult) => {
    const done = Promise.withResolvers<void>();
    settled.push(done.promise);
    const { settled: told } = frame;
    accept({ ...frame, settled: (outcome) => done.resolve(told?.(outcome)) });
  };
  const watch = createLostWatch(depsOf(nodeId, waiting));
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
const lostSince = async (id: string) => {
  const [row] = await sql()`select lost_since from agents where id = ${id}`;
  return row?.lost_since ?? null;
};

describe("an agent", () => {
  test("that is lost is an incident of its own, and its return ends it, each once", async () => {
    const id = await agentOf(LOST_AFTER_S + 5);
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
    const since = await lostSince(id);
    expect(Math.abs(incident?.last_seen_at - since)).toBeLessThan(1_000);

    await comeBack(id);
    for (let look = 0; look < 3; look++) await watch.look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
    expect(await lostSince(id)).toBeNull();
    expect((await sql()`select state from alerts order by id`).map(({ state }) => state)).toEqual([
      "firing",
      "resolved",
    ]);
  });

  test("that is lost again right after its return is a new incident of the same fingerprint", async () => {
    const id = await agentOf(LOST_AFTER_S * 2);
    const watch = watchOf();
    await watch.look();
    await sql()`
      update agents set connected_at = now() - ${LOST_AFTER_S + 5} * interval '1 s',
        last_seen_at = now() - ${LOST_AFTER_S + 5} * interval '1 s' where id = ${id}`;
    for (let look = 0; look < 3; look++) await watch.look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved", "new"]);
    const [row] = await sql()`select count(distinct fingerprint)::int as count from incidents`;
    expect(row?.count).toBe(1);
  });

  test.each<[string, number, Record<string, unknown>, boolean]>([
    ["within the grace", LOST_AFTER_S - 5, {}, false],
    ["that is online", 3_600, { status: "online" }, false],
    ["with one heartbeat", 3_600, { heartbeats: 1 }, false],
    ["that was deleted", 3_600, { deleted_at: new Date() }, false],
    ["that said goodbye", 600, { goodbye_at: new Date(Date.now() - 600_000) }, false],
    ["that said goodbye long ago", 800, { goodbye_at: new Date(Date.now() - 800_000) }, true],
  ])("%s is lost as it should be", async (_, seenSecondsAgo, changes, isLost) => {
    const id = await agentOf(seenSecondsAgo, changes);
    await watchOf().look();
    expect((await lostSince(id)) !== null).toBe(isLost);
    expect(await incidents()).toHaveLength(isLost ? 1 : 0);
  });

  test("is not lost for what nobody could hear", async () => {
    const id = await agentOf(3_600);
    await sql()`insert into outages (kind, ended_at) values ('no_node', now() - interval '60 s')`;
    await watchOf().look();
    expect(await lostSince(id)).toBeNull();
    await sql()`update outages set ended_at = now() - interval '121 s'`;
    await watchOf().look();
    const since = await lostSince(id);
    expect(Date.now() - since).toBeWithin(120_000, 130_000);
  });

  test("is told once by many nodes", async () => {
    await agentOf(LOST_AFTER_S + 5);
    const nodes = Array.from({ length: 4 }, () => crypto.randomUUID());
    for (const node of nodes) await live(node);
    const watches = nodes.map((node) => watchOf(node));
    for (let look = 0; look < 3; look++) await Promise.all(watches.map((watch) => watch.look()));
    expect((await incidents()).map(({ occurrences }) => occurrences)).toEqual([1]);
    expect(await sql()`select id from alerts`).toHaveLength(1);
  });

  test("is told by another node when the first one dies before it is stored", async () => {
    const id = await agentOf(LOST_AFTER_S + 5);
    const dying = createLostWatch(depsOf(NODE, () => undefined));
    await dying.look();
    expect(await lostSince(id)).not.toBeNull();
    expect([...(await incidents())]).toEqual([]);
    await comeBack(id);
    await watchOf().look();
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
    await watchOf().look();
    expect(await lostSince(id)).toBeNull();
  });

  test("is not looked for by a node without a lease", async () => {
    const id = await agentOf(LOST_AFTER_S + 5);
    await sql()`update nodes set lease_until = now() - interval '1 s'`;
    await watchOf().look();
    expect(await lostSince(id)).toBeNull();
  });
});

describe("what an agent says of itself", () => {
  const all = () => sql()`select origin, severity, status, occurrences from incidents order by id`;

  test("hides no loss, and ends none", async () => {
    const id = await agentOf(LOST_AFTER_S + 5);
    await send(id, "mine", { severity: "info" });
    await watchOf().look();
    await send(id, "over", { state: "resolved", message: "all is well" });
    expect([...(await all())]).toEqual([
      { origin: "agent", severity: "info", status: "resolved", occurrences: 1 },
      { origin: "server", severity: "critical", status: "new", occurrences: 1 },
    ]);
  });

  test.each(["lost", "silent"])("under the id of the server's own alert (%s) does not stand for it", async (word) => {
    const id = await agentOf(LOST_AFTER_S + 5);
    const [row] = await sql()`select date_trunc('milliseconds', last_seen_at) as seen from agents where id = ${id}`;
    await send(id, `opspilot:${word}:${row?.seen.getTime()}`, { severity: "info" });
    const watch = watchOf();
    for (let look = 0; look < 3; look++) await watch.look();
    expect((await all()).map(({ origin, occurrences }) => [origin, occurrences])).toEqual([
      ["agent", 1],
      ["server", 1],
    ]);
  });
});

test("a loss that was told before its alerts had an origin is not told again, and its recovery ends it", async () => {
  const id = await agentOf(LOST_AFTER_S + 5);
  const since = new Date(Date.now() - 3_600_000);
  await sql()`update agents set lost_since = ${since}, last_seen_at = ${since} where id = ${id}`;
  await send(id, `opspilot:silent:${since.getTime()}`, { severity: "critical" });
  // As the migration leaves it.
  await sql()`update incidents set origin = 'server'`;
  const watch = watchOf();
  for (let look = 0; look < 2; look++) await watch.look();
  expect((await incidents()).map(({ status, occurrences }) => [status, occurrences])).toEqual([["new", 1]]);
  await comeBack(id);
  for (let look = 0; look < 2; look++) await watch.look();
  expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
  expect(await lostSince(id)).toBeNull();
});

describe("the next look", () => {
  const lookIn = async () => (await createLostWatch(depsOf(NODE, ingest.accept)).look()) ?? null;

  test("is due when the next agent counts as lost", async () => {
    await agentOf(0, { status: "online" });
    expect(await lookIn()).toBeNull();
    await agentOf(LOST_AFTER_S - 30);
    await agentOf(LOST_AFTER_S - 20);
    await agentOf(LOST_AFTER_S - 40);
    expect(await lookIn()).toBeWithin(15_000, 20_001);
    await agentOf(LOST_AFTER_S + 5);
    expect(await lookIn()).toBe(0);
    await until(async () => (await incidents()).length === 1);
    expect(await lookIn()).toBeWithin(10_000, 20_000);
  });

  test("costs one statement while nobody is missed", async () => {
    await agentOf(0, { status: "online" });
    const said: string[] = [];
    const counting = new Proxy(sql(), {
      apply: (target, self, args) => {
        if (Array.isArray(args[0])) said.push(args[0].join("?").trim());
        return Reflect.apply(target, self, args);
      },
      get: (target, key) => {
        if (key === "begin") said.push("begin");
        return Reflect.get(target, key);
      },
    });
    const watch = createLostWatch({ ...depsOf(NODE, ingest.accept), store: createLostStore(counting) });
    await watch.look();
    said.length = 0;
    await watch.look();
    expect(said.filter((text) => /^(select|update|insert|begin)/.test(text))).toHaveLength(1);
  });

  test("comes at once when a lost agent is back, and when what it told is stored", async () => {
    const id = await agentOf(LOST_AFTER_S + 5);
    let returned: (ids: string[]) => void = () => undefined;
    const clock = createTestClock();
    const loops = createLoops(clock, quiet);
    const onReturn = (listener: (ids: readonly string[]) => void) => {
      returned = listener;
    };
    const watch = createLostWatch({ ...depsOf(NODE, ingest.accept), clock, loops, onReturn });
    watch.start();
    await clock.advance(11_000);
    const step = (state: () => Promise<boolean>) =>
      until(async () => {
        await clock.advance(250);
        return state();
      });
    await step(async () => (await incidents()).length === 1);
    const before = clock.now();
    await comeBack(id);
    returned([id]);
    await until(async () => {
      // Two rests, and no interval.
      if (clock.now() - before < 5_000) await clock.advance(250);
      return (await lostSince(id)) === null;
    });
    expect((await incidents()).map(({ status }) => status)).toEqual(["resolved"]);
    await watch.stop();
  });
});

test("a notice of another node's claim tells who is back", () => {
  const returned: string[] = [];
  const reader = createNoticeReader({
    nodeId: NODE,
    sockets: { connectionOf: () => undefined, closeAgent: () => undefined, agentIds: () => [] },
    tokens: { forget: () => undefined },
    presence: { reconcile: async () => undefined },
    returned: (ids) => void returned.push(...ids),
    log: quiet,
  });
  reader.onMessage(JSON.stringify({ kind: "claimed", node: NODE, agents: ["mine"] }));
  reader.onMessage(JSON.stringify({ kind: "claimed", node: crypto.randomUUID(), agents: ["one", "two"] }));
  expect(returned).toEqual(["one", "two"]);
});

describe("an outage", () => {
  const outages = () => sql()`select kind, extract(epoch from now() - ended_at)::float8 as ago from outages`;
  const renew = (id: string) =>
    createFleetStore(sql(), createIncidentWriter()).renewLease({ id, version: "test", ...LEASE });

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

  test("sets nobody offline whose node had no more chance to renew its lease, unless that does not come back", async () => {
    const [here, away] = [crypto.randomUUID(), crypto.randomUUID()];
    await sql()`delete from nodes`;
    for (const id of [here, away]) await renew(id);
    await sql()`delete from outages`;
    await sql()`
      insert into agents (id, token_hash, status, node_id, connection_id)
      values (gen_random_uuid(), 'outage', 'online', ${away}, gen_random_uuid())`;
    const status = async () => (await sql()`select status from agents where token_hash = 'outage'`)[0]?.status;
    await sql()`update nodes set lease_until = now() - interval '15 s'`;
    for (let turn = 0; turn < 2; turn++) expect(await renew(here)).toMatchObject({ orphans: 0 });
    expect(await status()).toBe("online");
    await sql()`update outages set ended_at = ended_at - interval '16 s'`;
    expect(await renew(here)).toMatchObject({ orphans: 1 });
    expect(await status()).toBe("offline");
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
  const store = createFleetStore(sql(), createIncidentWriter());
  const agentId = await agentOf(0, { heartbeats: 0 });
  const read = async () => {
    const [row] = await sql()`select heartbeats, goodbye_at from agents where id = ${agentId}`;
    return { heartbeats: row?.heartbeats, saidGoodbye: row?.goodbye_at !== null };
  };
  const update = { agentId, ageMs: 0, hostname: null, meta: null, isNews: false };
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
