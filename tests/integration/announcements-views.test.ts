import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { IncidentView } from "../../src/announcements/model.ts";
import { createViewStore, createViews, hashOf, isStateChanged } from "../../src/announcements/view-store.ts";
import { createFeedbackStore } from "../../src/feedback/store.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let agent: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  agent = await addAgent(database);
});
afterEach(async () => {
  await database.database.sql`truncate announcements, decisions, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

const built = async (id: number) => {
  const { sql } = database.database;
  const views = createViews({ store: createViewStore(sql), feedback: createFeedbackStore(sql), publicUrl: null });
  return (await views.incident(id, "a new problem"))?.view ?? { kind: "storm" as const, storm: {} as never };
};
const view = async (id: number): Promise<IncidentView> => {
  const found = await built(id);
  if (found.kind !== "incident") throw new Error(`no incident ${id}`);
  return found.incident;
};
const decide = (incidentId: number, action: string, state: string, isEnded: boolean) => database.database.sql`
  insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, ended_at)
  values (${crypto.randomUUID()}, ${incidentId}, ${action}, 'slack:U1', '@ana', 'slack', ${state},
    ${isEnded ? new Date() : null})`;

describe("flapping", () => {
  const fingerprint = crypto.randomUUID();
  const openedAgo = async (minutes: number) => {
    const id = await addIncident(database, agent, { fingerprint, resolvedAgoS: 1 });
    await database.database
      .sql`update incidents set created_at = now() - make_interval(mins => ${minutes}) where id = ${id}`;
    return id;
  };

  test("is four times within an hour, no less and no slower", async () => {
    for (const minutes of [61, 50, 40]) await openedAgo(minutes);
    expect((await view(await openedAgo(0))).flapping).toBeNull();
    expect((await view(await openedAgo(0))).flapping).toEqual({ times: 4, windowMs: 3_600_000 });
  });

  test("is of one problem", async () => {
    for (let n = 0; n < 5; n++) await addIncident(database, agent);
    expect((await view(await openedAgo(0))).flapping).toBeNull();
  });
});

test("what restarts did for the same problem is remembered", async () => {
  const fingerprint = crypto.randomUUID();
  const earlier = await addIncident(database, agent, { fingerprint, resolvedAgoS: 1 });
  for (const state of ["verified", "verified", "failed_again", "refused", "no_word"])
    await decide(earlier, "restart", state, true);
  await decide(await addIncident(database, agent), "restart", "verified", true);
  const id = await addIncident(database, agent, { fingerprint });
  expect((await view(id)).learnt).toEqual({ cleared: 2, tried: 3 });
  expect((await view(await addIncident(database, agent))).learnt).toBeNull();
});

describe("buttons", () => {
  const restartOf = async (given: Parameters<typeof addIncident>[2], allow: string[] | null = null) =>
    (await view(await addIncident(database, await addAgent(database, allow), given))).can.restart;

  test.each([
    ["a service, where the agent says nothing", { type: "systemd", source: "nginx" }, null, true],
    ["a container", { type: "docker", source: "web" }, null, true],
    ["what the agent allows by name", { type: "systemd", source: "nginx" }, ["restart_service:nginx"], true],
    ["what it allows by pattern", { type: "docker", source: "web-1" }, ["restart_container:web-?"], true],
    ["what its pattern leaves out", { type: "docker", source: "web-12" }, ["restart_container:web-?"], false],
    [
      "another command than it allows",
      { type: "systemd", source: "nginx" },
      ["get_logs:*", "restart_container:*"],
      false,
    ],
    ["an agent that allows nothing", { type: "systemd", source: "nginx" }, [], false],
    ["a host", { type: "host", source: "web-01" }, null, false],
    ["a name that is none", { type: "systemd", source: "-rf /" }, null, false],
    ["what is resolved", { type: "systemd", source: "nginx", resolvedAgoS: 1 }, null, false],
    ["what is ignored", { type: "systemd", source: "nginx", status: "ignored" }, null, false],
  ])("restart %s", async (_, given, allow, may) => {
    expect(await restartOf(given, allow)).toBe(may);
  });

  test("restart not while a restart is under way, and again after it failed", async () => {
    const id = await addIncident(database, agent);
    await decide(id, "restart", "verifying", false);
    expect((await view(id)).can.restart).toBe(false);
    await database.database.sql`update decisions set state = 'failed_again', ended_at = now()`;
    expect(await view(id)).toMatchObject({ can: { restart: true }, decisions: [{ actorName: "@ana", ended: true }] });
  });

  test("go when nothing can be decided any more", async () => {
    const id = await addIncident(database, agent, { resolvedAgoS: 1 });
    expect(Object.values((await view(id)).can)).toEqual([false, false, false, false, false]);
  });
});

test("the open consequences of a cause are shown, the newest last", async () => {
  const cause = await addIncident(database, agent, { category: "disk_full" });
  const ids: number[] = [];
  for (let n = 0; n < 7; n++) ids.push(await addIncident(database, agent, { source: `s${n}` }));
  await database.database.sql`update incidents set parent_id = ${cause}, reason = 'why' where id = any(${ids})`;
  await database.database.sql`update incidents set status = 'resolved' where id = ${ids[6] ?? 0}`;
  const shown = await view(cause);
  expect(shown.consequencesTotal).toBe(6);
  expect(shown.consequences.map((one) => one.id)).toEqual(ids.slice(1, 6));
});

test("a model's words stand in place of the heuristics'", async () => {
  const id = await addIncident(database, agent);
  const model = { cause: "Apache runs.", fix: "Stop it.", fix_command: "systemctl stop apache2", evidence: ["a", "b"] };
  const analysis = { by: "model", category: "port_conflict", confidence: 0.8, decisive: "a", heuristic: {}, model };
  await database.database.sql`update incidents set analysis = ${database.database.sql.json(analysis)} where id = ${id}`;
  expect((await view(id)).explanation).toEqual({
    by: "model",
    category: "port_conflict",
    confidence: 0.8,
    cause: "Apache runs.",
    fix: "Stop it.",
    fixCommand: "systemctl stop apache2",
    evidence: ["a", "b"],
  });
});

test("a counter is told from a change of state", async () => {
  const id = await addIncident(database, agent);
  const before = hashOf(await built(id));
  await database.database
    .sql`update incidents set occurrences = 2, last_seen_at = now() + interval '1 s' where id = ${id}`;
  const counted = hashOf(await built(id));
  await database.database.sql`update incidents set severity = 'critical' where id = ${id}`;
  const worse = hashOf(await built(id));
  expect([before === counted, isStateChanged(before, counted), isStateChanged(counted, worse)]).toEqual([
    false,
    false,
    true,
  ]);
});
