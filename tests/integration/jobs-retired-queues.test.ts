import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { PgBoss } from "pg-boss";
import { clearRetiredQueues } from "../../src/jobs/jobs.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

const RETIRED = ["incidents.announce", "decisions.carry", "decisions.verify"];

let database: TestDatabase;
let boss: PgBoss;
let agent: string;
const announced: number[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  agent = await addAgent(database);
  const { host, port, user, password, database: name } = database.target;
  boss = new PgBoss({ host, port, user, password, database: name, max: 2, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue("incidents.explain");
});

/** As a former version left it. */
beforeEach(async () => {
  announced.length = 0;
  for (const name of RETIRED) {
    await boss.createQueue(`${name}.dead`);
    await boss.createQueue(name, { deadLetter: `${name}.dead`, retryLimit: 0 });
  }
});

afterAll(async () => {
  await boss.stop({ graceful: false });
  await database.close();
});

const clear = (announce = async (ids: readonly number[]) => void announced.push(...ids)) =>
  clearRetiredQueues(boss, database.database, (_, ids) => announce(ids));
const queues = async () => (await boss.getQueues()).map(({ name }) => name).filter((name) => !name.startsWith("__"));

test("what former versions had not announced is handed on, and their queues go", async () => {
  const [waits, runs, gaveUp, done] = [
    await addIncident(database, agent),
    await addIncident(database, agent),
    await addIncident(database, agent),
    await addIncident(database, agent),
  ];
  await boss.send("incidents.announce", { ids: [done] });
  const [first] = await boss.fetch("incidents.announce");
  await boss.complete("incidents.announce", first?.id ?? "");
  await boss.send("incidents.announce", { ids: [gaveUp] });
  const [second] = await boss.fetch("incidents.announce");
  await boss.fail("incidents.announce", second?.id ?? "");
  await boss.send("incidents.announce", { ids: [runs] });
  await boss.fetch("incidents.announce");
  await boss.send("incidents.announce", { ids: [waits, 2_147_483_647] });
  await boss.send("decisions.verify", { id: crypto.randomUUID() });
  await clear();
  expect(announced).toEqual([waits, runs, gaveUp]);
  expect(await queues()).toEqual(["incidents.explain"]);
  const [left] = await database.database.sql`
    select count(*)::int as jobs from pgboss.job where name like 'incidents.announce%' or name like 'decisions.%'`;
  expect(left?.jobs).toBe(0);
  await clear();
  expect(announced).toHaveLength(3);
});

test("what could not be handed on is kept for the next start", async () => {
  const id = await addIncident(database, agent);
  await boss.send("incidents.announce", { ids: [id] });
  const fails = async () => {
    throw new Error("no outlet can be asked");
  };
  await expect(clear(fails)).rejects.toThrow("no outlet can be asked");
  expect(await queues()).toContain("incidents.announce");
  await clear();
  expect(announced).toEqual([id]);
});

test("several nodes may clear them at once", async () => {
  await boss.send("incidents.announce", { ids: [await addIncident(database, agent)] });
  await Promise.all([clear(), clear(), clear()]);
  expect(await queues()).toEqual(["incidents.explain"]);
});
