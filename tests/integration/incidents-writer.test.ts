import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { attachToCauses, consequencesMuter } from "../../src/incidents/cause-store.ts";
import type { Candidate } from "../../src/incidents/model.ts";
import { createIncidentWriter, INCIDENTS_CHANNEL } from "../../src/incidents/write-store.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let agent: string;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  agent = await addAgent(database);
});

const writer = createIncidentWriter();
const sql = () => database.database.sql;
const begin = <T>(work: Parameters<ReturnType<typeof sql>["begin"]>[1]) => sql().begin(work as never) as Promise<T>;
const rowOf = async (id: number) => (await sql()`select * from incidents where id = ${id}`)[0];
const timelineOf = async (id: number) =>
  (await sql()`select kind, actor, data from events where incident_id = ${id} order by id`).map((row) => ({ ...row }));
const revisionOf = async (id: number): Promise<number> => (await rowOf(id))?.revision;

describe("each change of an incident raises its revision", () => {
  test("an explanation, once where it is to be the first", async () => {
    const id = await addIncident(database, agent, { status: "new" });
    await sql()`update incidents set analysis = null where id = ${id}`;
    const explained = [{ id, aiAnalysis: "a", aiSolution: "s", analysis: { by: "heuristic", category: "timeout" } }];
    const write = () => begin<number[]>((tx) => writer.explain(tx, explained, { isFirst: true }));
    expect(await write()).toEqual([id]);
    expect(await write()).toEqual([]);
    expect(await rowOf(id)).toMatchObject({ status: "analyzed", ai_analysis: "a", revision: 2 });
    await begin((tx) => writer.unask(tx, [id], { outcome: "budget", why: "used up" }));
    expect(await rowOf(id)).toMatchObject({ revision: 3, analysis: { model: { outcome: "budget", why: "used up" } } });
  });

  test("a link, on both sides", async () => {
    const fingerprint = crypto.randomUUID();
    const first = await addIncident(database, agent, { fingerprint, resolvedAgoS: 60 });
    const second = await addIncident(database, agent, { fingerprint });
    for (let run = 0; run < 2; run++) await begin((tx) => writer.link(tx, [second]));
    expect(await rowOf(first)).toMatchObject({ next_id: second, revision: 2 });
    expect(await rowOf(second)).toMatchObject({ previous_id: first, revision: 2 });
  });

  test("a cause, on both sides, with a line of its own", async () => {
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const id = await addIncident(database, agent, { category: "crash" });
    for (let run = 0; run < 2; run++) await begin((tx) => attachToCauses(tx, [cause, id], writer));
    expect(await rowOf(id)).toMatchObject({ parent_id: cause, revision: 2 });
    expect(await revisionOf(cause)).toBe(2);
    const why = `consequence of incident #${cause}: a disk of this host is full, and crash is what follows from that`;
    expect(await timelineOf(id)).toEqual([{ kind: "consequence", actor: "system", data: { cause_id: cause, why } }]);
  });

  test("a status, which its cause and its consequences show too", async () => {
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const id = await addIncident(database, agent, { category: "crash" });
    await begin((tx) => attachToCauses(tx, [id], writer));
    const set = (incidentId: number) =>
      begin<Set<number>>((tx) => writer.setStatus(tx, [{ incidentId, status: "resolved", actor: "api:ana@10.0.0.9" }]));
    expect(await set(id)).toEqual(new Set([id]));
    expect(await set(id)).toEqual(new Set());
    expect(await revisionOf(cause)).toBe(3);
    expect(await rowOf(id)).toMatchObject({ status: "resolved", reason: "resolved by ana", revision: 3 });
    expect((await timelineOf(id)).at(-1)).toEqual({ kind: "resolved", actor: "api:ana@10.0.0.9", data: null });
    await set(cause);
    expect(await revisionOf(id)).toBe(4);
  });

  test("and whoever follows incidents is told at the commit, not before", async () => {
    const id = await addIncident(database, agent);
    let notices = 0;
    const session = database.database.createSession({ onNotify: () => void notices++ });
    await session`listen ${session(INCIDENTS_CHANNEL)}`;
    await begin(async (tx) => {
      await writer.touch(tx, [id]);
      await session`select 1`;
      expect(notices).toBe(0);
    });
    await until(() => notices === 1, { what: "the notice" });
    await session.end({ timeout: 0 });
    expect(await revisionOf(id)).toBe(2);
  });
});

test("many lines are one statement's, in their order, and those of an incident that is gone are left out", async () => {
  const id = await addIncident(database, agent);
  await begin((tx) =>
    writer.note(tx, [
      { kind: "a", actor: "system", incidentId: id, data: { n: 1 } },
      { kind: "gone", actor: "system", incidentId: 2_000_000_000 },
      { kind: "b", actor: "ana", incidentId: id },
      { kind: "audit", actor: "ana", agentId: agent },
    ]),
  );
  expect((await timelineOf(id)).map(({ kind }) => kind)).toEqual(["a", "b"]);
  const rows = await sql()`select kind, agent_id from events where agent_id = ${agent} order by id`;
  expect(rows.map((row) => row.kind)).toEqual(["a", "b", "audit"]);
});

describe("an incident that an agent makes look like a lost agent", () => {
  test("is the cause of nothing", async () => {
    const claimed = await addIncident(database, agent, { type: "host", source: "agent", severity: "info" });
    const id = await addIncident(database, agent, { severity: "critical" });
    await begin((tx) => attachToCauses(tx, [claimed, id], writer));
    expect(await rowOf(id)).toMatchObject({ parent_id: null });
  });
});

describe("what follows from a cause", () => {
  const mutes = async (id: number) => {
    const row = await rowOf(id);
    const candidate = { ...row, parentId: row?.parent_id, agentId: agent } as unknown as Candidate;
    return begin<Map<number, { why: string; againInS?: number }>>((tx) =>
      consequencesMuter.mutes(tx, [candidate], "any"),
    );
  };

  test("is muted until five minutes after the cause's end, unless somebody has seen to it", async () => {
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const id = await addIncident(database, agent, { category: "crash" });
    await begin((tx) => attachToCauses(tx, [id], writer));
    expect((await mutes(id)).get(id)).toEqual({ why: (await rowOf(id))?.reason });
    await sql()`update incidents set status = 'resolved', resolved_at = now() - interval '299 s' where id = ${cause}`;
    expect((await mutes(id)).get(id)?.againInS).toBeWithin(0, 1.01);
    await sql()`update incidents set resolved_at = now() - interval '300 s' where id = ${cause}`;
    expect((await mutes(id)).size).toBe(0);
    await sql()`update incidents set status = 'acknowledged' where id = ${id}`;
    expect((await mutes(id)).size).toBe(1);
  });
});
