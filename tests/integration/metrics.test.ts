import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { MONITORING } from "../../src/cli/monitoring.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { promtool, promtoolTest } from "../support/promtool.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const README = join(import.meta.dir, "../../README.md");
const RULES_TEST = join(import.meta.dir, "../fixtures/monitoring/rules-test.yml");
const AGENT_TOKEN = "a-token-of-an-agent";

let database: TestDatabase;
let wire: DatabaseProxy;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  wire = await startDatabaseProxy(database.target);
  server = await startTestServer(wire.url, {
    AI_DAILY_LIMIT: "7",
    INGEST_BUFFER: "2MiB",
    RETENTION: "1h",
    HEARTBEAT_URL: "http://127.0.0.1:1/",
  });
}, 120_000);
afterAll(async () => {
  wire?.mend();
  await server?.stop();
  await wire?.stop();
  await database?.close();
}, 60_000);

async function scrape(): Promise<string> {
  return (await fetch(`${server.url}/metrics`, { keepalive: false })).text();
}

/** The value of a series as it is written; undefined where there is none. */
function figureOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

test("/metrics says what waits where, who is there, and how far behind upkeep is", async () => {
  const { sql } = database.database;
  const agent = await server.connect();
  agent.send(alertFrame("first", AGENT_TOKEN, { severity: "critical" }));
  await agent.frame(1);
  // What an agent says of its checks may be of any shape.
  const checks = [
    { name: "shop", up: false, took_ms: 1500, certificate_ends: 1_800_000_000 },
    { name: "shop", up: true, took_ms: 1 },
    { name: "mail", up: true, took_ms: "long" },
    { name: 7, up: true },
    { name: "odd", up: "yes" },
    "odd",
  ];
  const sight = { collectors: { checks: { state: "sees", for_s: 1 } }, checks };
  agent.send({ ...alertFrame("second", AGENT_TOKEN), type: "heartbeat", data: JSON.stringify(sight) });
  await agent.frame(2);
  // As another node, an earlier version and people have left it.
  await sql`insert into quarantine (uuid, agent_id, kind, payload, error)
    select gen_random_uuid(), id, 'alert', '{}', 'a fault' from agents`;
  await sql`insert into model_calls (incident_id, model, endpoint, question_hash, system, prompt)
    select 1, 'm', 'e', 'h', 's', 'p' from generate_series(1, 3)`;
  await sql`insert into commands (id, agent_id, command, params, target, actor, status, ttl_s, expires_at)
    select gen_random_uuid(), id, 'ping', '{}', '', 'api', 'sent', 60, now() + interval '1 h' from agents`;
  await sql`insert into silences (ends, actor) values ('until', 'api')`;
  await sql`insert into sessions (secret_hash, expires_at) values ('a', now() + interval '1 h'), ('b', now() - interval '1 h')`;
  await sql`insert into decisions (id, incident_id, action, actor, actor_name, outlet, due_at)
    values (gen_random_uuid(), 999, 'logs', 'api', 'a', 'api', now() + interval '1 h')`;
  await sql`update alerts set received_at = now() - interval '3 h'`;

  const expected: Record<string, number> = {
    'opspilot_info{version="0.0.0-test"}': 1,
    opspilot_ready: 1,
    'opspilot_check_ok{check="database"}': 1,
    opspilot_listening: 1,
    'opspilot_jobs{queue="incidents.explain",state="failed"}': 0,
    'opspilot_jobs_given_up_total{queue="incidents.ask"}': 0,
    'opspilot_incidents_open{status="analyzed",severity="critical"}': 1,
    'opspilot_agents{status="online"}': 1,
    'opspilot_agents{status="offline"}': 0,
    opspilot_agents_lost: 0,
    opspilot_collectors_blind: 0,
    'opspilot_commands_open{state="sent"}': 1,
    opspilot_decisions_open: 1,
    opspilot_decisions_late_seconds: 0,
    opspilot_sessions: 1,
    opspilot_silences: 1,
    opspilot_nodes: 1,
    opspilot_quarantine_frames: 1,
    opspilot_model_calls_left: 4,
    opspilot_ingest_buffer_bytes: 2 * 2 ** 20,
    'opspilot_database_statements_waiting{driver="postgres"}': 0,
    'opspilot_credentials_refused_total{way="api",outcome="limited"}': 0,
  };
  let text = "";
  const holds = async () => {
    text = await scrape();
    return Object.entries(expected).every(([series, value]) => figureOf(text, series) === value);
  };
  await until(holds, { ms: 60_000, what: "all figures are as expected" }).catch(() => undefined);
  expect(Object.fromEntries(Object.keys(expected).map((series) => [series, figureOf(text, series)]))).toEqual(expected);
  expect(figureOf(text, "opspilot_retention_lag_seconds")).toBeGreaterThan(7_000);
  expect(figureOf(text, "opspilot_database_size_bytes")).toBeGreaterThan(1_000_000);
  expect(figureOf(text, 'opspilot_database_connections{driver="postgres",state="idle"}')).toBeGreaterThan(0);
  expect(figureOf(text, 'opspilot_database_connections{driver="pg",state="idle"}')).toBeGreaterThan(0);
  expect(figureOf(text, "opspilot_postgres_up")).toBeUndefined();
  expect(figureOf(text, "opspilot_retention_last_run_timestamp_seconds")).toBeUndefined();
  expect(text).not.toMatch(/ nan$/im);
  const probes = [...text.matchAll(/^opspilot_probe_(\w+)\{agent="[\w-]{36}",host="",check="(\w+)"\} (\S+)$/gm)];
  expect(probes.map(([, name, check, value]) => `${check} ${name} ${value}`).toSorted()).toEqual([
    "mail success 1",
    "shop certificate_expiry_timestamp_seconds 1800000000",
    "shop duration_seconds 1.5",
    "shop success 0",
  ]);
  await agent.close();
}, 120_000);

promtoolTest("a scrape holds to Prometheus' conventions", async () => {
  expect(await promtool(["check", "metrics"], { input: await scrape() })).toEqual({ status: 0, text: "" });
});

test("each figure that a rule or the dashboard names is in a scrape", async () => {
  const known = new Set([...(await scrape()).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name ?? ""));
  for (const text of Object.values(MONITORING)) {
    const named = new Set([...text.matchAll(/\bopspilot_\w+/g)].map(([name]) => name.replace(/_bucket$/, "")));
    expect(named.size).toBeGreaterThan(15);
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
  }
});

promtoolTest("the rules are sound: silent while all is well, and each is told when it is not", async () => {
  const files = { "rules.yml": MONITORING.rules, "rules-test.yml": await Bun.file(RULES_TEST).text() };
  const check = await promtool(["check", "rules", "--lint-fatal", "rules.yml"], { files });
  expect(check).toEqual({ status: 0, text: expect.stringMatching(/SUCCESS: \d+ rules found/) });
  expect(await promtool(["test", "rules", "rules-test.yml"], { files })).toMatchObject({ status: 0 });
  // Of each rule it is tested that it is told.
  const names = [...MONITORING.rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name ?? "");
  expect(names.filter((name) => !files["rules-test.yml"].includes(`alertname="${name}"`))).toEqual([]);
});

promtoolTest("Prometheus understands what the dashboard asks", async () => {
  const { panels } = JSON.parse(MONITORING.grafana) as { panels: { targets?: { expr: string }[] }[] };
  const asked = panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m")),
  );
  expect(asked.length).toBeGreaterThan(30);
  const rules = asked.map((expr, at) => ({ record: `dashboard:${at}`, expr }));
  const files = { "asked.json": JSON.stringify({ groups: [{ name: "dashboard", rules }] }) };
  expect(await promtool(["check", "rules", "asked.json"], { files })).toMatchObject({ status: 0 });
});

test("each figure stands in the README", async () => {
  const readme = await Bun.file(README).text();
  const names = [...(await scrape()).matchAll(/^# TYPE (opspilot_(?!process_|nodejs_)\w+) /gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(40);
  expect(names.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});

test("while the database is away a scrape says so in time, and leaves out what it cannot know", async () => {
  wire.cut();
  let text = "";
  const isTold = async () => {
    const startMs = performance.now();
    text = await scrape();
    expect(performance.now() - startMs).toBeLessThan(9_000);
    return figureOf(text, "opspilot_ready") === 0;
  };
  await until(isTold, { ms: 60_000, what: "it is told that the server is not ready" });
  expect(figureOf(text, 'opspilot_check_ok{check="database"}')).toBe(0);
  expect(figureOf(text, 'opspilot_agents{status="online"}')).toBeUndefined();
  expect(figureOf(text, "opspilot_nodes")).toBeUndefined();
  expect(figureOf(text, "opspilot_ingest_queue_bytes")).toBe(0);
  await until(async () => figureOf(await scrape(), "opspilot_listening") === 0, {
    ms: 60_000,
    what: "it hears nothing",
  });
  wire.mend();
  await until(async () => figureOf(await scrape(), "opspilot_listening") === 1, { ms: 60_000, what: "it hears again" });
  expect(figureOf(await scrape(), "opspilot_listen_reconnects_total")).toBeGreaterThan(0);
}, 180_000);
