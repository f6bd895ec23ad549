import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { type AnalysisDeps, createAnalysis, createAnalysisMetrics } from "../../src/analysis/service.ts";
import { createAnalysisStore } from "../../src/analysis/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { addAgent } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let agent: string;

beforeAll(async () => {
  database = await createTestDatabase();
  agent = await addAgent(database);
});

afterAll(async () => database.close());

const explain = createHeuristics();
const sql = () => database.database.sql;
const { signal } = new AbortController();

function analysisOf(changes: Partial<AnalysisDeps> = {}) {
  return createAnalysis({
    store: createAnalysisStore(sql()),
    sql: sql(),
    heuristics: { explain: async (evidence) => explain(evidence) },
    writer: createIncidentWriter(),
    options: {
      ...{ key: null, baseUrl: "http://127.0.0.1:9", model: "m", timeoutMs: 100, auto: true, dailyLimit: 1 },
      investigate: "request",
    },
    publicUrl: null,
    sendAsk: async () => undefined,
    sendInvestigate: async () => undefined,
    keepReply: async () => undefined,
    commands: { exec: () => Promise.reject(new Error("no host")), get: async () => undefined },
    figures: { ofAgent: () => Promise.reject(new Error("no figures")) },
    explained: async () => undefined,
    isBusy: () => false,
    clock: createSystemClock(),
    log: quiet,
    metrics: createAnalysisMetrics(new Registry()),
    ...changes,
  });
}

/** Incidents that nobody has explained yet. */
async function open(count = 1): Promise<number[]> {
  const rows = await sql()<{ id: number }[]>`
    insert into incidents (agent_id, type, source, fingerprint, raw_error, message_chars, last_seen_at)
    select ${agent}, 'systemd', 'app', gen_random_uuid(), 'bind: Address already in use', 28, now()
    from generate_series(1, ${count}::int) returning id`;
  return rows.map(({ id }) => id);
}

const kinds = async (id: number) =>
  (await sql()`select kind from events where incident_id = ${id} order by id`).map(({ kind }) => kind);
const explainedBy = async (ids: number[]) =>
  (await sql()`select analysis->>'by' as by from incidents where id = any(${ids}) order by id`).map(({ by }) => by);

describe("explaining", () => {
  test("says once of each incident that it is explained, however many there are and however often it runs", async () => {
    const followed: number[] = [];
    const { explain } = analysisOf({ explained: async (_, ids) => void followed.push(...ids) });
    const ids = await open(600);
    await explain(ids, signal);
    await explain(ids, signal);
    expect(followed.sort((a, b) => a - b)).toEqual(ids);
    expect(new Set(await explainedBy(ids))).toEqual(new Set(["heuristic"]));
  });

  test("stands only with what follows from it", async () => {
    const ids = await open(2);
    const fails = async () => {
      throw new Error("nobody can be told");
    };
    await expect(analysisOf({ explained: fails }).explain(ids, signal)).rejects.toThrow("nobody can be told");
    expect(await explainedBy(ids)).toEqual([null, null]);
  });

  test("stops in the midst of a rest", async () => {
    const stopping = new AbortController();
    const clock = { ...createSystemClock(), monotonicMs: steps(10) };
    const { explain } = analysisOf({ isBusy: () => true, clock });
    const explaining = explain(await open(100), stopping.signal);
    stopping.abort(new Error("the server stops"));
    await expect(explaining).rejects.toThrow("the server stops");
  });
});

describe("a request to explain", () => {
  test("that cannot be sent leaves no line in the timeline", async () => {
    const [id = 0] = await open();
    const fails = async () => {
      throw new Error("no queue");
    };
    await expect(analysisOf({ sendAsk: fails }).service.request(id, "api:local")).rejects.toThrow("no queue");
    expect(await kinds(id)).toEqual([]);
    const sent: unknown[] = [];
    const { service } = analysisOf({ sendAsk: async (_, questions) => void sent.push(...questions) });
    expect(await service.request(id, "api:local")).toBe(true);
    expect(await service.request(2_147_483_647, "api:local")).toBe(false);
    expect(sent).toEqual([{ id, actor: "api:local" }]);
    expect(await kinds(id)).toEqual(["analysis_requested"]);
  });

  test("that is faster than the first explanation takes its place: what follows is not left out", async () => {
    const followed: number[] = [];
    const { ask, explain } = analysisOf({ explained: async (_, ids) => void followed.push(...ids) });
    const [id = 0] = await open();
    await ask(id, "api:local", signal);
    await explain([id], signal);
    await ask(id, "api:local", signal);
    expect(followed).toEqual([id]);
    expect(await explainedBy([id])).toEqual(["heuristic"]);
  });
});

/** Time that goes on by so much with each look at it. */
function steps(ms: number): () => number {
  let nowMs = 0;
  return () => {
    nowMs += ms;
    return nowMs;
  };
}
