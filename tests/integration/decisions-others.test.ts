import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { DecidedHost, decide, decided } from "../support/decisions.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(180_000);

let database: TestDatabase;
let server: TestServer;
let host: DecidedHost;
let problems = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  host = await DecidedHost.start(server);
});

afterAll(async () => {
  await server.stop();
  await database.close();
});

const opened = (alert: Record<string, unknown> = {}) =>
  host.incident(server, { source: `unit-${++problems}`, ...alert });

describe("a decision that needs no host", () => {
  test.each([
    ["ignore", {}, "ignored", "ignored until it is resolved by somebody at 127.0.0.1", "until_resolved"],
    ["ignore", { variant: "1h" }, "ignored", "ignored for an hour by somebody at 127.0.0.1", "time"],
    [
      "ignore",
      { variant: "until_worse" },
      "ignored",
      "ignored until it gets worse by somebody at 127.0.0.1",
      "until_worse",
    ],
    ["ignore", { variant: "for_good" }, "ignored", "ignored for good by somebody at 127.0.0.1", "never"],
    ["acknowledge", {}, "acknowledged", "acknowledged by somebody at 127.0.0.1", undefined],
    ["resolve", {}, "resolved", "resolved by somebody at 127.0.0.1", undefined],
  ])("%s %j sets the status, says who, and makes the silence", async (action, more, status, outcome, ends) => {
    const incident = await opened();
    expect((await decide(server, incident, action, more)).status).toBe(202);
    expect(await decided(server, incident, "done")).toMatchObject({ action, outcome });
    const { body } = await server.api(`/v1/incidents/${incident}`);
    expect(body.status).toBe(status);
    const kinds = body.timeline.map(({ kind }: { kind: string }) => kind);
    expect(kinds[0]).toBe("opened");
    expect(kinds).toEqual(expect.arrayContaining(["decided", status, "outcome"]));
    const silences = await database.database.sql`
      select ends, actor from silences where incident_id = ${incident} and ended_at is null`;
    expect([...silences]).toEqual(ends === undefined ? [] : [{ ends, actor: "api:127.0.0.1" }]);
  });

  test("decided again hears that it stands already; another variant is another decision", async () => {
    const incident = await opened();
    await decide(server, incident, "ignore");
    await decided(server, incident, "done");
    const again = await decide(server, incident, "ignore");
    expect(again).toMatchObject({
      status: 409,
      body: { code: "already_decided", detail: "It is ignored already, by somebody at 127.0.0.1." },
    });
    expect((await decide(server, incident, "ignore", { variant: "for_good" })).status).toBe(202);
  });

  test("is refused once the incident is resolved", async () => {
    const incident = await opened();
    await decide(server, incident, "resolve");
    await decided(server, incident, "done");
    for (const action of ["resolve", "ignore", "restart", "logs"]) {
      expect(await decide(server, incident, action)).toMatchObject({ status: 409, body: { code: "resolved" } });
    }
  });
});

describe("logs", () => {
  test.each([
    ["systemd", "get_logs", { service: "app", lines: 100 }],
    ["docker", "container_logs", { container: "app", lines: 100 }],
  ])("of %s come by %s, and end the decision", async (type, name, params) => {
    const incident = await opened({ type, source: "app", message: `${type} broke` });
    await decide(server, incident, "logs");
    const command = await host.command(name);
    expect(command.params).toEqual(params);
    await host.answer(command, { output: "a line\nanother" });
    expect((await decided(server, incident, "done")).outcome).toBe("logs fetched for somebody at 127.0.0.1");
  });

  test("that the agent refuses are none", async () => {
    const incident = await opened();
    await decide(server, incident, "logs");
    await host.answer(await host.command("get_logs", 1), {
      status: "rejected",
      error: "get_logs is not allowed there",
    });
    expect((await decided(server, incident, "refused")).outcome).toBe(
      "the agent refused: get_logs is not allowed there",
    );
  });
});

describe("an incident's story", () => {
  test("says why it was grouped, who decided, what it did, and what came of it", async () => {
    const incident = await opened({ source: "story" });
    await host.alert({ source: "story" });
    await decide(server, incident, "restart");
    await host.answer(await host.command("restart_service"));
    await decided(server, incident, "verifying");
    await host.alert({ source: "story", state: "resolved" });
    const decision = await decided(server, incident, "verified");
    const { body } = await server.api(`/v1/incidents/${incident}`);
    const line = (kind: string) => body.timeline.find((one: { kind: string }) => one.kind === kind);
    expect(line("opened")).toMatchObject({ actor: "agent", data: { why: expect.any(String) } });
    expect(line("repeated").data).toMatchObject({
      occurrences: 2,
      why: expect.stringContaining("INCIDENT_GROUP_WINDOW"),
    });
    expect(line("decided")).toMatchObject({ actor: "api:127.0.0.1", data: { action: "restart", outlet: "api" } });
    expect(line("command")).toMatchObject({ actor: "api:127.0.0.1", command_id: decision.command_id });
    expect(line("result")).toMatchObject({ actor: "agent", command_id: decision.command_id });
    expect(line("resolved")).toMatchObject({ actor: "agent" });
    const outcomes = body.timeline.filter((one: { kind: string }) => one.kind === "outcome");
    expect(outcomes.map((one: { data: { state: string } }) => one.data.state)).toEqual(["verifying", "verified"]);
    const times = body.timeline.slice(1).map(({ at }: { at: string }) => at);
    expect(times).toEqual([...times].sort());
    expect(body.announcements).toBeArray();
  });
});
