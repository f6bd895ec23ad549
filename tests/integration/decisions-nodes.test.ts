import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCommandService } from "../../src/commands/service.ts";
import { createCommandStore } from "../../src/commands/store.ts";
import { createDecisions, type DecisionDeps } from "../../src/decisions/service.ts";
import { createDecisionStore } from "../../src/decisions/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

/** Nodes around one agent, without servers: commands that reach the agent are noted. */
async function nodesOf() {
  const { sql } = database.database;
  const writer = createIncidentWriter();
  const store = createCommandStore(sql, writer);
  const clock = createSystemClock();
  const loops = createLoops(clock, quiet);
  const agentId = await addAgent(database);
  const incidentId = await addIncident(database, agentId);
  const sent: string[] = [];
  const commands = createCommandService({
    store,
    delivery: { holds: () => true, deliver: (_, { id }) => sent.push(id) > 0 },
    whereabouts: async () => "online",
    isShared: async () => false,
    nodeId: crypto.randomUUID(),
    loops,
    clock,
  });
  const nothing = async () => undefined;

  function node(dying?: "before" | "after", more: Partial<DecisionDeps> = {}) {
    return createDecisions({
      sql,
      store: createDecisionStore(sql),
      writer,
      commands: {
        get: commands.get,
        async exec(request) {
          if (dying === "before") throw new Error("dies before the command is made");
          const outcome = await commands.exec(request);
          if (dying === "after") throw new Error("dies when the command is out");
          return outcome;
        },
      },
      silences: { ignore: nothing },
      announcements: { reply: nothing },
      changeStatus: async () => true,
      loops,
      clock,
      log: quiet,
      ...more,
    });
  }

  return {
    sent,
    node,
    incidentId,
    async answer(id: string) {
      const result = { command_id: id, status: "done", finished_at: Date.now() / 1000 } as const;
      await sql.begin((tx) => store.recordResults(tx, [{ agentId, result }]));
    },
    async press(by = node()) {
      const press = { incidentId, action: "restart", variant: null, outlet: "slack" } as const;
      const pressed = await by.press({ ...press, actor: "slack:U1", actorName: "@ana" });
      if (!pressed.ok) throw new Error(pressed.text);
      return pressed;
    },
    /** As when the claim of a node that died is over. */
    isDue: async () => void (await sql`update decisions set due_at = now() where incident_id = ${incidentId}`),
    state: async () => (await sql`select state, outcome from decisions where incident_id = ${incidentId}`)[0],
  };
}

describe("a decision", () => {
  test("that is carried out twice at once, on two nodes, is one command", async () => {
    const { node, press, answer, isDue, state, sent, incidentId } = await nodesOf();
    const pressed = await press();
    expect(pressed.text).toStartWith("Restarting nginx on ");
    const nodes = [node(), node(), node()];
    await Promise.all(nodes.map((one) => one.look()));
    await isDue();
    await Promise.all(nodes.map((one) => one.look()));
    expect(sent).toHaveLength(1);
    await answer(sent[0] ?? "");
    await Promise.all(nodes.map((one) => one.look()));
    expect(await state()).toMatchObject({ state: "verifying", outcome: expect.stringMatching(/^restarted by @ana, /) });
    await node().look();
    const rows = await database.database.sql`select id from commands where incident_id = ${incidentId}`;
    expect(rows.map(({ id }) => id)).toEqual(sent);
  });

  test("is carried out by the node where somebody pressed without a look, and is another's only when its time is over", async () => {
    const { node, press, sent, incidentId, state } = await nodesOf();
    const { sql } = database.database;
    const resting = { start: () => ({ wake: () => undefined, stop: async () => undefined }) };
    const pressing = node(undefined, { loops: { ...createLoops(createSystemClock(), quiet), ...resting } });
    pressing.start();
    await press(pressing);
    const [row] =
      await sql`select due_at > now() + interval '5 s' as taken from decisions where incident_id = ${incidentId}`;
    await node().look();
    await until(async () => (await state())?.state === "sent", { what: "the command is out" });
    // Null once it is carried out, which may come before anybody looks.
    expect(row?.taken).not.toBe(false);
    expect(sent).toHaveLength(1);
    await pressing.stop();
  });

  test.each(["before", "after"] as const)("whose node dies %s the command is sent is one command", async (moment) => {
    const { node, press, answer, isDue, state, sent } = await nodesOf();
    await press();
    await node(moment).look();
    expect(sent).toHaveLength(moment === "before" ? 0 : 1);
    expect((await state())?.state).toBe("requested");
    await isDue();
    await node().look();
    expect(sent).toHaveLength(1);
    await answer(sent[0] ?? "");
    await node().look();
    expect((await state())?.state).toBe("verifying");
    expect(sent).toHaveLength(1);
  });

  test("that is pressed twice under one id is one decision", async () => {
    const { node, incidentId } = await nodesOf();
    const { sql } = database.database;
    const id = crypto.randomUUID();
    const press = { id, incidentId, action: "acknowledge", variant: null, outlet: "slack" } as const;
    const by = { actor: "slack:U1", actorName: "@ana" };
    const pressed = await Promise.all([1, 2, 3].map(() => node().press({ ...press, ...by })));
    await node().look();
    pressed.push(await node().press({ ...press, ...by }));
    for (const one of pressed) expect(one).toEqual({ ok: true, decisionId: id, text: "Acknowledged." });
    const lines = await sql`select kind from events where incident_id = ${incidentId} and kind = 'decided'`;
    expect(lines).toHaveLength(1);
  });
});
