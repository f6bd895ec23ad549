import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidedHost, decide, decided, passed } from "../support/decisions.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

// Servers start and stop.
setDefaultTimeout(180_000);

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

describe("a decision", () => {
  test("that another node took before it died is carried out as soon as it is due again", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const { sql } = database.database;
    const id = crypto.randomUUID();
    await sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, due_at)
      values (${id}, ${incident}, 'restart', 'slack:U1', '@ana', 'slack', now() + interval '1 s')`;
    await sql`select pg_notify('opspilot_incidents', '')`;
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
    for (const [n, { age, outcome }] of [
      { age: 40, outcome: "not restarted: the agent is not connected" },
      { age: 400, outcome: "not restarted: it could not be carried out within 5 minutes" },
    ].entries()) {
      const { sql } = database.database;
      const { id } = (await decide(server, incident, "restart")).body;
      await until(async () =>
        (await decided(server, incident, "requested", n)).outcome?.startsWith("the agent is not connected"),
      );
      await sql.begin(async (tx) => {
        await tx`
          update decisions set requested_at = now() - make_interval(secs => ${age}), due_at = now() where id = ${id}`;
        await tx`select pg_notify('opspilot_incidents', '')`;
      });
      const ended = await until(
        async () => (await sql`select outcome from decisions where id = ${id} and state = 'failed'`)[0],
        { ms: 15_000, what: outcome },
      );
      expect(ended.outcome).toBe(outcome);
    }
  });

  test("names its command only once there is one, so that nobody asks for what is not there", async () => {
    const host = await DecidedHost.start(server);
    const incident = await host.incident(server);
    const { sql } = database.database;
    const [id, command] = [crypto.randomUUID(), crypto.randomUUID()];
    await sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, command_id, sends, due_at)
      values (${id}, ${incident}, 'restart', 'slack:U1', '@ana', 'slack', ${command}, 1, now() + interval '1 h')`;
    const named = async () => (await server.api(`/v1/incidents/${incident}`)).body.decisions[0].command_id;
    expect(await named()).toBeNull();
    await sql`
      insert into commands (id, agent_id, incident_id, command, params, target, actor, ttl_s, expires_at)
      values (${command}, ${host.id}, ${incident}, 'restart_service', '{"service":"nginx"}', 'nginx', 'slack:U1', 60, now())`;
    expect(await named()).toBe(command);
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
    // The first check comes after 5 s, and a busy machine takes longer for a start.
    await sql`update decisions set due_at = now() + interval '60 s' where id = ${body.id}`;
    await startAgain();
    const again = await back.back(server);
    await passed(sql, body.id, 61);
    const active = { active_state: "active", sub_state: "running", active_since_s: 30, restarts: 0 };
    await again.answer(await again.command("service_status"), { output: JSON.stringify(active) });
    await decided(server, incident, "verified");
    expect(again.commands("restart_service")).toEqual([]);
  });
});
