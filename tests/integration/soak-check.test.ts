import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Known, SoakHost } from "../soak/agents.ts";
import { findWrong } from "../soak/check.ts";
import type { FakeMessage } from "../support/fake-slack-api.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let host: SoakHost;
let good = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  host = { name: "soak-0", id: await addAgent(database), token: "", dir: "" };
  good = await stored("service-0", ["service-0:a:1"]);
});
afterAll(() => database.close());

/** An incident of these alerts that was told; returns its id. */
async function stored(source: string, messageIds: readonly string[], state = "sent"): Promise<number> {
  const { sql } = database.database;
  const id = await addIncident(database, host.id, { source });
  await sql`delete from alerts where incident_id = ${id}`;
  for (const messageId of messageIds)
    await sql`insert into alerts (uuid, agent_id, message_id, incident_id, state, occurred_at, received_at)
      values (gen_random_uuid(), ${host.id}, ${messageId}, ${id}, 'firing', now(), now())`;
  await sql`insert into announcements (kind, incident_id, outlet, state, why) values ('incident', ${id}, 'slack', ${state}, '')`;
  return id;
}

const knownOf = (changes: Partial<Known> = {}): Known => ({
  kept: new Set(["service-0:a:1"]),
  acknowledged: new Set(["service-0:a:1"]),
  refused: [],
  ...changes,
});

const toldOf = (incidentId: number) =>
  ({
    thread: null,
    metadata: { event_type: "opspilot_incident", event_payload: { incident_id: incidentId } },
  }) as FakeMessage;

async function found(known: Known, messages: readonly FakeMessage[]) {
  const { lost, doubled, wrong } = await findWrong(database.database.sql, [{ ...host, known }], messages);
  return { lost, doubled, wrong };
}

test("the checker is content with what is as promised, and finds what was lost, doubled, refused and told twice or to nobody", async () => {
  const nothing = { lost: [], doubled: [], wrong: [] };
  expect(await found(knownOf(), [toldOf(good)])).toEqual(nothing);

  expect((await found(knownOf({ acknowledged: new Set(["service-0:a:2"]) }), [toldOf(good)])).lost).toEqual([
    "soak-0: service-0:a:2 was acknowledged and is not stored",
  ]);
  expect((await found(knownOf({ refused: ["service-0:a:3 bad_payload"] }), [toldOf(good)])).wrong).toEqual([
    "refused: service-0:a:3 bad_payload",
  ]);
  expect((await found(knownOf(), [])).lost).toEqual([`incident ${good} is said to be told, and is not in Slack`]);
  expect((await found(knownOf(), [toldOf(good), toldOf(good)])).doubled).toEqual([`incident ${good} was told 2 times`]);

  const twice = await stored("service-1", ["service-1:a:1", "service-1:a:1"]);
  const again = await stored("service-1", ["service-0:a:9"], "unknown");
  expect(await found(knownOf(), [toldOf(good), toldOf(twice)])).toEqual({
    lost: [`incident ${again} is unknown`],
    doubled: ["service-1:a:1 is stored 2 times", `${host.id} systemd service-1 is 2 incidents`],
    wrong: [`incident ${twice} counts 1 occurrences of 2 alerts`, "service-0:a:9 is filed under service-1"],
  });
});
