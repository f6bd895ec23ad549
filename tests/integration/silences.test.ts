import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { createCountStore } from "../../src/incidents/count-store.ts";
import { createHistoryStore } from "../../src/incidents/history-store.ts";
import { createListStore } from "../../src/incidents/list-store.ts";
import type { Candidate, IncidentWriter } from "../../src/incidents/model.ts";
import { createIncidentService } from "../../src/incidents/service.ts";
import { createIncidentStore } from "../../src/incidents/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import type { IgnoreVariant } from "../../src/protocol/actions.ts";
import { createFitStore } from "../../src/silences/fit-store.ts";
import type { NewSilence } from "../../src/silences/model.ts";
import { createSilences } from "../../src/silences/service.ts";
import { createSilenceStore } from "../../src/silences/store.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
/** Of which is to be decided again: what was touched. */
const touched: number[][] = [];
const incidentWriter = createIncidentWriter();
const writer: IncidentWriter = {
  ...incidentWriter,
  async touch(tx, ids) {
    if (ids.length > 0) touched.push([...ids]);
    await incidentWriter.touch(tx, ids);
  },
};
let silences: ReturnType<typeof createSilences>;
let store: ReturnType<typeof createSilenceStore>;

beforeAll(async () => {
  database = await createTestDatabase();
  const { sql } = database.database;
  store = createSilenceStore(sql);
  silences = createSilences({
    sql,
    store,
    fits: createFitStore(sql),
    writer,
    loops: createLoops(createSystemClock(), quiet),
  });
});

afterAll(async () => database.close());

const sql = () => database.database.sql;

/** An agent with one open incident, whose alerts came so many minutes ago. */
async function incidentOf({
  hostname = "web-1",
  source = "nginx",
  severity = "warning" as Candidate["severity"],
  minutesAgo = [0],
} = {}): Promise<Candidate> {
  const agentId = crypto.randomUUID();
  const fingerprint = crypto.randomUUID();
  await sql()`insert into agents (id, token_hash, hostname) values (${agentId}, ${agentId}, ${hostname})`;
  const id = await open({ agentId, fingerprint, source, severity, minutesAgo });
  const known = {
    origin: "agent",
    status: "analyzed",
    category: null,
    reason: null,
    parentId: null,
    previousId: null,
  } as const;
  return { ...known, id, agentId, hostname, type: "systemd", source, fingerprint, severity };
}

async function open(of: {
  agentId: string;
  fingerprint: string;
  source: string;
  severity: Candidate["severity"];
  minutesAgo: number[];
}): Promise<number> {
  const [row] = await sql()<{ id: number }[]>`
    insert into incidents (agent_id, type, source, fingerprint, severity, raw_error, message_chars, last_seen_at)
    values (${of.agentId}, 'systemd', ${of.source}, ${of.fingerprint}, ${of.severity}, 'x', 1, now()) returning id`;
  const id = row?.id ?? 0;
  await again(id, of.agentId, of.minutesAgo);
  return id;
}

async function again(id: number, agentId: string, minutesAgo: number[]): Promise<void> {
  for (const minutes of minutesAgo) {
    await sql()`
      insert into alerts (uuid, agent_id, incident_id, state, occurred_at, received_at)
      values (${crypto.randomUUID()}, ${agentId}, ${id}, 'firing', now() - ${minutes} * interval '1 minute', now())`;
  }
}

const request = (changes: Partial<NewSilence>): NewSilence => ({
  agent: null,
  type: null,
  source: null,
  until: null,
  comment: null,
  ...changes,
});

const begin = <T>(task: (tx: TransactionSql) => Promise<T>) => sql().begin(task) as Promise<T>;
const mutes = (incidents: Candidate[]) => begin((tx) => silences.muter.mutes(tx, incidents, "slack"));
const whyOf = async (incident: Candidate) => (await mutes([incident])).get(incident.id)?.why;
const ignore = (id: number, variant: IgnoreVariant, actor: string) =>
  begin((tx) => silences.ignore(tx, id, variant, actor));
const resolve = (id: number) => sql()`update incidents set status = 'resolved' where id = ${id}`;
const expire = (id: number) => sql()`update silences set until = now() - interval '1 s' where id = ${id}`;
const kinds = async (incidentId: number) =>
  (await sql()`select kind from events where incident_id = ${incidentId} order by id`).map(({ kind }) => kind);

async function make(changes: Partial<NewSilence>) {
  const made = await silences.create(request(changes), "api:local");
  if (!made) throw new Error("no silence was made");
  return made;
}

/** Ends what a test leaves behind, so that the next one finds only its own. */
async function endAll(): Promise<void> {
  await sql()`update silences set ended_at = now() where ended_at is null`;
  touched.length = 0;
}

describe("a person's silence", () => {
  test.each([
    [{ source: "nginx" }, true],
    [{ source: "ngin?" }, true],
    [{ source: "nginx", type: "docker" }, false],
    [{ type: "sys*" }, true],
    [{ agent: "WEB-*" }, true],
    [{ agent: "db-*" }, false],
    [{ agent: "*" }, true],
  ])("over %p holds: %p", async (patterns, holds) => {
    const incident = await incidentOf();
    const made = await make({ ...patterns, until: new Date(Date.now() + 60_000), comment: "the upgrade" });
    const why = await whyOf(incident);
    if (holds) expect(why).toMatch(new RegExp(`^silence ${made.id} .* by somebody at local, until 20.*: the upgrade$`));
    else expect(why).toBeUndefined();
    await endAll();
  });

  test("is over the agent's id, too", async () => {
    const incident = await incidentOf();
    await make({ agent: incident.agentId });
    expect(await whyOf(incident)).toContain("for good");
    await endAll();
  });

  test("holds no longer than it says, and lets out what is still open", async () => {
    const before = await incidentOf({ source: "postgres" });
    await sql()`update incidents set created_at = now() - interval '1 minute' where id = ${before.id}`;
    const made = await make({ source: "postgres", until: new Date(Date.now() + 60_000) });
    const held = await incidentOf({ source: "postgres" });
    const decided = await incidentOf({ source: "postgres" });
    const over = await incidentOf({ source: "postgres" });
    await sql()`update incidents set status = 'acknowledged' where id = ${decided.id}`;
    await resolve(over.id);
    expect(await silences.sweep()).toEqual([]);
    await expire(made.id);
    expect(await whyOf(held)).toBeUndefined();
    expect(await silences.sweep()).toEqual([held.id]);
    expect(touched).toEqual([[held.id]]);
    expect(await silences.sweep()).toEqual([]);
    expect(before.id).toBeLessThan(held.id);
    await endAll();
  });

  test("is ended once", async () => {
    const made = await make({ source: "redis" });
    const held = await incidentOf({ source: "redis" });
    expect(await silences.end(made.id, "api:local")).toBe(true);
    expect(await silences.end(made.id, "api:local")).toBe(false);
    expect(await silences.end(2_147_483_647, "api:local")).toBe(false);
    expect(touched).toEqual([[held.id]]);
    const events = await sql()`
      select kind, actor, data from events where data->>'silence_id' = ${String(made.id)} order by id`;
    expect(events.map(({ kind, actor }) => [kind, actor])).toEqual([
      ["silence.created", "api:local"],
      ["silence.ended", "api:local"],
    ]);
    await endAll();
  });

  test("is listed, newest first, page by page", async () => {
    const made = [await make({ source: "a" }), await make({ source: "b" }), await make({ source: "c" })];
    const ids = made.map(({ id }) => id).reverse();
    await silences.end(made[1]?.id ?? 0, "api:local");
    const open = await silences.list({ limit: 1 });
    expect(open).toMatchObject({ silences: [{ id: ids[0], source: "c", ends: "never" }], nextCursor: ids[0] });
    const rest = await silences.list({ limit: 1, cursor: ids[0] });
    expect(rest.silences.map(({ id }) => id)).toEqual([ids[2] ?? 0]);
    expect(rest.nextCursor).toBeUndefined();
    const all = await silences.list({ limit: 3, ended: true });
    expect(all.silences.map(({ id }) => id)).toEqual(ids);
    await endAll();
  });

  test("is one of a thousand at most", async () => {
    await sql()`insert into silences (source, ends, actor) select 'x', 'never', 'test' from generate_series(1, 1000)`;
    expect(await silences.create(request({ source: "y" }), "api:local")).toBeUndefined();
    await endAll();
  });
});

describe("ignoring", () => {
  test("until it is resolved holds for this incident alone", async () => {
    const incident = await incidentOf();
    await ignore(incident.id, "until_resolved", "slack:U1");
    expect(await whyOf(incident)).toMatch(/^ignored \(silence \d+\) by slack:U1, until it is resolved$/);
    expect(await whyOf(await incidentOf())).toBeUndefined();
    await resolve(incident.id);
    const next = { ...incident, id: await open({ ...incident, minutesAgo: [0] }) };
    expect(await whyOf(next)).toBeUndefined();
    expect(await silences.sweep()).toEqual([]);
    expect(await kinds(incident.id)).toEqual(["silence.created", "silence.ended"]);
  });

  test("for good outlives the incident", async () => {
    const incident = await incidentOf();
    await ignore(incident.id, "for_good", "slack:U1");
    await resolve(incident.id);
    await silences.sweep();
    const next = { ...incident, id: await open({ ...incident, minutesAgo: [0] }) };
    expect(await whyOf(next)).toContain("for good");
  });

  test("for an hour lets the problem out afterwards, if it goes on", async () => {
    const [goesOn, stopped] = [await incidentOf(), await incidentOf()];
    for (const { id } of [goesOn, stopped]) await ignore(id, "1h", "slack:U1");
    const [row] = await sql()`
      select extract(epoch from until - now()) as left from silences where incident_id = ${goesOn.id}`;
    expect(Number(row?.left)).toBeWithin(3_590, 3_601);
    await sql()`update incidents set last_seen_at = now() - interval '30 minutes' where id = ${stopped.id}`;
    await sql()`update silences set until = now() where incident_id = any(${[goesOn.id, stopped.id]}::int[])`;
    expect(await silences.sweep()).toEqual([goesOn.id]);
    touched.length = 0;
  });

  test("a second time replaces the first", async () => {
    const incident = await incidentOf();
    await ignore(incident.id, "for_good", "slack:U1");
    await ignore(incident.id, "until_resolved", "slack:U2");
    const open = await store.ofIncident(sql(), incident.id);
    expect(open.map(({ ends }) => ends)).toEqual(["until_resolved"]);
  });

  test("until it gets worse ends with more than twice the rate", async () => {
    const incident = await incidentOf({ minutesAgo: [50, 30, 90] });
    await ignore(incident.id, "until_worse", "slack:U1");
    await again(incident.id, incident.agentId, [2, 1]);
    expect(await silences.sweep()).toEqual([]);
    expect(await whyOf(incident)).toContain("until it gets worse");
    await again(incident.id, incident.agentId, [0]);
    expect(await silences.sweep()).toEqual([incident.id]);
    expect(touched).toEqual([[incident.id]]);
    expect(await whyOf(incident)).toBeUndefined();
    expect(await silences.sweep()).toEqual([]);
    const [event] = await sql()`
      select data from events where incident_id = ${incident.id} and kind = 'silence.ended'`;
    expect(event?.data.reason).toBe("it came 5 times within an hour, and 2 times when it was ignored");
    touched.length = 0;
  });

  test("until it gets worse counts a new incident of the problem, and its severity", async () => {
    const incident = await incidentOf();
    await ignore(incident.id, "until_worse", "slack:U1");
    await resolve(incident.id);
    const next: Candidate = { ...incident, severity: "critical", id: await open({ ...incident, minutesAgo: [0] }) };
    expect(await whyOf({ ...next, severity: "warning" })).toContain("until it gets worse");
    expect(await whyOf(next)).toBeUndefined();
    expect(await whyOf({ ...next, severity: "warning" })).toBeUndefined();
    expect(touched).toEqual([]);
  });

  test("is looked at by one node at a time", async () => {
    const incident = await incidentOf();
    await ignore(incident.id, "until_worse", "slack:U1");
    await again(incident.id, incident.agentId, [0, 0, 0, 0]);
    const found = await Promise.all([silences.sweep(), silences.sweep(), silences.sweep()]);
    expect(found.flat()).toEqual([incident.id]);
    touched.length = 0;
  });
});

describe("silences of a node", () => {
  test("end at their time by themselves, and as soon as a problem that people know of gets worse", async () => {
    await make({ source: "timed", until: new Date(Date.now() + 500) });
    const [held, worse] = [await incidentOf({ source: "timed" }), await incidentOf()];
    await ignore(worse.id, "until_worse", "slack:U1");
    silences.start();
    await until(() => touched.flat().includes(held.id), { what: "what a silence held back being decided again" });
    await again(worse.id, worse.agentId, [0, 0, 0, 0]);
    silences.wake();
    await until(() => touched.flat().includes(worse.id), { what: "what got worse being decided again" });
    await silences.stop();
    const [row] = await sql()`select revision from incidents where id = ${worse.id}`;
    expect(row?.revision).toBe(2);
    expect(await kinds(worse.id)).toEqual(["silence.created", "silence.ended"]);
    await endAll();
  });

  test("that end while somebody decides let out what they mute at that moment", async () => {
    const made = await make({ source: "postgres" });
    const deciding = await sql().reserve();
    await deciding`begin`;
    const mutesThen = (incident: Candidate) =>
      silences.muter.mutes(deciding as unknown as TransactionSql, [incident], "slack");
    expect((await mutesThen(await incidentOf({ source: "postgres" }))).size).toBe(1);
    const ending = silences.end(made.id, "api:local");
    await until(
      async () => (await sql()`select from pg_locks where locktype = 'advisory' and not granted`).length > 0,
      {
        what: "the silence's end waiting",
      },
    );
    const late = await incidentOf({ source: "postgres" });
    expect((await mutesThen(late)).size).toBe(1);
    await deciding`commit`;
    deciding.release();
    expect(await ending).toBe(true);
    expect(touched.flat()).toContain(late.id);
    await endAll();
  });

  test("are asked about a batch with as many statements as about one incident", async () => {
    const incidents = [await incidentOf(), await incidentOf(), await incidentOf()];
    for (const { id } of incidents) await ignore(id, "until_worse", "slack:U1");
    const statements = (batch: Candidate[]) =>
      begin(async (tx) => {
        let count = 0;
        const counted = new Proxy(tx, {
          apply: (target, self, args: Parameters<typeof tx>) => {
            count++;
            return Reflect.apply(target, self, args);
          },
        });
        expect((await silences.muter.mutes(counted, batch, "slack")).size).toBe(batch.length);
        return count;
      });
    expect(await statements(incidents)).toBe(await statements(incidents.slice(0, 1)));
    await endAll();
  });
});

describe("a status that a person sets", () => {
  const service = () =>
    createIncidentService({
      store: createIncidentStore(sql()),
      lists: createListStore(sql()),
      counts: createCountStore(sql(), createListStore(sql())).counts,
      history: createHistoryStore(sql()).history,
      silenced: silences.silenced,
      feedback: { about: async () => ({ feedback: null, earlier_feedback: [] }) },
      writer,
      decided: silences.decided,
    });

  test("of ignored silences the problem until it is resolved", async () => {
    const incident = await incidentOf();
    expect(await service().decide(incident.id, "ignored", "api:local")).toMatchObject({ ok: true });
    expect(await whyOf(incident)).toContain("until it is resolved");
    expect(await service().decide(incident.id, "resolved", "api:local")).toMatchObject({
      ok: true,
      incident: { status: "resolved", reason: "resolved by somebody at local" },
    });
    expect(await store.ofIncident(sql(), incident.id)).toEqual([]);
    expect(await kinds(incident.id)).toEqual(["ignored", "silence.created", "resolved", "silence.ended"]);
    expect(await service().decide(incident.id, "ignored", "api:local")).toMatchObject({ reason: "invalid_transition" });
    expect(await service().decide(2_147_483_647, "ignored", "api:local")).toMatchObject({ reason: "not_found" });
  });

  test("of ignored leaves a longer decision as it is, and acknowledging silences nothing", async () => {
    const [forGood, acknowledged] = [await incidentOf(), await incidentOf()];
    await ignore(forGood.id, "for_good", "slack:U1");
    await service().decide(forGood.id, "ignored", "api:local");
    await service().decide(forGood.id, "resolved", "api:local");
    expect((await store.ofIncident(sql(), forGood.id)).map(({ ends }) => ends)).toEqual(["never"]);
    await service().decide(acknowledged.id, "acknowledged", "api:local");
    expect(await whyOf(acknowledged)).toBeUndefined();
  });
});

test("what is over is forgotten after a while", async () => {
  await endAll();
  expect(await store.deleteOld(3_600_000)).toBe(0);
  await sql()`update silences set ended_at = now() - interval '2 hours'`;
  expect(await store.deleteOld(3_600_000)).toBe(1_000);
  expect(await store.deleteOld(3_600_000)).toBeGreaterThan(0);
  expect((await silences.list({ limit: 10, ended: true })).silences).toEqual([]);
});
