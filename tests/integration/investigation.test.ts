import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  type FakeOpenRouter,
  GOOD_ANSWER,
  refusesTools,
  says,
  startFakeOpenRouter,
  wants,
} from "../support/fake-openrouter.ts";
import { LookingHost } from "../support/looking-host.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let model: FakeOpenRouter;
let server: TestServer;
let host: LookingHost;

beforeAll(async () => {
  database = await createTestDatabase();
  model = startFakeOpenRouter();
});

afterEach(async () => {
  await host.stop();
  await server.stop();
  model.seen.length = 0;
});

afterAll(async () => {
  await model.stop();
  await database.close();
});

async function start(env: Record<string, string> = {}, allow = ""): Promise<void> {
  const settings = { OPENROUTER_BASE_URL: model.baseUrl, AI_AUTO: "off", ...env };
  server = await startTestServer(database.url, settings);
  host = await LookingHost.start(server, { allow });
  host.systemd.setUnit("app.service", { ActiveState: "failed", SubState: "failed" });
  host.systemd.setUnit("postgresql.service", { ActiveState: "failed", SubState: "failed" });
  host.systemd.writeAs("app.service", "app: could not connect to 127.0.0.1:5432");
  host.systemd.writeAs("postgresql.service", "FATAL: could not write to file: No space left on device");
}

/** The alert does not show it: only another unit's log does. */
const DISK_ANSWER = {
  ...GOOD_ANSWER,
  cause: "The disk is full, so PostgreSQL stopped, and app cannot connect to it.",
  fix: "Free space, then start postgresql and app.",
  fix_command: null,
  category: "disk_full",
  evidence: ["FATAL: could not write to file: No space left on device"],
};
const ALERT = { source: "app", message: "app.service failed", logs: "app: could not connect to 127.0.0.1:5432" };
const answers = says(JSON.stringify(DISK_ANSWER));

const investigate = (id: number) => server.api(`/v1/incidents/${id}/investigate`, { method: "POST" });
const read = async (id: number) => (await server.api(`/v1/incidents/${id}`)).body;
const analysis = async (id: number) => (await server.api(`/v1/incidents/${id}/analysis`)).body;
const ended = (id: number) =>
  until(
    async () => {
      const [newest] = (await analysis(id)).investigations;
      return newest?.ended_at && newest;
    },
    { ms: 20_000, what: `the end of the investigation of ${id}` },
  );

describe("a model that calls tools", () => {
  test("looks at the real host and names a cause that the alert alone does not show", async () => {
    await start();
    model.behave(
      wants({ name: "list_units", arguments: { failed: true } }),
      wants({ name: "get_logs", arguments: { unit: "postgresql.service", lines: 20, pattern: "fatal" } }),
      answers,
    );
    const id = await host.fail(ALERT);
    expect((await read(id)).analysis.category).not.toBe("disk_full");

    const asked = await investigate(id);
    expect(asked).toMatchObject({ status: 202, body: { status: "queued" } });
    const investigation = await ended(id);
    expect(investigation).toMatchObject({
      id: asked.body.investigation_id,
      actor: expect.stringContaining("api:"),
      state: "done",
      outcome: "answered",
      protocol: "tools",
      prompt_tokens: 3_600,
      completion_tokens: 540,
      steps: [
        { no: 1, tool: "list_units", state: "answered", arguments: { failed: true } },
        {
          no: 2,
          tool: "get_logs",
          state: "answered",
          output: "FATAL: could not write to file: No space left on device",
        },
      ],
    });
    expect(investigation.steps[0].output).toContain("postgresql.service loaded failed failed");

    const incident = await read(id);
    expect(incident.analysis).toMatchObject({
      by: "model",
      category: "disk_full",
      decisive: DISK_ANSWER.evidence[0],
      model: { evidence: DISK_ANSWER.evidence, investigation: { id: investigation.id, calls: 2 } },
    });
    expect(incident.ai_analysis).toStartWith(DISK_ANSWER.cause);
  });

  test("leaves each call as a command with an audit line and its place in the timeline", async () => {
    await start();
    model.behave(
      wants({ name: "service_status", arguments: { unit: "app" } }),
      wants({ name: "metrics", arguments: { minutes: 10 } }),
      answers,
    );
    const id = await host.fail(ALERT);
    await investigate(id);
    const { steps } = await ended(id);
    const { body: command } = await server.api(`/v1/commands/${steps[0].command_id}`);
    expect(command).toMatchObject({ actor: "model", command: "service_status", incident_id: id, agent_id: host.id });
    expect(steps[1]).toMatchObject({ tool: "metrics", command_id: null, state: "answered" });
    const { timeline } = await read(id);
    const lines = timeline.map(({ kind, actor }: { kind: string; actor: string }) => `${kind} ${actor}`);
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^investigation_requested api:/),
      "command model",
      "result agent",
      "looked model",
      "explained_by_model system",
    ]);
    const { body: audit } = await server.api("/v1/audit?who=model&limit=20");
    expect(audit).toContainEqual(
      expect.objectContaining({ kind: "command", actor: "model", command_id: steps[0].command_id, incident_id: id }),
    );
  });

  test("writes nothing where another server has ended it meanwhile", async () => {
    await start();
    const mayAnswer = Promise.withResolvers<void>();
    model.behave(async (request, signal) => {
      await mayAnswer.promise;
      return answers(request, signal);
    });
    const id = await host.fail(ALERT);
    await investigate(id);
    await until(() => model.seen.length === 1);
    const { sql } = database.database;
    await sql`update investigations set state = 'failed', outcome = 'given_up', ended_at = now() where incident_id = ${id}`;
    mayAnswer.resolve();
    // What runs is ended first.
    await until(async () => (await analysis(id)).calls[0]?.outcome === "ok");
    await server.stop();
    const lines = await sql<{ kind: string }[]>`select kind from events where incident_id = ${id}`;
    expect(lines.map(({ kind }) => kind)).not.toContain("explained_by_model");
    const [incident] = await sql`select analysis->>'by' as by from incidents where id = ${id}`;
    expect(incident?.by).toBe("heuristic");
  });

  test("is sent no secret that a host's answer holds, and no more than 6,000 characters of it", async () => {
    await start();
    host.systemd.writeAs("app.service", "DATABASE_URL=postgres://app:hunter2-correct-horse@db/prod");
    for (let n = 0; n < 150; n++) host.systemd.writeAs("app.service", `${n} ${"x".repeat(400)}`);
    host.systemd.writeAs("app.service", "password=correct-horse-battery");
    model.behave(wants({ name: "get_logs", arguments: { unit: "app", lines: 200 } }), answers);
    const id = await host.fail({ ...ALERT, logs: "" });
    await investigate(id);
    const { steps } = await ended(id);
    expect(steps[0].output.length).toBeLessThanOrEqual(6_000);
    expect(steps[0].output).toContain("[redacted:");
    const sent = JSON.stringify(model.seen.map(({ body }) => body));
    expect(sent).not.toContain("hunter2");
    expect(sent).not.toContain("correct-horse");
    expect(model.seen.at(-1)?.body.messages.at(-1)).toMatchObject({
      role: "tool",
      content: expect.stringContaining(steps[0].output),
    });
  });

  test("whose evidence stands neither in the alert nor in what the host answered has it dropped", async () => {
    await start();
    const made = { ...DISK_ANSWER, evidence: ["kernel: EXT4-fs error (device sda1)", ...DISK_ANSWER.evidence] };
    model.behave(wants({ name: "get_logs", arguments: { unit: "app" } }), says(JSON.stringify(made)));
    const id = await host.fail(ALERT);
    await investigate(id);
    await ended(id);
    expect((await read(id)).analysis.model).toMatchObject({
      evidence: [],
      notes: ["dropped: 2 of the quoted lines, because what was sent does not have them"],
    });
  });

  test("makes eight calls at most, and is then asked once for its answer", async () => {
    await start();
    const call = { name: "service_status", arguments: { unit: "app" } };
    model.behave((request, signal) => (request.body.tools ? wants(call, call, call) : answers)(request, signal));
    const id = await host.fail(ALERT);
    await investigate(id);
    const investigation = await ended(id);
    expect(investigation).toMatchObject({ state: "done", protocol: "tools" });
    expect(investigation.steps).toHaveLength(8);
    expect(model.seen).toHaveLength(4);
    expect(model.seen.at(-1)?.body.response_format).toBeDefined();
    expect(host.asked().filter((words) => words.includes("show"))).toHaveLength(8);
  });

  test("stops looking when the tokens are used up", async () => {
    await start();
    const wantsMore = wants({ name: "service_status", arguments: { unit: "app" } });
    model.behave(async (request, signal) => {
      if (!request.body.tools) return answers(request, signal);
      const body = await (await wantsMore(request, signal)).json();
      return Response.json({ ...(body as object), usage: { prompt_tokens: 40_000, completion_tokens: 100 } });
    });
    const id = await host.fail(ALERT);
    await investigate(id);
    const investigation = await ended(id);
    expect(investigation.state).toBe("done");
    expect(investigation.steps).toHaveLength(2);
  });
});

describe("a model without tool calls", () => {
  test("is asked for JSON in its text, and looks by that", async () => {
    await start();
    model.behave(
      refusesTools(() => Promise.reject(new Error("never"))),
      refusesTools(
        says('Let me look.\n```json\n{"tool": "get_logs", "arguments": {"unit": "app", "lines": "5"}}\n```'),
      ),
      refusesTools(answers),
    );
    const id = await host.fail(ALERT);
    await investigate(id);
    const investigation = await ended(id);
    expect(investigation).toMatchObject({ state: "done", protocol: "json" });
    expect(investigation.steps).toMatchObject([
      { tool: "get_logs", arguments: { unit: "app", lines: 5 }, state: "answered" },
    ]);
    expect(model.seen.map(({ body }) => Boolean(body.tools))).toEqual([true, false, false]);
    // Known from then on.
    await investigate(id);
    await until(async () => (await analysis(id)).investigations.length === 2);
    await ended(id);
    expect(model.seen.slice(3).some(({ body }) => body.tools)).toBe(false);
  });

  test("that answers in prose ends in the single question", async () => {
    await start();
    model.behave((request, signal) =>
      (request.body.response_format ? answers : says("I would look at the logs."))(request, signal),
    );
    const id = await host.fail(ALERT);
    await investigate(id);
    expect(await ended(id)).toMatchObject({ state: "done", protocol: "single", steps: [] });
    expect((await read(id)).analysis.by).toBe("model");
  });

  test("that answers nothing usable leaves the explanation, and says so in three places", async () => {
    await start();
    model.behave(says("I cannot help with that."));
    const id = await host.fail(ALERT);
    await investigate(id);
    expect(await ended(id)).toMatchObject({ state: "failed", outcome: "rubbish" });
    const incident = await read(id);
    expect(incident.analysis).toMatchObject({ by: "heuristic", model: { outcome: "rubbish" } });
    expect(incident.timeline.at(-1)).toMatchObject({ kind: "investigation_failed", data: { outcome: "rubbish" } });
  });
});

describe("what cannot be asked", () => {
  test.each([
    ["of a unit that the host has named nowhere", { name: "get_logs", arguments: { unit: "sshd" } }, /named no unit/],
    [
      "of a container that the host has named nowhere",
      { name: "container_logs", arguments: { container: "x" } },
      /no container/,
    ],
    [
      "with a command that changes something",
      { name: "restart_service", arguments: { unit: "app" } },
      /there is no tool/,
    ],
    ["of another host", { name: "get_logs", arguments: { unit: "app", host: "db-1" } }, /host: Unexpected property/],
    ["of a file", { name: "get_logs", arguments: { unit: "app", path: "/etc/shadow" } }, /path: Unexpected property/],
    ["by an option", { name: "get_logs", arguments: { unit: "--file=/etc/shadow" } }, /unit: a unit/],
    ["without JSON", { name: "get_logs", arguments: "unit=app" }, /no JSON object/],
  ])("%s is refused before it leaves, and the model is told", async (_, call, why) => {
    await start();
    model.behave(wants(call), answers);
    const id = await host.fail(ALERT);
    await investigate(id);
    const { steps, state } = await ended(id);
    expect(state).toBe("done");
    expect(steps).toMatchObject([{ state: "refused", command_id: null, output: expect.stringMatching(why) }]);
    expect(host.asked()).toEqual([]);
    expect((await read(id)).timeline.map(({ kind }: { kind: string }) => kind)).toContain("look_refused");
  });

  test("what the agent's own list leaves out is not offered, and refused", async () => {
    await start({}, "none,service_status:app,get_logs:web-*");
    model.behave(
      wants(
        { name: "list_units", arguments: {} },
        { name: "get_logs", arguments: { unit: "app" } },
        { name: "service_status", arguments: { unit: "app" } },
      ),
      answers,
    );
    const id = await host.fail(ALERT);
    await investigate(id);
    const { steps } = await ended(id);
    expect(steps.map(({ state }: { state: string }) => state)).toEqual(["refused", "refused", "answered"]);
    const offered = model.seen[0]?.body.tools.map((tool: { function: { name: string } }) => tool.function.name);
    expect(offered).toEqual(["service_status", "get_logs", "metrics", "recent_incidents"]);
    expect(host.asked()).toHaveLength(1);
  });
});

describe("a request", () => {
  test("while one is under way is refused", async () => {
    await start();
    model.behave(() => new Promise<Response>(() => undefined));
    const id = await host.fail(ALERT);
    expect((await investigate(id)).status).toBe(202);
    expect(await investigate(id)).toMatchObject({ status: 409, body: { code: "investigation_open" } });
    model.behave(answers);
  });

  test.each([
    [{ AI_INVESTIGATE: "off" }, "investigation_off"],
    [{ OPENROUTER_BASE_URL: "" }, "no_model"],
  ])("with %j is refused", async (env, code) => {
    await start(env);
    const id = await host.fail(ALERT);
    expect(await investigate(id)).toMatchObject({ status: 409, body: { code } });
    expect(model.seen).toEqual([]);
  });

  test("about no incident is 404", async () => {
    await start();
    expect(await investigate(2_000_000_000)).toMatchObject({ status: 404 });
  });

  test("beyond the day's calls ends visibly", async () => {
    await start({ AI_DAILY_LIMIT: "0" });
    const id = await host.fail(ALERT);
    await investigate(id);
    expect(await ended(id)).toMatchObject({ state: "failed", outcome: "budget" });
    expect(model.seen).toEqual([]);
  });
});

describe("AI_INVESTIGATE", () => {
  const kinds = async (id: number) => (await read(id)).timeline.map(({ kind }: { kind: string }) => kind);

  test("=unknown looks by itself where the rules know nothing, and only there", async () => {
    await start({ AI_INVESTIGATE: "unknown" });
    model.behave(answers);
    const known = await host.fail({
      ...ALERT,
      logs: "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
    });
    const unknown = await host.fail({ source: "other", message: "it stopped" });
    expect(await ended(unknown)).toMatchObject({ actor: null, state: "done" });
    expect(await kinds(known)).toEqual(["opened"]);
  });

  test("=all looks by itself into each in place of the single question", async () => {
    await start({ AI_INVESTIGATE: "all", AI_AUTO: "on" });
    model.behave(answers);
    const id = await host.fail({ ...ALERT, logs: "bind() to 0.0.0.0:80 failed (98: Address already in use)" });
    expect(await ended(id)).toMatchObject({ actor: null, state: "done" });
    expect(model.seen).toHaveLength(1);
  });

  test("=request, the default, looks into nothing by itself", async () => {
    await start();
    const id = await host.fail({ source: "other", message: "it stopped" });
    expect((await analysis(id)).investigations).toEqual([]);
    expect(model.seen).toEqual([]);
  });
});

describe("by itself", () => {
  const sql = () => database.database.sql;

  /** Queued, with its job, as if a storm had kept it waiting. */
  async function waitedFor(change: (id: number) => Promise<unknown>): Promise<number> {
    await start({ AI_INVESTIGATE: "unknown", AI_TIMEOUT: "2s" });
    model.behave(() => new Promise<Response>(() => undefined));
    const blocking = [
      await host.fail({ source: "first", message: "it" }),
      await host.fail({ source: "second", message: "it" }),
    ];
    await until(() => model.seen.length === blocking.length, { what: "both workers are busy" });
    const id = await host.fail({ source: "third", message: "it stopped" });
    await change(id);
    model.behave(answers);
    for (const one of blocking)
      await sql()`update investigations set ended_at = now(), state = 'failed' where incident_id = ${one}`;
    return id;
  }

  test("what waited for too long is asked about once instead", async () => {
    const id = await waitedFor(
      (one) => sql()`update investigations set requested_at = now() - interval '16 min' where incident_id = ${one}`,
    );
    expect(await ended(id)).toMatchObject({ state: "failed", outcome: "late" });
    await until(async () => (await read(id)).analysis.by === "model", { ms: 20_000, what: "the single question" });
  }, 180_000);

  test("what is over by then is not looked into", async () => {
    const id = await waitedFor((one) =>
      server.api(`/v1/incidents/${one}`, { method: "PATCH", body: { status: "resolved" } }),
    );
    expect(await ended(id)).toMatchObject({ state: "failed", outcome: "over", steps: [] });
  }, 180_000);
});

describe("what the server knows by itself", () => {
  test("are the host's figures, and earlier incidents with what helped, of another host without its name", async () => {
    await start();
    const other = await LookingHost.start(server);
    const { sql } = database.database;
    const elsewhere = await other.fail(ALERT);
    const before = await host.fail(ALERT);
    await sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, ended_at)
      values (gen_random_uuid(), ${before}, 'restart', 'slack:U1', '@ana', 'slack', 'verified', now()),
        (gen_random_uuid(), ${elsewhere}, 'restart', 'slack:U1', '@ana', 'slack', 'failed_again', now())`;
    const word = { verdict: "right", cause: "The lease had run out.", category: "timeout", fix: "Renewed the lease." };
    expect(await server.api(`/v1/incidents/${before}/feedback`, { method: "POST", body: word })).toMatchObject({
      status: 200,
    });
    await server.api(`/v1/incidents/${before}`, { method: "PATCH", body: { status: "resolved" } });
    const id = await host.fail(ALERT);
    const [row] = await sql`select fingerprint from incidents where id = ${id}`;
    await sql`update incidents set fingerprint = ${row?.fingerprint} where id = ${elsewhere}`;
    model.behave(
      wants(
        { name: "recent_incidents", arguments: { scope: "host" } },
        { name: "recent_incidents", arguments: { scope: "same_problem" } },
        { name: "metrics", arguments: { minutes: "15" } },
      ),
      answers,
    );
    await investigate(id);
    const { steps } = await ended(id);
    await other.stop();
    const [ofHost, same, metrics] = steps.map(({ output }: { output: string }) => output);
    expect(ofHost).toContain(`#${before}, `);
    expect(ofHost).toMatch(/this host, resolved, .*: systemd app: app\.service failed; restart cleared it; .*ended: /);
    expect(ofHost).toContain(
      "; people said it was: The lease had run out.; people said what helped: Renewed the lease.",
    );
    expect(ofHost).not.toContain(`#${elsewhere},`);
    expect(same).toMatch(new RegExp(`#${elsewhere}, .* another host, .*; restart did not help`));
    expect(same).not.toContain(other.id);
    expect(metrics).toMatch(/^(nothing was measured in this time|UTC .*mean\(most\))/);
  }, 180_000);
});

test("a host that is away cannot be asked, and the model is told", async () => {
  await start();
  const id = await host.fail(ALERT);
  await host.stop();
  await until(async () => (await server.api(`/v1/agents/${host.id}`)).body.status === "offline", { ms: 20_000 });
  model.behave(wants({ name: "get_logs", arguments: { unit: "app" } }), answers);
  await investigate(id);
  const { steps, state } = await ended(id);
  expect(state).toBe("done");
  expect(steps).toMatchObject([{ state: "failed", output: "not done: the agent is not connected" }]);
}, 180_000);
