import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createRetentionStore, forgetOld } from "../../src/incidents/ageing-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { addAgent } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

const DAY_MS = 86_400_000;
const MONTH_MS = 30 * DAY_MS;
const NEVER = new AbortController().signal;
/** More than one step takes. */
const MANY = 2_500;

let database: TestDatabase;
let agent: string;
beforeAll(async () => {
  database = await createTestDatabase();
  agent = await addAgent(database);
}, 180_000);
afterAll(() => database.close());
beforeEach(async () => void (await sql()`truncate incidents, alerts, events`));

const sql = () => database.database.sql;

/** An incident that opened so many days ago, was heard of last then, and has so many alerts between. */
async function add(openedDays: number, lastDays: number, alerts: number): Promise<number> {
  const ago = (days: number) => sql()`now() - ${days} * interval '1 day'`;
  const [row] = await sql()<{ id: number }[]>`
    insert into incidents (agent_id, type, source, raw_error, message_chars, status, fingerprint, created_at, last_seen_at, updated_at)
    values (${agent}, 'app', 'web', 'x', 1, 'resolved', ${crypto.randomUUID()}, ${ago(openedDays)}, ${ago(lastDays)}, ${ago(lastDays)})
    returning id`;
  const id = row?.id ?? 0;
  await sql()`
    insert into alerts (uuid, agent_id, incident_id, state, occurred_at, received_at)
    select gen_random_uuid(), ${agent}, ${id}, 'firing', at, at
    from (select ${ago(openedDays)} + n * (${openedDays - lastDays} * interval '1 day' / ${alerts}::int) as at
      from generate_series(1, ${alerts}::int) n order by n) made`;
  await sql()`insert into events (at, kind, actor, incident_id) values (${ago(openedDays)}, 'resolved', 'agent', ${id})`;
  return id;
}

const left = async () => {
  const [row] = await sql()<{ incidents: number[]; alerts: number; events: (number | null)[] }[]>`
    select array(select id from incidents order by id) as incidents, (select count(*)::int from alerts) as alerts,
      array(select incident_id from events order by id) as events`;
  return row;
};

function forget(signal = NEVER): Promise<number> {
  const store = createRetentionStore(sql());
  const { deleteAlerts, deleteIncidents, deleteEvents } = store;
  return forgetOld(createSystemClock(), [deleteAlerts, deleteIncidents, deleteEvents], MONTH_MS, signal);
}

test("what is old goes, however much it is, and what is young or lives on stays", async () => {
  await add(40, 39, MANY);
  const living = await add(40, 1, 100);
  await sql()`
    insert into events (at, kind, actor) select now() - interval '40 days', 'old', 'system' from generate_series(1, 300)`;
  await add(38, 37, 1);
  const young = await add(2, 1, 10);
  await sql()`insert into events (at, kind, actor) values (now(), 'young', 'system')`;
  await forget();
  // Of the one that lives on ten days of alerts are gone.
  const [row] = await sql()`select count(*)::int as n from alerts where incident_id = ${living}`;
  expect(row?.n).toBeWithin(70, 80);
  expect(await left()).toEqual({ incidents: [living, young], alerts: row?.n + 10, events: [living, young, null] });
  expect(await forget()).toBeLessThan(10);
});

test("a step takes a part of it, the next goes on behind it, and it begins anew once all is done", async () => {
  await add(40, 39, MANY);
  await add(1, 0, MANY);
  const { deleteAlerts } = createRetentionStore(sql());
  const steps: number[] = [];
  while (steps.at(-1) !== 0) steps.push(await deleteAlerts(MONTH_MS));
  expect(steps.length).toBeGreaterThan(2);
  expect(Math.max(...steps)).toBeLessThan(MANY / 2);
  expect(steps.reduce((sum, count) => sum + count, 0)).toBe(MANY);
  const first = sql()`select id from alerts order by id limit 10`;
  await sql()`update alerts set received_at = now() - interval '31 days' where id in (${first})`;
  expect(await deleteAlerts(MONTH_MS)).toBe(10);
  expect((await left())?.alerts).toBe(MANY - 10);
});

test("two nodes at once leave nothing, and neither waits for the other", async () => {
  for (let n = 0; n < 5; n++) await add(40, 39, 500);
  await Promise.all([forget(), forget()]);
  expect(await left()).toEqual({ incidents: [], alerts: 0, events: [] });
});

test("between two steps there is a rest of several times what the step took, which a stop ends", async () => {
  let nowMs = 0;
  const rests: number[] = [];
  const stopping = new AbortController();
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms: number, signal?: AbortSignal) => {
      rests.push(ms);
      nowMs += ms;
      expect(signal).toBe(stopping.signal);
      if (rests.length === 4) stopping.abort();
    },
  };
  const took = [20, 10_000, 30, 40, 50];
  let step = 0;
  const deletion = async () => {
    nowMs += took[step++] ?? 0;
    return 7;
  };
  expect(await forgetOld(clock, [deletion, deletion], MONTH_MS, stopping.signal)).toBe(28);
  expect(rests).toEqual([100, 2_000, 150, 200]);
});
