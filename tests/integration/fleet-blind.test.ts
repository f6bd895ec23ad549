import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createBlindWatch } from "../../src/fleet/blind.ts";
import { createCollectorStore } from "../../src/fleet/collector-store.ts";
import type { OfferedAlert, OfferedResult } from "../../src/ingest/model.ts";
import { createLoops } from "../../src/lib/loops.ts";
import type { CollectorReport } from "../../src/protocol/frames.ts";
import { createTestClock } from "../support/clock.ts";
import { countingSql } from "../support/counting-sql.ts";
import { type FleetServer, startFleetServer } from "../support/fleet-server.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const NODE = crypto.randomUUID();
/** Of the rules: five minutes. */
const BLIND_AFTER_S = 300;

let database: TestDatabase;
let server: FleetServer;
let ingest: FleetServer["ingest"];
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startFleetServer(database);
  ({ ingest } = server);
});
afterAll(async () => {
  await server.stop();
  await database.close();
});
beforeEach(async () => {
  await sql()`truncate agents, incidents, alerts, events, outages, nodes cascade`;
  await live(NODE);
});

const sql = () => database.database.sql;
const store = () => createCollectorStore(sql());
const live = (id: string) => sql()`
  insert into nodes (id, version, lease_until) values (${id}, 'test', now() + interval '15 s')`;

/** A connected agent, whose collectors said this. */
async function agentOf(
  reports: Record<string, Partial<CollectorReport>>,
  changes: Record<string, unknown> = {},
): Promise<string> {
  const id = crypto.randomUUID();
  const connectedAt = new Date(Date.now() - 3_600_000);
  const row = { id, token_hash: id, hostname: "web-01", status: "online", connected_at: connectedAt, ...changes };
  await sql()`insert into agents ${sql()(row)}`;
  await say(id, reports);
  return id;
}

async function say(agentId: string, changes: Record<string, Partial<CollectorReport>>): Promise<void> {
  const entries = Object.entries(changes).map(([name, change]): [string, CollectorReport] => [
    name,
    { state: "cannot", for_s: 0, ...(change.state === undefined ? { why: "no answer" } : {}), ...change },
  ]);
  await store().write([{ agentId, ageMs: 0, reports: Object.fromEntries(entries) }]);
}

const LONG = { for_s: BLIND_AFTER_S + 1 };

function depsOf(nodeId: string, accept: typeof ingest.accept) {
  const collectorStore = store();
  const loops = createLoops(createTestClock(), quiet);
  const own = { accept, uuidOf: ingest.uuidOf };
  const onCollectors = () => undefined;
  return { collectorStore, ingest: own, nodeId, retentionMs: 86_400_000, onCollectors, loops, log: quiet };
}

/** A watch whose look is over once what it told is stored. */
function watchOf(nodeId = NODE) {
  let settled: Promise<unknown>[] = [];
  const waiting = (frame: OfferedAlert | OfferedResult) => {
    const done = Promise.withResolvers<void>();
    settled.push(done.promise);
    ingest.accept({ ...frame, settled: (outcome) => done.resolve(frame.settled?.(outcome)) });
  };
  const watch = createBlindWatch(depsOf(nodeId, waiting));
  return {
    /** Several, as the loop would: what is declared is told, what is told is cleared. */
    async look(times = 3) {
      for (let n = 0; n < times; n++) {
        await watch.look();
        await Promise.all(settled);
        settled = [];
      }
    },
  };
}

const incidents = () => sql()`
  select origin, type, source, severity, raw_error, status, occurrences from incidents order by id`;
const statuses = async () => (await incidents()).map(({ source, status }) => `${source} ${status}`);

describe("a collector that cannot see for five minutes", () => {
  test("is an incident of its own, once, and its recovery ends it", async () => {
    const id = await agentOf({ docker: LONG, host: { state: "sees" } });
    const watch = watchOf();
    await watch.look();
    expect(await incidents()).toMatchObject([
      {
        origin: "server",
        type: "host",
        source: "collector docker",
        severity: "warning",
        raw_error: expect.stringMatching(
          /^The collector docker of web-01 cannot see since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: no answer$/,
        ),
        status: "new",
        occurrences: 1,
      },
    ]);
    await say(id, { docker: { state: "sees" }, host: { state: "sees" } });
    await watch.look();
    expect(await statuses()).toEqual(["collector docker resolved"]);
    await watch.look();
    await watchOf().look();
    expect(await statuses()).toEqual(["collector docker resolved"]);
    expect(await sql()`select from alerts`).toHaveLength(2);
  });

  test("is another incident when it is blind again", async () => {
    const id = await agentOf({ docker: LONG });
    const watch = watchOf();
    await watch.look();
    await say(id, { docker: { state: "sees" } });
    await watch.look();
    await say(id, { docker: LONG });
    await watch.look();
    expect(await statuses()).toEqual(["collector docker resolved", "collector docker new"]);
  });

  const connected = (secondsAgo: number) => ({ connected_at: new Date(Date.now() - secondsAgo * 1000) });
  test.each<[string, Partial<CollectorReport>, Record<string, unknown>, number]>([
    ["not yet", { for_s: BLIND_AFTER_S - 5 }, {}, 0],
    ["where it has nothing to watch", { ...LONG, state: "absent" }, {}, 0],
    ["where the agent has told of it", { ...LONG, told: true }, {}, 0],
    ["while its agent is away", LONG, { status: "offline" }, 0],
    ["of an agent that has just come back", LONG, connected(50), 0],
    ["of an agent that is back for a minute", LONG, connected(70), 1],
    ["of a deleted agent", LONG, { deleted_at: new Date() }, 0],
  ])("%s", async (_, report, changes, count) => {
    const id = await agentOf({ docker: report });
    await sql()`update agents set ${sql()({ status: "online", ...changes })} where id = ${id}`;
    await watchOf().look();
    expect(await incidents()).toHaveLength(count);
  });

  test("counts on, though its agent begins anew", async () => {
    const id = await agentOf({ docker: { for_s: BLIND_AFTER_S - 10 } });
    await say(id, { docker: { for_s: 0, why: "it has not begun to watch yet" } });
    const { dueMs } = await store().findDue({ blindAfterMs: 300_000, connectedMs: 60_000 });
    expect(dueMs).toBeWithin(5_000, 10_001);
  });

  test("stays an incident while its agent is away or lost, and when that is deleted", async () => {
    const id = await agentOf({ docker: LONG });
    const watch = watchOf();
    await watch.look();
    await sql()`update agents set status = 'offline', last_seen_at = now() - interval '1 day' where id = ${id}`;
    await watch.look();
    await sql()`update agents set deleted_at = now() where id = ${id}`;
    await watch.look();
    expect(await statuses()).toEqual(["collector docker new"]);
    expect(await sql()`select from alerts`).toHaveLength(1);
  });

  test("is over when it is switched off, and when an alert of the agent's tells it", async () => {
    const id = await agentOf({ docker: LONG, logs: LONG });
    const watch = watchOf();
    await watch.look();
    await say(id, { docker: { ...LONG, told: true } });
    await watch.look();
    expect((await statuses()).sort()).toEqual(["collector docker resolved", "collector logs resolved"]);
    const rows = await sql()`select raw_error from alerts where state = 'resolved' order by source`;
    expect(rows.map(({ raw_error }) => raw_error)).toEqual([
      "The collector docker of web-01 still cannot see, of which another alert tells",
      "The collector logs of web-01 is switched off",
    ]);
    // What nobody tells any more is told again, under another id.
    await say(id, { docker: LONG });
    await watch.look();
    expect((await statuses()).at(-1)).toBe("collector docker new");
  });

  test("is told once by many nodes, and by another one when the first dies before it is stored", async () => {
    await agentOf({ docker: LONG });
    const dying = createBlindWatch(depsOf(NODE, () => undefined));
    for (let look = 0; look < 3; look++) await dying.look();
    expect(await incidents()).toHaveLength(0);
    const nodes = Array.from({ length: 3 }, () => crypto.randomUUID());
    for (const node of nodes) await live(node);
    const watches = nodes.map((node) => watchOf(node));
    await Promise.all(watches.map((watch) => watch.look()));
    expect((await incidents()).map(({ occurrences }) => occurrences)).toEqual([1]);
    expect(await sql()`select from alerts`).toHaveLength(1);
  });
});

describe("the next look", () => {
  test("is due when the next collector counts as blind", async () => {
    await agentOf({ docker: { for_s: BLIND_AFTER_S - 30 }, logs: { for_s: BLIND_AFTER_S - 20 } });
    expect(await createBlindWatch(depsOf(NODE, ingest.accept)).look()).toBeWithin(15_000, 20_001);
  });

  test("costs one statement, also while some are blind and told", async () => {
    await agentOf({ docker: LONG, logs: LONG, host: { state: "sees" } });
    const counting = countingSql(sql());
    const watch = createBlindWatch({
      ...depsOf(NODE, ingest.accept),
      collectorStore: createCollectorStore(counting.sql),
    });
    await until(async () => {
      await watch.look();
      return (await incidents()).length === 2;
    });
    for (let look = 0; look < 2; look++) await watch.look();
    counting.said.length = 0;
    await watch.look();
    expect(counting.said).toHaveLength(1);
  });
});
