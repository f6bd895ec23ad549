import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createCommandService } from "../../src/commands/service.ts";
import { createCommandStore } from "../../src/commands/store.ts";
import { createDecisions } from "../../src/decisions/service.ts";
import { createDecisionStore } from "../../src/decisions/store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { DecidedHost, decide, decided, passed } from "../support/decisions.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

// Servers start and stop, and each look takes up to a second.
setDefaultTimeout(60_000);

let database: TestDatabase;
let server: TestServer;

beforeEach(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});

afterEach(async () => {
  await server.stop();
  await database.close();
});

async function startAgain(): Promise<void> {
  await server.stop();
  server = await startTestServer(database.url);
}

/** Another node of the same database, which holds no sockets; its jobs are a test's own calls. */
function anotherNode(dying?: "before" | "after") {
  const { sql, orm } = database.database;
  const clock = createSystemClock();
  const commands = createCommandService({
    store: createCommandStore(sql, orm),
    delivery: { holds: () => false, deliver: () => false },
    whereabouts: async () => "online",
    heldAgents: () => [],
    notify: async (payload) => void (await sql`select pg_notify('opspilot_commands', ${payload})`),
    clock,
    log: quiet,
  });
  const nothing = async () => undefined;
  return createDecisions({
    sql,
    store: createDecisionStore(sql),
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
    notify: nothing,
    send: nothing,
    clock,
    log: quiet,
  });
}

describe("a decision", () => {
  test("that is carried out twice at once, on two nodes, is one command", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const node = anotherNode();
    const press = { incidentId: incident, action: "restart", variant: null, outlet: "slack" } as const;
    const pressed = await node.press({ ...press, actor: "slack:U1", actorName: "@ana" });
    if (!pressed.ok) throw new Error(pressed.text);
    expect(pressed.text).toStartWith("Restarting nginx on ");
    await Promise.all([1, 2, 3].map(() => node.carry(pressed.decisionId)));
    await node.carry(pressed.decisionId);
    const command = await host.command("restart_service");
    await host.answer(command);
    expect((await decided(server, incident, "verifying")).outcome).toStartWith("restarted by @ana, ");
    await node.carry(pressed.decisionId);
    expect(host.commands("restart_service")).toHaveLength(1);
    const rows = await database.database.sql`select id from commands where incident_id = ${incident}`;
    expect(rows.map(({ id }) => id)).toEqual([command.id]);
  });

  test.each(["before", "after"] as const)("whose node dies %s the command is sent is one command", async (moment) => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const press = { incidentId: incident, action: "restart", variant: null, outlet: "slack" } as const;
    const pressed = await anotherNode().press({ ...press, actor: "slack:U1", actorName: "@ana" });
    const id = pressed.ok ? pressed.decisionId : "";
    await expect(anotherNode(moment).carry(id)).rejects.toThrow(`dies ${moment === "before" ? "before" : "when"}`);
    await anotherNode().carry(id);
    await host.answer(await host.command("restart_service"));
    await decided(server, incident, "verifying");
    expect(host.commands("restart_service")).toHaveLength(1);
  });

  test("whose job is lost is carried out all the same", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const press = { incidentId: incident, action: "restart", variant: null, outlet: "slack" } as const;
    const pressed = await anotherNode().press({ ...press, actor: "slack:U1", actorName: "@ana" });
    if (!pressed.ok) throw new Error(pressed.text);
    await database.database.sql`update decisions set due_at = now() where id = ${pressed.decisionId}`;
    await host.command("restart_service");
  });

  test("waits for a host that is on its way back, over a restart of the server", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    await host.socket.close();
    await until(async () => (await server.api(`/v1/agents/${host.id}`)).body.status === "offline");
    await decide(server, incident, "restart");
    await until(async () =>
      (await decided(server, incident, "requested")).outcome?.startsWith("the agent is not connected"),
    );
    await startAgain();
    const back = await host.back(server);
    await back.answer(await back.command("restart_service"));
    await decided(server, incident, "verifying");
    expect(back.commands("restart_service")).toHaveLength(1);
  });

  test("is given up when the host does not come back, and when it is too old to be expected any more", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    await host.socket.close();
    await until(async () => (await server.api(`/v1/agents/${host.id}`)).body.status === "offline");
    for (const [age, outcome] of [
      [40, "not restarted: the agent is not connected"],
      [400, "not restarted: it could not be carried out within 5 minutes"],
    ] as const) {
      const { sql } = database.database;
      const press = { incidentId: incident, action: "restart", variant: null, outlet: "slack" } as const;
      const pressed = await anotherNode().press({ ...press, actor: "slack:U1", actorName: "@ana" });
      const id = pressed.ok ? pressed.decisionId : "";
      await sql`update decisions set requested_at = now() - make_interval(secs => ${age}), due_at = now() where id = ${id}`;
      const ended = await until(
        async () => (await sql`select outcome from decisions where id = ${id} and state = 'failed'`)[0],
        { ms: 15_000, what: outcome },
      );
      expect(ended.outcome).toBe(outcome);
    }
  });

  test("whose command is out goes on after the server was started again, to the end", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const { body } = await decide(server, incident, "restart");
    const command = await host.command("restart_service");
    await startAgain();
    const back = await host.back(server);
    await back.answer(command, { finished_at: Date.now() / 1000 - 7_200 });
    await decided(server, incident, "verifying");
    const { sql } = database.database;
    const [moved] = await sql`
      select d.carried_out_at between c.sent_at and now() as ok from decisions d join commands c on c.id = d.command_id`;
    expect(moved?.ok).toBe(true);
    await startAgain();
    const again = await back.back(server);
    await passed(sql, body.id, 61);
    const active = { active_state: "active", sub_state: "running", active_since_s: 30, restarts: 0 };
    await again.answer(await again.command("service_status"), { output: JSON.stringify(active) });
    await decided(server, incident, "verified");
    expect(again.commands("restart_service")).toEqual([]);
  });
});
