import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let proxy: DatabaseProxy;
let server: TestServer;
let socket: TestAgent;
const TOKEN = "faulty-wire-agent";

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startDatabaseProxy(database.target);
  server = await startTestServer(proxy.url, { INGEST_BUFFER: "1MiB" });
  socket = await server.connect();
  socket.send({ ver: "1.1", token: TOKEN, ts: Date.now() / 1000 });
  await socket.frame(0);
});

afterAll(async () => {
  await server.stop();
  await proxy.stop();
  await database.close();
});

const acks = (prefix: string) =>
  socket.frames.filter((frame) => frame.type === "ack" && frame.id.startsWith(prefix)).length;

async function storedTimes(sourcePrefix: string): Promise<{ incidents: number; occurrences: number }> {
  const [row] = await database.database.sql<{ incidents: number; occurrences: number }[]>`
    select count(*)::int as incidents, coalesce(sum(occurrences), 0)::int as occurrences
    from incidents where source like ${`${sourcePrefix}%`}`;
  return row ?? { incidents: 0, occurrences: 0 };
}

describe("a COMMIT whose answer is lost", () => {
  test("counts once, and is acknowledged", async () => {
    proxy.loseNextCommitAnswer();
    for (let n = 0; n < 20; n++) socket.send(alertFrame(`answer-${n}`, TOKEN, { source: "answer" }));
    await until(() => acks("answer-") === 20, { ms: 10_000, what: "20 acks" });
    expect(proxy.lost()).toBe(1);
    expect(await storedTimes("answer")).toEqual({ incidents: 1, occurrences: 20 });
  }, 180_000);

  test("counts once for frames without an id, too", async () => {
    proxy.loseNextCommitAnswer();
    for (let n = 0; n < 20; n++)
      socket.send({ ...alertFrame("x", TOKEN, { source: "mute" }), ver: "1.0", id: undefined });
    socket.send(alertFrame("mute-end", TOKEN, { source: "mute-end" }));
    await until(() => acks("mute-end") === 1, { ms: 10_000, what: "the last ack" });
    expect(proxy.lost()).toBe(2);
    expect((await storedTimes("mute")).occurrences).toBe(21);
  }, 180_000);
});

describe("a database that goes away", () => {
  test("loses nothing and counts nothing twice; readiness says 503 meanwhile, and the socket stays", async () => {
    proxy.cut();
    for (let n = 0; n < 300; n++)
      socket.send(alertFrame(`away-${n}`, TOKEN, { source: `away-${n}`, logs: "x".repeat(5_000) }));
    await until(async () => (await server.api("/readyz")).status === 503, { what: "readiness says 503" });
    expect(acks("away-")).toBe(0);
    proxy.mend();
    await until(() => acks("away-") === 300, { ms: 20_000, what: "300 acks" });
    await until(async () => (await server.api("/readyz")).status === 200, { what: "readiness says 200" });
    expect(await storedTimes("away-")).toEqual({ incidents: 300, occurrences: 300 });
    expect(socket.closed).toBeUndefined();
  }, 180_000);

  test("makes a token that is not known yet `overloaded`, never `unauthorized`", async () => {
    proxy.cut();
    const stranger = await server.connect();
    stranger.send({ ver: "1.1", id: "a", token: "never-seen-before", ts: 1 });
    expect(await stranger.frame(0)).toMatchObject({ type: "error", code: "overloaded", id: "a" });
    expect(stranger.closed).toBeUndefined();
    proxy.mend();
    await until(async () => {
      stranger.send({ ver: "1.1", id: "b", token: "never-seen-before", ts: 1 });
      await Bun.sleep(50);
      return stranger.frames.some((frame) => frame.type === "ack");
    });
    await stranger.close();
  }, 180_000);
});

describe("one bad row in a batch of 500", () => {
  test("is refused alone, by its id; the others are stored", async () => {
    await database.database.sql`alter table incidents add constraint no_poison check (source <> 'poison')`;
    for (let n = 0; n < 500; n++) {
      socket.send(alertFrame(`row-${n}`, TOKEN, { source: n === 137 ? "poison" : `row-${n}` }));
    }
    await until(() => acks("row-") === 499, { ms: 20_000, what: "499 acks" });
    expect(socket.frames.filter((frame) => frame.type === "error" && frame.id === "row-137")).toMatchObject([
      { code: "bad_payload" },
    ]);
    expect(await storedTimes("row-")).toEqual({ incidents: 499, occurrences: 499 });
    expect(await storedTimes("poison")).toEqual({ incidents: 0, occurrences: 0 });
  }, 180_000);
});
