import { afterEach, beforeEach, expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { startServer } from "../../src/server.ts";
import { TestAgent } from "../support/agent.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame } from "../support/server.ts";
import { until } from "../support/until.ts";

const ALERTS = 20_000;
const OLD_EVENTS = 400_000;
/** Of each way there and back. */
const SLOW_MS = 30;
/** The unit's TimeoutStopSec. */
const UNIT_LIMIT_MS = 240_000;
const HOUR_MS = 3_600_000;

let database: TestDatabase;
let proxy: DatabaseProxy;
beforeEach(async () => {
  database = await createTestDatabase();
  proxy = await startDatabaseProxy(database.target);
});
afterEach(async () => {
  await proxy.stop();
  await database.close();
});

/** Retention is due at once, in place of an hour after the start. */
function impatientClock(): Clock {
  const clock = createSystemClock();
  return { ...clock, sleep: (ms, signal) => clock.sleep(ms === HOUR_MS ? 0 : ms, signal) };
}

test("a stop with 20,000 alerts in the queue, retention at work and a slow database writes them all, in time, and says what took how long", async () => {
  const { sql } = database.database;
  await sql`
    insert into events (at, kind, actor) select now() - interval '90 days', 'old', 'system' from generate_series(1, ${OLD_EVENTS}::int)`;
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const env = { PORT: "0", DATABASE_URL: proxy.url, OPSPILOT_DATA_DIR: "/nonexistent" };
  const server = await startServer({
    config: loadConfig({}, { env, cwd: "/nonexistent", uid: 0, home: undefined }),
    clock: impatientClock(),
    log: createLog({ level: "info", readable: false, destination }),
    version: "0.0.0-test",
  });
  const agent = await TestAgent.connect(`${server.url.replace("http", "ws")}/v1/stream`);
  agent.send({ ver: "1.1", token: "storming-agent", ts: Date.now() / 1000 });
  await agent.frame(0);
  const oldLeft = async () => (await sql`select count(*)::int as n from events where kind = 'old'`)[0]?.n as number;
  await until(async () => (await oldLeft()) < OLD_EVENTS, { what: "retention is at work" });

  proxy.slow(SLOW_MS);
  const frame = { ...alertFrame("", "storming-agent", { source: "storm" }), ver: "1.0", id: undefined };
  for (let n = 0; n < ALERTS; n++) agent.send(frame);
  await until(() => queued(server.url), { ms: 20_000, what: "all are accepted" });
  const startedMs = performance.now();
  await server.stop();
  expect(performance.now() - startedMs).toBeLessThan(UNIT_LIMIT_MS);

  const [row] = await sql`select sum(occurrences)::int as n from incidents where source = 'storm'`;
  expect(row?.n).toBe(ALERTS);
  expect(await oldLeft()).toBeGreaterThan(0);
  const steps = lines.filter(({ tookMs }) => typeof tookMs === "number").map(({ what }) => what);
  expect(steps.slice(0, 1)).toEqual(["readiness"]);
  expect(steps.indexOf("new connections")).toBeLessThan(steps.indexOf("agents' sockets"));
  expect(steps.indexOf("ingest")).toBeLessThan(steps.indexOf("presence"));
  expect(steps.at(-1)).toBe("database");
}, 180_000);

/** Whether everything that was sent has come: frames that are counted, whatever has become of them. */
async function queued(url: string): Promise<boolean> {
  const text = await (await fetch(`${url}/metrics`, { keepalive: false })).text();
  const frames = /^opspilot_frames_total\{type="alert",outcome="ok"\} (\d+)$/m.exec(text)?.[1];
  return Number(frames) >= ALERTS;
}
