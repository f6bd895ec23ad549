import { afterAll, beforeAll, expect, test } from "bun:test";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

/** What a person waits for a hundred, milliseconds. */
const HUNDRED_MS = 2_000;

let database: TestDatabase;
let nodes: TestServer[];
beforeAll(async () => {
  database = await createTestDatabase();
  nodes = await Promise.all([startTestServer(database.url), startTestServer(database.url)]);
}, 180_000);
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await database.close();
});

async function addMany(count: number): Promise<number[]> {
  const agents = await Promise.all(Array.from({ length: 5 }, () => addAgent(database)));
  return Promise.all(
    Array.from({ length: count }, (_, n) => addIncident(database, agents[n % 5] as string, { source: `unit-${n}` })),
  );
}

const decide = (ids: readonly number[], status: string, node = 0) =>
  (nodes[node] as TestServer).api("/v1/incidents", { method: "PATCH", body: { ids, status } });

const sorted = (ids: readonly number[]) => ids.toSorted((a, b) => a - b);

test("a hundred on several hosts are acknowledged at once, each with a line of its own", async () => {
  const ids = await addMany(100);
  const startMs = performance.now();
  const { status, body } = await decide(ids, "acknowledged");
  expect(performance.now() - startMs).toBeLessThan(HUNDRED_MS);
  expect({ status, changed: sorted(body.changed), refused: body.refused }).toEqual({
    status: 200,
    changed: sorted(ids),
    refused: [],
  });
  const rows = await database.database.sql`
    select i.status, array_agg(e.kind || ' by ' || e.actor) as lines from incidents i join events e on e.incident_id = i.id
    where i.id = any(${ids}) group by i.id`;
  expect(rows.length).toBe(100);
  for (const row of rows)
    expect({ ...row }).toEqual({ status: "acknowledged", lines: ["acknowledged by api:127.0.0.1"] });
});

test("those that cannot change are named, and hold up none of the others", async () => {
  const ids = await addMany(3);
  const [first, over] = ids as [number, number, number];
  await decide([over], "resolved");
  const { body } = await decide([...ids, 999_999], "ignored");
  expect(sorted(body.changed)).toEqual(sorted(ids.filter((id) => id !== over)));
  expect(body.refused).toEqual([
    { id: over, code: "invalid_transition", detail: "the incident is resolved, which is final" },
    { id: 999_999, code: "incident_not_found", detail: "there is no such incident" },
  ]);
  const { body: silences } = await (nodes[0] as TestServer).api("/v1/silences");
  expect(silences.map((one: { incident_id: number }) => one.incident_id)).toContain(first);
});

test("two people on two nodes decide about the same ones at once, and none waits for the other for good", async () => {
  const ids = await addMany(60);
  const words = ["acknowledged", "ignored", "resolved"];
  const answers = await Promise.all(words.flatMap((word) => [decide(ids, word), decide(ids.toReversed(), word, 1)]));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const [row] = await database.database.sql`
    select count(*)::int as count from incidents where id = any(${ids}) and status = 'resolved'`;
  expect(row?.count).toBe(60);
});
