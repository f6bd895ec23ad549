import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createServerStore } from "../../src/fleet/server-store.ts";
import { createQuietStore, resolveQuiet, startAutoResolve } from "../../src/incidents/ageing-store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { SERVER_AGENT_ID } from "../../src/protocol/server-agent.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;
const AGENT = crypto.randomUUID();

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await sql()`insert into agents (id, token_hash) values (${AGENT}, 'x')`;
});
afterAll(async () => database.close());
beforeEach(async () => void (await sql()`truncate incidents, events`));

const sql = () => database.database.sql;
const store = () => createQuietStore(sql(), createIncidentWriter());

async function incidentOf(minutesAgo: number, changes: Record<string, unknown> = {}): Promise<number> {
  const fields = { agent_id: AGENT, type: "systemd", source: "nginx", raw_error: "x", message_chars: 1 };
  const row = { ...fields, fingerprint: crypto.randomUUID(), last_seen_at: new Date(), ...changes };
  const [made] = await sql()<{ id: number }[]>`insert into incidents ${sql()(row)} returning id`;
  const id = made?.id ?? 0;
  await sql()`update incidents set last_seen_at = now() - ${minutesAgo} * interval '1 minute' where id = ${id}`;
  return id;
}

const statusOf = async (id: number) => {
  const [row] = await sql()`select status, reason, resolved_at is not null as ended from incidents where id = ${id}`;
  return row;
};

test("an incident without an alert for so long is resolved by quiet, with the reason and an event", async () => {
  const old = await incidentOf(61);
  const ignored = await incidentOf(61, { status: "ignored" });
  const young = await incidentOf(59);
  expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(2);
  expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(0);
  const reason = "resolved by quiet: no alert for 1h";
  for (const id of [old, ignored]) expect(await statusOf(id)).toEqual({ status: "resolved", reason, ended: true });
  expect(await statusOf(young)).toEqual({ status: "new", reason: null, ended: false });
  const events = await sql()`select kind, actor, incident_id, data from events order by incident_id`;
  expect([...events]).toEqual(
    [old, ignored].map((id) => ({ kind: "resolved", actor: "system", incident_id: id, data: { reason } })),
  );
});

test("an incident of a lost agent is not quiet before the agent is back", async () => {
  const id = await incidentOf(61, { origin: "server", type: "host", source: "agent" });
  await sql()`update agents set lost_since = now() - interval '61 minutes'`;
  expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(0);
  await sql()`update agents set lost_since = null`;
  expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(1);
  expect(await statusOf(id)).toMatchObject({ status: "resolved" });
});

test("an incident of a blind collector is not quiet before the collector sees", async () => {
  const [docker, logs] = [await incidentOf(61), await incidentOf(61)];
  for (const [id, source] of [
    [docker, "collector docker"],
    [logs, "collector logs"],
  ] as const)
    await sql()`update incidents set origin = 'server', type = 'host', source = ${source} where id = ${id}`;
  await sql()`
    insert into collectors (agent_id, name, state, since, blind_since) values (${AGENT}, 'docker', 'cannot', now(), now())`;
  await resolveQuiet(store(), HOUR_MS, NEVER);
  expect([await statusOf(docker), await statusOf(logs)]).toMatchObject([{ status: "new" }, { status: "resolved" }]);
  await sql()`delete from collectors`;
  await resolveQuiet(store(), HOUR_MS, NEVER);
  expect(await statusOf(docker)).toMatchObject({ status: "resolved" });
});

test.each(["token", "token:web-2"])(
  "an incident of a shared token (%s) is not quiet while it is shared",
  async (source) => {
    await incidentOf(61, { origin: "server", type: "host", source });
    await sql()`update agents set shared_since = now() - interval '61 minutes'`;
    expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(0);
    await sql()`update agents set shared_since = null`;
    expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(1);
  },
);

test("an incident of the server's own is resolved by what it is about, not by quiet", async () => {
  await createServerStore(sql()).prepare("this-machine");
  const [own, other] = [await incidentOf(61), await incidentOf(61)];
  await sql()`update incidents set origin = 'server', type = 'host', source = 'disk', agent_id = ${SERVER_AGENT_ID} where id = ${own}`;
  expect(await createServerStore(sql()).openSources()).toEqual(["disk"]);
  expect(await resolveQuiet(store(), HOUR_MS, NEVER)).toBe(1);
  expect([await statusOf(own), await statusOf(other)]).toMatchObject([{ status: "new" }, { status: "resolved" }]);
});

test("many are resolved in chunks, each once, by several nodes at a time", async () => {
  await sql()`
    insert into incidents (agent_id, type, source, raw_error, message_chars, fingerprint, last_seen_at)
    select ${AGENT}, 'systemd', 'unit-' || n, 'x', 1, gen_random_uuid(), now() - interval '2 hours' from generate_series(1, 450) n`;
  const counts = await Promise.all([1, 2, 3].map(() => resolveQuiet(store(), HOUR_MS, NEVER)));
  const rest = await resolveQuiet(store(), HOUR_MS, NEVER);
  expect(counts.reduce((sum, count) => sum + count, rest)).toBe(450);
  const [row] = await sql()`select count(*)::int as count from events`;
  expect(row?.count).toBe(450);
});

test("an alert that is being stored keeps its incident open", async () => {
  const id = await incidentOf(61);
  const [locked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const storing = sql().begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtextextended(${AGENT}, 0))`;
    locked.resolve();
    await held.promise;
    await tx`update incidents set last_seen_at = now() where id = ${id}`;
  });
  await locked.promise;
  const resolving = resolveQuiet(store(), HOUR_MS, NEVER);
  await until(async () => {
    const [row] = await sql()`
      select count(*)::int as count from pg_locks join pg_database d on d.oid = database
      where d.datname = current_database() and locktype = 'advisory' and not granted`;
    return row?.count === 1;
  });
  held.resolve();
  await storing;
  expect(await resolving).toBe(0);
  expect(await statusOf(id)).toMatchObject({ status: "new" });
});

test("AUTO_RESOLVE is off unless it is set", async () => {
  const id = await incidentOf(24 * 60);
  const clock = createTestClock();
  const loops = createLoops(clock, quiet);
  const off = startAutoResolve(loops, store(), null);
  await clock.advance(60_000);
  expect(await statusOf(id)).toMatchObject({ status: "new" });
  await off.stop();
  const on = startAutoResolve(loops, store(), HOUR_MS);
  await clock.advance(60_000);
  await until(async () => (await statusOf(id))?.status === "resolved");
  await on.stop();
});
