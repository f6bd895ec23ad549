import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCommandService } from "../../src/commands/service.ts";
import { createCommandStore } from "../../src/commands/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { addAgent } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

interface Frame {
  id: string;
}

/** A node that holds every agent's socket, and hears of nothing. */
function nodeOf(deliver: (frame: Frame) => boolean) {
  const clock = createSystemClock();
  return createCommandService({
    store: createCommandStore(database.database.sql, createIncidentWriter()),
    delivery: { holds: () => true, deliver: (_, frame) => deliver(frame) },
    whereabouts: async () => "online",
    isShared: async () => false,
    nodeId: crypto.randomUUID(),
    loops: createLoops(clock, quiet),
    clock,
  });
}

const restart = { command: "restart_service", params: { service: "nginx" }, actor: "api:x", waitS: 0 };

async function rowOf(id: string) {
  const { sql } = database.database;
  const [row] = await sql`
    select status, sent_at is not null as "isSent", error, extract(epoch from expires_at - sent_at)::float8 as "openS",
      xmin::text as transaction from commands where id = ${id}`;
  return row;
}

describe("a command for a host of this node", () => {
  test("is committed with its line before it goes out, all in one transaction, and nobody has to hear of it first", async () => {
    const { sql } = database.database;
    const agentId = await addAgent(database);
    const noticed: string[] = [];
    const session = database.database.createSession({ onNotify: (_, payload) => noticed.push(payload) });
    await session`listen opspilot_changes`;
    const sent: { id: string; seen: ReturnType<typeof rowOf> }[] = [];
    const node = nodeOf(({ id }) => sent.push({ id, seen: rowOf(id) }) > 0);
    const outcome = await node.exec({ ...restart, agentId });
    expect(outcome).toMatchObject({ ok: true, command: { status: "sent", agent_id: agentId, params: restart.params } });
    expect(sent).toHaveLength(1);
    const id = sent[0]?.id ?? "";
    const seen = await sent[0]?.seen;
    expect(seen).toMatchObject({ status: "sent", isSent: true, openS: 90 });
    const lines = await sql`
      select kind, actor, agent_id, data, xmin::text as transaction from events where command_id = ${id}`;
    const data = { command: restart.command, params: restart.params };
    const line = { kind: "command", actor: "api:x", agent_id: agentId, data, transaction: seen?.transaction };
    expect([...lines]).toEqual([line]);
    await until(() => noticed.length >= 2, { what: "notices of the command and of its line" });
    expect(noticed.sort()).toEqual([`commands ${id}`, "timeline"]);
  });

  test("that is asked for twice goes out once", async () => {
    const agentId = await addAgent(database);
    const sent: string[] = [];
    const node = nodeOf(({ id }) => sent.push(id) > 0);
    const id = crypto.randomUUID();
    const outcomes = await Promise.all([1, 2, 3].map(() => node.exec({ ...restart, agentId, id })));
    outcomes.push(await node.exec({ ...restart, agentId, id }));
    expect(sent).toEqual([id]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: true, command: { id, status: "sent" } });
    expect(await node.exec({ ...restart, agentId })).toMatchObject({ ok: false, reason: "command_open" });
    expect(sent).toEqual([id]);
  });

  test("whose socket closes before it is written has failed, and is open no more", async () => {
    const agentId = await addAgent(database);
    const outcome = await nodeOf(() => false).exec({ ...restart, agentId });
    const error = "the agent's connection closed before the command was written";
    expect(outcome).toMatchObject({ ok: true, command: { status: "failed", error } });
    expect(await nodeOf(() => true).exec({ ...restart, agentId })).toMatchObject({ ok: true });
  });

  test("whose node dies between the commit and the socket is not written by another; it expires", async () => {
    const { sql } = database.database;
    const agentId = await addAgent(database);
    const id = crypto.randomUUID();
    const dying = nodeOf(() => {
      throw new Error("dies before it writes");
    });
    await expect(dying.exec({ ...restart, agentId, id })).rejects.toThrow("dies before it writes");
    expect(await rowOf(id)).toMatchObject({ status: "sent" });
    const sent: string[] = [];
    const other = nodeOf((frame) => sent.push(frame.id) > 0);
    expect(await other.exec({ ...restart, agentId, id })).toMatchObject({ ok: true, command: { status: "sent" } });
    await sql`update commands set expires_at = now() - interval '1 s' where id = ${id}`;
    other.start();
    await until(async () => (await rowOf(id))?.status === "expired", { what: "expired" });
    await other.stop();
    expect(sent).toEqual([]);
  });
});
