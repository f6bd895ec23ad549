import { afterAll, beforeAll, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { lockAgents } from "../../src/db/lock-keys.ts";
import { createQuietStore, resolveQuiet } from "../../src/incidents/ageing-store.ts";
import { attachToCauses } from "../../src/incidents/cause-store.ts";
import type { StatusSetting } from "../../src/incidents/model.ts";
import { createAlertRecorder } from "../../src/incidents/recorder.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import type { AcceptedAlert } from "../../src/ingest/model.ts";
import { addAgent } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

/** A deadlock of two writers shows within a second or two, and all pairs of them have met long before this. */
const LOAD_MS = 20_000;
const AGENTS = 5;
const SOURCES = 10;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const sql = () => database.database.sql;
const begin = (work: (tx: TransactionSql) => Promise<unknown>) => sql().begin(work as never);
const shuffled = <T>(items: readonly T[]) => [...items].sort(() => Math.random() - 0.5);

const writer = createIncidentWriter();
const recorder = createAlertRecorder({ incidentGroupWindowMs: 300_000, opened: async () => undefined });

function alertOf(agentId: string, source: string, state: "firing" | "resolved"): AcceptedAlert {
  const alert = { type: "systemd", source, message: "no space left on device", state };
  const frame = { kind: "alert", origin: "agent", agentId, messageId: null, alert, ageMs: 0, sizeBytes: 1 } as const;
  return { ...frame, uuid: crypto.randomUUID(), acceptedAtMs: 0 };
}

test("ingest, explaining, attaching, linking, sweeping and deciding the same incidents never wait for each other in a ring", async () => {
  const agents = await Promise.all(Array.from({ length: AGENTS }, () => addAgent(database)));
  const subjects = agents.flatMap((agent) =>
    Array.from({ length: SOURCES }, (_, n) => ({ agent, source: `unit-${n}` })),
  );
  const quiet = createQuietStore(sql(), writer);
  const explanation = { aiAnalysis: "a", aiSolution: "s", analysis: { by: "heuristic", category: "disk_full" } };

  const openIds = async () => {
    const rows = await sql()<{ id: number }[]>`select id from incidents where status <> 'resolved'`;
    return shuffled(rows.map(({ id }) => id));
  };
  const ingest = () =>
    begin(async (tx) => {
      await lockAgents(tx, agents);
      const frames = shuffled(subjects).map(({ agent, source }) =>
        alertOf(agent, source, Math.random() < 0.05 ? "resolved" : "firing"),
      );
      await recorder.record(
        tx,
        frames.map((frame) => ({ frame, receivedAt: Date.now() })),
      );
    });
  const explain = async () => {
    const ids = await openIds();
    await begin(async (tx) => {
      const explained = ids.map((id) => ({ id, ...explanation }));
      await writer.explain(tx, explained, { isFirst: Math.random() < 0.5 });
    });
    await begin((tx) => writer.link(tx, shuffled(ids)));
    await begin((tx) => attachToCauses(tx, shuffled(ids), writer));
  };
  const decide = async () => {
    const status = (["acknowledged", "ignored", "resolved"] as const)[Math.floor(Math.random() * 3)] ?? "ignored";
    const settings = (await openIds())
      .slice(0, 3)
      .map((incidentId): StatusSetting => ({ incidentId, status, actor: "ana" }));
    await begin((tx) => writer.setStatus(tx, settings));
  };
  const touch = async () => {
    const ids = await openIds();
    await begin(async (tx) => {
      await writer.touch(tx, ids);
      await writer.note(
        tx,
        ids.map((incidentId) => ({ kind: "test", actor: "system", incidentId })),
      );
    });
  };
  const sweep = () => resolveQuiet(quiet, 100, new AbortController().signal);

  const endMs = performance.now() + LOAD_MS;
  const turns: number[] = [];
  const repeat = async (work: () => Promise<unknown>) => {
    let count = 0;
    for (; performance.now() < endMs; count++) await work();
    turns.push(count);
  };
  await Promise.all([ingest, explain, decide, touch, sweep, explain].map(repeat));
  const [row] = await sql()`select deadlocks::int from pg_stat_database where datname = current_database()`;
  expect(row?.deadlocks).toBe(0);
  expect(Math.min(...turns)).toBeGreaterThan(10);
}, 180_000);
