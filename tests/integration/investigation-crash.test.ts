import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type FakeOpenRouter, GOOD_ANSWER, says, startFakeOpenRouter, wants } from "../support/fake-openrouter.ts";
import { type AskedServer, LookingHost } from "../support/looking-host.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { type ServedProcess, serveInProcess } from "../support/served-process.ts";
import { until } from "../support/until.ts";

// Servers of their own are started, and a dead one's jobs are found after 10 s.
setDefaultTimeout(180_000);
const RESUMED_MS = 60_000;

let database: TestDatabase;
let model: FakeOpenRouter;
let served: ServedProcess;
let host: LookingHost;

beforeAll(async () => {
  database = await createTestDatabase();
  model = startFakeOpenRouter();
});

afterEach(async () => {
  await host.stop();
  await served.kill("SIGKILL");
  model.seen.length = 0;
});

afterAll(async () => {
  await model.stop();
  await database.close();
});

async function serve(port = 0): Promise<void> {
  served = await serveInProcess(database.url, port, {
    OPENROUTER_BASE_URL: model.baseUrl,
    AI_AUTO: "off",
    AI_TIMEOUT: "20s",
  });
}

const server: AskedServer = {
  get url() {
    return served.url;
  },
  async api(path, { method = "GET", body } = {}) {
    const headers = { connection: "close", "content-type": "application/json" };
    const answer = await fetch(served.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  },
};

const newest = async (id: number) => (await server.api(`/v1/incidents/${id}/analysis`)).body.investigations[0];
const hangs = () => new Promise<Response>(() => undefined);

test("a server that is killed while a model thinks goes on, and asks the host nothing twice", async () => {
  await serve();
  host = await LookingHost.start(server);
  host.systemd.writeAs("app.service", "the first line that was found");
  host.systemd.setUnit("db.service", { ActiveState: "failed", SubState: "failed" });
  model.behave(
    wants(
      { name: "get_logs", arguments: { unit: "app", lines: 5 } },
      { name: "list_units", arguments: { failed: true, pattern: "*" } },
    ),
    hangs,
  );
  const id = await host.fail({ source: "app" });
  await server.api(`/v1/incidents/${id}/investigate`, { method: "POST", body: {} });
  await until(() => model.seen.length === 2, { ms: RESUMED_MS, what: "the second turn" });
  await served.kill("SIGKILL");
  expect(model.seen).toHaveLength(2);

  model.behave(
    // Named by what the host has listed for the dead server.
    wants({ name: "service_status", arguments: { unit: "db" } }),
    says(JSON.stringify({ ...GOOD_ANSWER, evidence: ["the first line that was found"] })),
  );
  await serve(served.port);
  const ended = await until(async () => (await newest(id))?.ended_at && newest(id), {
    ms: RESUMED_MS,
    what: "its end",
  });
  expect(ended).toMatchObject({
    state: "done",
    steps: [
      { no: 1, tool: "get_logs" },
      { no: 2, tool: "list_units" },
      { no: 3, tool: "service_status", state: "answered" },
    ],
  });
  expect(model.seen[2]?.body.messages[1].content).toContain("the first line that was found");
  expect(host.asked().filter((words) => words.startsWith("journalctl"))).toHaveLength(1);
  const { body: incident } = await server.api(`/v1/incidents/${id}`);
  expect(incident.analysis.model.evidence).toEqual(["the first line that was found"]);
  const kinds = incident.timeline.map(({ kind }: { kind: string }) => kind);
  expect(kinds.filter((kind: string) => kind === "explained_by_model")).toHaveLength(1);
});

test("one that is begun too often ends visibly", async () => {
  await serve();
  host = await LookingHost.start(server);
  model.behave(hangs, says(JSON.stringify(GOOD_ANSWER)));
  const id = await host.fail({ source: "app" });
  await server.api(`/v1/incidents/${id}/investigate`, { method: "POST", body: {} });
  await until(() => model.seen.length === 1, { ms: RESUMED_MS, what: "the first turn" });
  await served.kill("SIGKILL");
  await database.database.sql`update investigations set attempts = 3`;
  await serve(served.port);
  const ended = await until(async () => (await newest(id))?.ended_at && newest(id), {
    ms: RESUMED_MS,
    what: "its end",
  });
  expect(ended).toMatchObject({ state: "failed", outcome: "interrupted" });
  expect(model.seen).toHaveLength(1);
  const { body: incident } = await server.api(`/v1/incidents/${id}`);
  expect(incident.timeline.at(-1)).toMatchObject({ kind: "investigation_failed", data: { outcome: "interrupted" } });
});
