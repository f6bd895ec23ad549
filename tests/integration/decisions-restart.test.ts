import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { expireCommand } from "../support/commands.ts";
import { DecidedHost, decide, decided, passed } from "../support/decisions.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

// Some tests need several looks, each of which asks the host.
setDefaultTimeout(180_000);

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});

afterAll(async () => {
  await server.stop();
  await database.close();
});

async function failing(alert: Record<string, unknown> = {}) {
  const host = await DecidedHost.start(server);
  const incident = await host.incident(server, alert);
  const isExplained = async () => (await server.api(`/v1/incidents/${incident}`)).body.status === "analyzed";
  await until(isExplained, { what: `incident ${incident} is explained` });
  return { host, incident };
}

/** Restarted, and carried out. */
async function restarted(alert: Record<string, unknown> = {}) {
  const { host, incident } = await failing(alert);
  const { status, body } = await decide(server, incident, "restart");
  expect(status).toBe(202);
  await host.answer(await host.command(alert.type === "docker" ? "restart_container" : "restart_service"));
  await decided(server, incident, "verifying");
  return { host, incident, id: body.id as string };
}

const status = (activeState: string, subState: string) => ({
  output: JSON.stringify({ active_state: activeState, sub_state: subState, active_since_s: 3, restarts: 0 }),
});

describe("a restart", () => {
  test("is a command to the host, for the person who asked", async () => {
    const { host, incident } = await failing();
    const { status, body } = await decide(server, incident, "restart");
    expect(status).toBe(202);
    expect(body).toMatchObject({ incident_id: incident, action: "restart", outlet: "api" });
    // It is carried out at once: the answer may already say so.
    expect(["requested", "sent"]).toContain(body.state);
    const command = await host.command("restart_service");
    expect(command.params).toEqual({ service: "nginx" });
    const { body: row } = await server.api(`/v1/commands/${command.id}`);
    expect(row).toMatchObject({ incident_id: incident, actor: body.actor });
  });

  test("is verified by the host's recovery report, well before a check", async () => {
    const { host, incident } = await restarted();
    await host.alert({ state: "resolved" });
    const decision = await decided(server, incident, "verified");
    expect(decision.outcome).toMatch(/^restarted by somebody at 127\.0\.0\.1, active again after \d s$/);
    expect(decision.ended_at).toBeString();
    expect((await server.api(`/v1/incidents/${incident}`)).body.status).toBe("resolved");
    expect(host.commands("service_status")).toEqual([]);
  });

  test("failed again when an alert of the same problem occurs after it; then it can be tried again", async () => {
    const { host, incident } = await restarted();
    await host.alert();
    const decision = await decided(server, incident, "failed_again");
    expect(decision.outcome).toMatch(/^restarted, failed again after \d s$/);
    expect((await server.api(`/v1/incidents/${incident}`)).body).toMatchObject({ occurrences: 2, status: "analyzed" });
    expect((await decide(server, incident, "restart")).status).toBe(202);
    await host.command("restart_service", 1);
  });

  test("says nothing by another problem of the same host", async () => {
    const { host, incident, id } = await restarted();
    await host.alert({ message: "another line, of another problem" });
    await host.alert({ source: "redis", state: "resolved" });
    await passed(database.database.sql, id, 5);
    await host.command("service_status");
    expect((await decided(server, incident, "verifying")).ended_at).toBeNull();
  });

  test("is verified by the unit's state: asked at 5, 15 and 60 s, believed at the last", async () => {
    const { host, incident, id } = await restarted();
    const { sql } = database.database;
    await passed(sql, id, 5);
    await host.answer(await host.command("service_status"), status("active", "running"));
    const interim = await until(
      async () => {
        const decision = await decided(server, incident, "verifying");
        return decision.outcome.includes("active again") && decision;
      },
      { ms: 10_000 },
    );
    expect(interim.outcome).toMatch(/^restarted by somebody at 127\.0\.0\.1, active again after \d s$/);
    await passed(sql, id, 10);
    await host.answer(await host.command("service_status", 1), status("active", "running"));
    await until(async () => (await sql`select checks from decisions where id = ${id}`)[0]?.checks === 2);
    await passed(sql, id, 46);
    await host.answer(await host.command("service_status", 2), status("active", "running"));
    expect((await decided(server, incident, "verified")).outcome).toBe(interim.outcome);
    const { body } = await server.api(`/v1/incidents/${incident}`);
    expect(body).toMatchObject({ status: "resolved", reason: interim.outcome });
    expect(body.timeline.at(-1)).toMatchObject({ kind: expect.stringMatching(/outcome|resolved/), actor: "system" });
  });

  test("keeps saying when a check saw it active, once the host reports later that it has lasted", async () => {
    const { host, incident, id } = await restarted();
    await passed(database.database.sql, id, 5);
    await host.answer(await host.command("service_status"), status("active", "running"));
    const seen = await until(async () => {
      const { outcome } = await decided(server, incident, "verifying");
      return outcome.includes("active again") && outcome;
    });
    await passed(database.database.sql, id, 6);
    await host.alert({ state: "resolved" });
    expect((await decided(server, incident, "verified")).outcome).toBe(seen);
  });

  test("failed again when the unit is down at a check, with its state", async () => {
    const { host, incident, id } = await restarted();
    await passed(database.database.sql, id, 5);
    await host.answer(await host.command("service_status"), status("failed", "failed"));
    expect((await decided(server, incident, "failed_again")).outcome).toMatch(
      /^restarted, failed again after \d s \(failed\/failed\)$/,
    );
    expect((await server.api(`/v1/incidents/${incident}`)).body.status).toBe("analyzed");
  });

  test("of a container is restart_container; without a word it resolves nothing", async () => {
    const { host, incident, id } = await restarted({ type: "docker", source: "web-1" });
    expect((await host.command("restart_container")).params).toEqual({ container: "web-1" });
    await passed(database.database.sql, id, 61);
    expect((await decided(server, incident, "no_word")).outcome).toBe("no word from the host within 60 s");
    expect((await server.api(`/v1/incidents/${incident}`)).body.status).toBe("analyzed");
    expect(host.commands("service_status")).toEqual([]);
  });

  test.each([
    [
      { status: "rejected", error: "restart_service:nginx is not allowed there" },
      "refused",
      "the agent refused: restart_service:nginx is not allowed there",
    ],
    [{ status: "rejected" }, "refused", "the agent refused: restart_service:nginx is not allowed there"],
    [{ status: "failed", exit_code: 5, error: "Unit not found.\nmore" }, "failed", "not restarted: Unit not found."],
    [{ status: "failed", exit_code: 5 }, "failed", "not restarted: exit status 5"],
  ])("answered by %j is %s", async (result, state, outcome) => {
    const { host, incident } = await failing();
    await decide(server, incident, "restart");
    await host.answer(await host.command("restart_service"), result);
    expect(await decided(server, incident, state)).toMatchObject({ outcome, ended_at: expect.any(String) });
    expect((await decide(server, incident, "restart")).status).toBe(202);
  });

  test("that nobody answers ends with the command; a late answer is told, and resolves nothing", async () => {
    const { host, incident } = await failing();
    await decide(server, incident, "restart");
    const command = await host.command("restart_service");
    await decided(server, incident, "sent");
    await expireCommand(database.database.sql, command.id);
    const unknown = await decided(server, incident, "no_answer");
    expect(unknown.outcome).toBe("no answer from the host: it is not known whether it restarted");
    await host.answer(command);
    const late = await decided(server, incident, "done");
    expect(late.outcome).toMatch(/^restarted by somebody at 127\.0\.0\.1; the host answered only after \d+ s$/);
    expect((await server.api(`/v1/incidents/${incident}`)).body.status).toBe("analyzed");
  });

  test("pressed by two at once is one command; the second hears who was first", async () => {
    const { host, incident } = await failing();
    const answers = await Promise.all([1, 2, 3].map(() => decide(server, incident, "restart")));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
    const second = answers.find(({ status }) => status === 409);
    expect(second?.body).toMatchObject({
      code: "already_decided",
      detail: "somebody at 127.0.0.1 decided that already; it is under way.",
    });
    await host.answer(await host.command("restart_service"));
    await decided(server, incident, "verifying");
    expect(host.commands("restart_service")).toHaveLength(1);
  });

  test.each([
    [{ type: "host" }, "not_possible"],
    [{ type: "process", source: "x" }, "not_possible"],
  ])("of %j is %s", async (alert, code) => {
    const { incident } = await failing(alert);
    expect(await decide(server, incident, "restart")).toMatchObject({ status: 409, body: { code } });
  });

  test("of a name that no host takes is not sent", async () => {
    const { incident } = await failing({ source: "-rf; reboot" });
    await decide(server, incident, "restart");
    expect((await decided(server, incident, "failed")).outcome).toBe(
      "not restarted: its name is none that a host takes",
    );
  });
});
