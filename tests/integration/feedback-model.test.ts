import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { DecidedHost } from "../support/decisions.ts";
import { type FakeOpenRouter, startFakeOpenRouter } from "../support/fake-openrouter.ts";
import { failing, say } from "../support/feedback.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

let database: TestDatabase;
let server: TestServer;
let model: FakeOpenRouter;
let host: DecidedHost;

beforeAll(async () => {
  database = await createTestDatabase();
  model = startFakeOpenRouter();
  server = await startTestServer(database.url, { OPENROUTER_BASE_URL: model.baseUrl });
  host = await DecidedHost.start(server);
});
afterAll(async () => {
  await server.stop();
  await model.stop();
  await database.close();
});

/** The incident, once the model has explained it. */
async function asked(source: string): Promise<number> {
  const id = await failing(server, host, source);
  await until(async () => (await server.api(`/v1/incidents/${id}`)).body.analysis.by === "model", {
    ms: 10_000,
    what: "the model's answer",
  });
  return id;
}

const lastPrompt = (): string => model.seen.at(-1)?.body.messages.at(-1).content;

test("a model is told what people said of the problem, and what it answered before that is not answered again", async () => {
  const first = await asked("nginx");
  expect(lastPrompt()).not.toContain("SAID BY PEOPLE");
  await asked("nginx");
  expect(model.seen).toHaveLength(1);
  const said = await say(server, first, { verdict: "wrong", cause: "Two releases at once.", category: "crash" });
  expect(said.body.shown_cause).toBe("Port 80 is taken by apache2, so nginx cannot listen on it.");
  await asked("nginx");
  expect(model.seen).toHaveLength(2);
  expect(lastPrompt()).toContain(
    'of the answer "port_conflict: Port 80 is taken by apache2, so nginx cannot listen on it.": that was wrong; category: crash; it was: Two releases at once.',
  );
});

test("asked again about the same incident, it is told what was said of that one", async () => {
  const id = await asked("haproxy");
  const before = model.seen.length;
  await say(server, id, { verdict: "wrong", cause: "A typo." });
  await server.api(`/v1/incidents/${id}/analyze`, { method: "POST" });
  await until(() => model.seen.length > before, { what: "the next question" });
  expect(lastPrompt()).toContain("it was: A typo.");
});
