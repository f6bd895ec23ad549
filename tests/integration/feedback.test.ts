import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createFeedbackStore } from "../../src/feedback/store.ts";
import { DecidedHost } from "../support/decisions.ts";
import { explained, failing, PORT_LOGS, SILENT_LOGS, say } from "../support/feedback.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(180_000);

let database: TestDatabase;
let server: TestServer;
let host: DecidedHost;
let sources = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  host = await DecidedHost.start(server);
});

afterAll(async () => {
  await server.stop();
  await database.close();
});

const newSource = () => `unit-${++sources}x`;
const story = async (id: number) => (await server.api(`/v1/incidents/${id}`)).body;
const lines = (body: { timeline: { kind: string }[] }) => body.timeline.filter(({ kind }) => kind === "feedback");

const ACTOR = { actor: "api:127.0.0.1", actor_name: "somebody at 127.0.0.1", outlet: "api" };

describe("a word on an incident's explanation", () => {
  test("that it was right keeps the explanation as it stood", async () => {
    const id = await failing(server, host, newSource());
    const before = await story(id);
    expect(before).toMatchObject({ feedback: null, earlier_feedback: [], analysis: { category: "port_conflict" } });
    const { status, body } = await say(server, id, { verdict: "right" });
    expect(status).toBe(200);
    const word = {
      incident_id: id,
      verdict: "right",
      category: "port_conflict",
      cause: before.ai_analysis,
      fix: before.ai_solution,
      outcome: null,
      shown_category: "port_conflict",
      shown_cause: before.ai_analysis,
      ...ACTOR,
    };
    expect(body).toMatchObject(word);
    const after = await story(id);
    expect(after.feedback).toEqual(body);
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(lines(after)).toMatchObject([
      { actor: "api:127.0.0.1", data: { verdict: "right", cause: before.ai_analysis, outlet: "api", replaces: null } },
    ]);
  });

  test("that it was wrong keeps the person's own words, and what was shown", async () => {
    const id = await failing(server, host, newSource());
    const own = { cause: "  The certificate ran out. ", category: "tls_certificate", fix: "certbot renew" };
    const { body } = await say(server, id, { verdict: "wrong", ...own });
    expect(body).toMatchObject({
      verdict: "wrong",
      ...own,
      cause: "The certificate ran out.",
      shown_category: "port_conflict",
    });
    const bare = await failing(server, host, newSource());
    expect((await say(server, bare, { verdict: "wrong" })).body).toMatchObject({
      cause: null,
      category: null,
      fix: null,
    });
  });

  test("is replaced by the second one, and both stand in the timeline; the same again changes nothing", async () => {
    const id = await failing(server, host, newSource());
    await say(server, id, { verdict: "right" });
    await say(server, id, { verdict: "wrong", cause: "The disk was full." });
    const twice = await story(id);
    await say(server, id, { verdict: "wrong", cause: "The disk was full." });
    const again = await story(id);
    expect(again.feedback).toEqual(twice.feedback);
    expect(again.revision).toBe(twice.revision);
    expect(again.feedback).toMatchObject({ verdict: "wrong", cause: "The disk was full." });
    expect(lines(again)).toMatchObject([
      { data: { verdict: "right", replaces: null } },
      { data: { verdict: "wrong", replaces: { verdict: "right", name: "somebody at 127.0.0.1" } } },
    ]);
  });

  test("of two at once leaves one, and a line for each", async () => {
    const id = await failing(server, host, newSource());
    const both = await Promise.all([say(server, id, { verdict: "right" }), say(server, id, { verdict: "wrong" })]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    const body = await story(id);
    const told = lines(body) as unknown as { data: { verdict: string; replaces: { verdict: string } | null } }[];
    const first = told.find(({ data }) => data.replaces === null)?.data;
    const second = told.find(({ data }) => data.replaces !== null)?.data;
    expect(told).toHaveLength(2);
    expect(second?.replaces?.verdict).toBe(first?.verdict ?? "none");
    expect(body.feedback.verdict).toBe(second?.verdict);
  });

  test.each([
    ["nothing", {}, "verdict"],
    ["another verdict", { verdict: "maybe" }, "verdict"],
    ["an empty cause", { verdict: "right", cause: " \n" }, "cause"],
    ["a long cause", { verdict: "right", cause: "x".repeat(2_001) }, "cause"],
    ["a cause that is no text", { verdict: "right", cause: 5 }, "cause"],
    ["an unknown category", { verdict: "wrong", cause: "x", category: "gremlins" }, "category"],
    ["another category of what was right", { verdict: "right", category: "disk_full" }, "category"],
  ])("is refused for %s, and the field is named", async (_, body, field) => {
    const id = await failing(server, host, newSource());
    const answer = await say(server, id, body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors.map((one: { field: string }) => one.field)).toEqual([field]);
    expect((await story(id)).feedback).toBeNull();
  });

  test("is refused where there is no such incident, and where nothing explains it yet or says what it was", async () => {
    expect(await say(server, 2_147_483_647, { verdict: "right" })).toMatchObject({
      status: 404,
      body: { code: "incident_not_found" },
    });
    const unknown = await failing(server, host, newSource(), SILENT_LOGS);
    const refused = await say(server, unknown, { verdict: "right" });
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ field: "cause" }] } });
    expect((await say(server, unknown, { verdict: "right", cause: "A typo." })).status).toBe(200);
    await database.database.sql`update incidents set analysis = null, ai_analysis = null where id = ${unknown}`;
    const unexplained = await say(server, unknown, { verdict: "wrong", cause: "A typo." });
    expect(unexplained).toMatchObject({ status: 422, body: { errors: [{ field: "verdict" }] } });
  });

  test("is refused for what a database cannot hold, and the field is named", async () => {
    const id = await failing(server, host, newSource());
    for (const cause of ["a\0b", "a \ud800 c"])
      expect(await say(server, id, { verdict: "wrong", cause })).toMatchObject({
        status: 422,
        body: { errors: [{ field: "cause" }] },
      });
  });
});

describe("the next incident of the same problem", () => {
  test("shows earlier words, the last first, five at most, and none of other problems", async () => {
    const source = newSource();
    const ids: number[] = [];
    for (let n = 0; n < 7; n++) ids.push(await failing(server, host, source));
    const other = await failing(server, host, newSource());
    await say(server, other, { verdict: "right" });
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, last = 0] = ids;
    for (const id of [a, b, c, d, f, e]) await say(server, id, { verdict: "wrong", cause: `cause ${id}` });
    const { earlier_feedback: earlier, feedback } = await story(last);
    expect(feedback).toBeNull();
    expect(earlier.map((one: { incident_id: number }) => one.incident_id)).toEqual([e, f, d, c, b]);
    expect((await story(b)).earlier_feedback).toMatchObject([{ incident_id: a }]);
  });

  test("changes as a word comes on the one before", async () => {
    const source = newSource();
    const first = await failing(server, host, source);
    const second = await failing(server, host, source);
    const before = await story(second);
    await say(server, first, { verdict: "wrong", cause: "The wrong image." });
    const after = await story(second);
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(after.earlier_feedback).toMatchObject([{ incident_id: first, cause: "The wrong image." }]);
  });

  test("is marked in lists where its explanation was said to be wrong, of it or of one before", async () => {
    const isDoubted = async (id: number) => {
      const { body } = await server.api("/v1/incidents?view=short&limit=500");
      return body.find((one: { id: number }) => one.id === id).doubted;
    };
    const source = newSource();
    const first = await failing(server, host, source);
    expect(await isDoubted(first)).toBe(false);
    await say(server, first, { verdict: "wrong" });
    const second = await failing(server, host, source);
    expect([await isDoubted(first), await isDoubted(second)]).toEqual([true, true]);
    await say(server, second, { verdict: "right" });
    const third = await failing(server, host, source);
    expect([await isDoubted(first), await isDoubted(second), await isDoubted(third)]).toEqual([true, false, false]);
    await database.database.sql`update incidents set analysis = '{"category":"crash"}' where id = ${first}`;
    expect(await isDoubted(first)).toBe(false);
  });

  test("tells what held then", async () => {
    const source = newSource();
    const first = await failing(server, host, source);
    await say(server, first, { verdict: "right" });
    await database.database.sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, outcome, ended_at)
      values (gen_random_uuid(), ${first}, 'restart', 'slack:U1', '@ana', 'slack', 'verified', 'restarted by @ana, active again after 4 s', now())`;
    const second = await failing(server, host, source);
    expect((await story(second)).earlier_feedback).toMatchObject([
      { outcome: "restarted by @ana, active again after 4 s" },
    ]);
  });
});

describe("what was learnt", () => {
  const store = () => createFeedbackStore(database.database.sql);
  const MONTH_MS = 30 * 86_400_000;
  const kept = async (ids: readonly number[]) => {
    const rows = await database.database.sql<{ id: number }[]>`
      select incident_id as id from feedback where incident_id = any(${ids as number[]}::int[]) order by incident_id`;
    return rows.map(({ id }) => id);
  };
  const age = (id: number, days: number) =>
    database.database
      .sql`update feedback set given_at = now() - make_interval(days => ${days}) where incident_id = ${id}`;
  const forget = (ids: readonly number[]) =>
    database.database.sql`delete from incidents where id = any(${ids as number[]}::int[])`;

  test("outlives its incident: the newest five of a problem", async () => {
    const source = newSource();
    const ids: number[] = [];
    for (let n = 0; n < 8; n++) ids.push(await failing(server, host, source));
    for (const id of ids.slice(0, 7)) await say(server, id, { verdict: "right" });
    expect(await store().deleteOld(MONTH_MS)).toBe(0);
    await forget(ids.slice(0, 7));
    expect(await store().deleteOld(MONTH_MS)).toBe(2);
    expect(await kept(ids)).toEqual(ids.slice(2, 7));
    expect((await story(ids[7] ?? 0)).earlier_feedback).toHaveLength(5);
  });

  test("is kept for as long as its problem recurs, and is forgotten when that was long ago", async () => {
    const [recurring, gone] = [newSource(), newSource()];
    const old = await failing(server, host, recurring);
    const over = await failing(server, host, gone);
    const young = await failing(server, host, newSource());
    for (const id of [old, over, young]) await say(server, id, { verdict: "right" });
    await failing(server, host, recurring);
    for (const id of [old, over]) await age(id, 500);
    await age(young, 300);
    expect(await store().deleteOld(MONTH_MS)).toBe(0);
    await forget([old, over, young]);
    expect(await store().deleteOld(1_000 * MONTH_MS)).toBe(0);
    expect(await store().deleteOld(MONTH_MS)).toBe(1);
    expect(await kept([old, over, young])).toEqual([old, young]);
  });

  test("holds the evidence by which explanations are measured, with what it was or was not", async () => {
    await database.database.sql`truncate feedback`;
    const ids: number[] = [];
    for (let n = 0; n < 4; n++) ids.push(await failing(server, host, newSource()));
    const [right = 0, own = 0, refuted = 0, vague = 0] = ids;
    const unknown = await failing(server, host, newSource(), SILENT_LOGS);
    await say(server, right, { verdict: "right" });
    await say(server, own, { verdict: "wrong", cause: "It was full.", category: "disk_full" });
    await say(server, refuted, { verdict: "wrong" });
    await say(server, vague, { verdict: "right", cause: "Two at once." });
    await say(server, unknown, { verdict: "right", cause: "Nobody knows the kind." });
    await forget(ids);
    const cases = [];
    for await (const one of store().cases()) cases.push(one);
    expect(cases).toMatchObject([
      { incidentId: vague, expected: "port_conflict", refuted: null },
      { incidentId: refuted, expected: null, refuted: "port_conflict" },
      { incidentId: own, expected: "disk_full", refuted: "port_conflict" },
      { incidentId: right, expected: "port_conflict", refuted: null },
    ]);
    expect(cases[3]?.evidence).toMatchObject({ type: "systemd", logs: PORT_LOGS, exitCode: null });
    expect((await explained(server, unknown)).feedback).not.toBeNull();
  });
});
