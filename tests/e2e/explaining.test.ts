import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { TestAgent } from "../support/agent.ts";
import { emptyFolder, isAlive, killAndWait, removeFolder } from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import {
  type Behaviour,
  type FakeOpenRouter,
  GOOD_ANSWER,
  says,
  startFakeOpenRouter,
} from "../support/fake-openrouter.ts";
import { rest } from "../support/rest.ts";
import { alertText, SpoolAgent } from "../support/spool-agent.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
const READY_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 240_000;
/** A dead process's jobs are given to the next one within this. */
const RESUMED_LIMIT_MS = 60_000;
const ALERTS = 300;
const LIST_MAX = 1_000;

interface Explained {
  id: number;
  analysis: { by: string } | null;
  status: string;
}

let folder = "";
let port = "";
let server: RunningExecutable;
let model: FakeOpenRouter;

beforeAll(async () => {
  folder = await emptyFolder();
  port = String(await freePort());
  model = startFakeOpenRouter();
  await start();
}, START_LIMIT_MS);

afterEach(async () => {
  if (!isAlive(server.pid)) await start();
}, START_LIMIT_MS);

afterAll(async () => {
  await server.stop();
  await model.stop();
  await removeFolder(folder);
}, START_LIMIT_MS);

async function start(): Promise<void> {
  server = await startExecutable({ dir: folder, env: { PORT: port, OPENROUTER_BASE_URL: model.baseUrl } });
  await server.waitReady(READY_LIMIT_MS);
}

const newAgent = async (): Promise<{ id: string; token: string }> => (await rest(server.url, "/v1/agents", {})).body;
const incidentsOf = async (agentId: string): Promise<Explained[]> =>
  (await rest(server.url, `/v1/agents/${agentId}/incidents?limit=${LIST_MAX}`)).body;

test(
  "a server that is killed right after its acks explains each incident after the next start",
  async () => {
    model.behave(() => new Promise<Response>(() => undefined));
    const { id, token } = await newAgent();
    const spool = new SpoolAgent(
      server.url,
      token,
      Array.from({ length: ALERTS }, (_, n) => `service-${n}`),
    );
    await until(() => spool.acknowledged.size === ALERTS, { ms: TEST_LIMIT_MS, what: "all acks" });
    await killAndWait(server.pid);
    spool.stop();
    model.behave(says(JSON.stringify(GOOD_ANSWER)));
    await start();
    const all = await until(
      async () => {
        const incidents = await incidentsOf(id);
        return incidents.every((one) => one.analysis?.by === "model" && one.status === "analyzed") && incidents;
      },
      { ms: RESUMED_LIMIT_MS, what: "every incident is explained by the model" },
    );
    expect(all).toHaveLength(ALERTS);
  },
  TEST_LIMIT_MS,
);

type Point = [when: string, answers: Behaviour, isReached: (agentId: string) => Promise<boolean> | boolean];

const hangs: Behaviour = () => new Promise<Response>(() => undefined);
const answers = says(JSON.stringify(GOOD_ANSWER));
const isAsked = () => model.seen.length > 0;
const killsAndAnswers: Behaviour = (request, signal) => {
  process.kill(server.pid, "SIGKILL");
  return answers(request, signal);
};
const hasOne = async (agentId: string, fits: (incident: Explained) => boolean) => {
  const [incident] = await incidentsOf(agentId);
  return incident !== undefined && fits(incident);
};

const POINTS: Point[] = [
  ["as soon as the incident is there", hangs, (agentId) => hasOne(agentId, () => true)],
  ["as soon as the heuristics have answered", hangs, (agentId) => hasOne(agentId, (one) => one.analysis !== null)],
  ["while a model is asked", hangs, isAsked],
  ["while a model's answer is on its way", killsAndAnswers, isAsked],
  [
    "as soon as the model's answer is there",
    answers,
    (agentId) => hasOne(agentId, (one) => one.analysis?.by === "model"),
  ],
];

test.each(POINTS)(
  "a server that is killed %s explains the incident after the next start, once",
  async (_when, behaviour, isReached) => {
    model.seen.length = 0;
    model.behave(behaviour);
    const { id, token } = await newAgent();
    const socket = await TestAgent.connect(`${server.url.replace("http", "ws")}/v1/stream`);
    // Of its own, since what a model has answered once is not asked again.
    socket.send(alertText("1.1", token, `service-of-${id}`, "one"));
    await until(() => isReached(id), { ms: RESUMED_LIMIT_MS, what: "the point is reached" });
    if (isAlive(server.pid)) await killAndWait(server.pid);
    model.behave(answers);
    await start();
    const [incident] = await until(
      async () => {
        const incidents = await incidentsOf(id);
        return incidents[0]?.analysis?.by === "model" && incidents;
      },
      { ms: RESUMED_LIMIT_MS, what: "the model's answer" },
    );
    const { timeline } = (await rest(server.url, `/v1/incidents/${incident?.id}`)).body;
    const kinds = timeline.map((line: { kind: string }) => line.kind);
    expect(kinds.filter((kind: string) => kind === "explained_by_model")).toHaveLength(1);
  },
  TEST_LIMIT_MS,
);
