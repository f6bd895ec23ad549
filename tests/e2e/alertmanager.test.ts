import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Alertmanager, findAlertmanager, startAlertmanager } from "../support/alertmanager.ts";
import { emptyFolder, removeFolder } from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 300_000;
const GROUP = 200;
const ENDED = 120;
const PATH = "/v1/integrations/alertmanager";

const program = findAlertmanager();
let folder: string | undefined;
let port: string;
let server: RunningExecutable | undefined;
let alertmanager: Alertmanager | undefined;
let between: Bun.Server<undefined> | undefined;
/** What Alertmanager was answered. */
const answers: number[] = [];
/** How many answers of the server do not come through: Alertmanager gets a 503 instead. */
let lost = 2;

beforeAll(async () => {
  if (program === undefined) return;
  folder = await emptyFolder();
  port = String(await freePort());
  server = await start(folder);
  between = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: pass });
  const made = await rest(server.url, "/v1/integrations", { kind: "alertmanager", name: "prod" });
  alertmanager = await startAlertmanager(program, `http://127.0.0.1:${between.port}${PATH}`, made.body.token);
}, LIMIT_MS);
afterAll(async () => {
  await alertmanager?.stop();
  await between?.stop(true);
  await server?.stop();
  if (folder !== undefined) await removeFolder(folder);
}, LIMIT_MS);

async function start(dir: string): Promise<RunningExecutable> {
  const started = await startExecutable({ dir, env: { PORT: port } });
  await started.waitReady(60_000);
  return started;
}

/** The wire between the two. */
async function pass(request: Request): Promise<Response> {
  const headers = new Headers(request.headers);
  headers.set("host", `127.0.0.1:${port}`);
  const sent = { method: "POST", headers, body: await request.arrayBuffer(), keepalive: false };
  const status = await fetch(`http://127.0.0.1:${port}${PATH}`, sent).then(
    (answer) => answer.status,
    () => 502,
  );
  const told = status === 202 && lost-- > 0 ? 503 : status;
  answers.push(told);
  return new Response(null, { status: told });
}

const alertOf = (n: number, more: object = {}) => ({
  labels: { alertname: "QueueStuck", job: "mail", severity: "warning", queue: `q${n}` },
  annotations: { summary: `queue ${n} does not move` },
  ...more,
});
const alerts = (count: number, more?: object) => Array.from({ length: count }, (_, n) => alertOf(n, more));

async function incidents(query: string): Promise<{ occurrences: number; raw_error: string; status: string }[]> {
  return (await rest(`http://127.0.0.1:${port}`, `/v1/incidents?limit=1000${query}`)).body;
}

test(
  "a real Alertmanager's group comes whole and once, over answers that are lost and a kill",
  async () => {
    if (program === undefined || folder === undefined) {
      process.stdout.write("Alertmanager is not installed (Debian's package prometheus-alertmanager): not tested\n");
      expect(Bun.env.CI === "true").toBe(false);
      return;
    }
    await alertmanager?.post(alerts(GROUP));
    await until(() => answers.includes(202), { ms: 30_000, what: "the group is taken" });
    expect(answers.slice(0, 3)).toEqual([503, 503, 202]);
    const fired = await incidents("");
    expect(fired.map(({ occurrences }) => occurrences)).toEqual(Array(GROUP).fill(1));
    expect(new Set(fired.map(({ raw_error }) => /queue="(q\d+)"/.exec(raw_error)?.[1])).size).toBe(GROUP);

    await server?.stop("SIGKILL");
    answers.length = 0;
    await alertmanager?.post(alerts(ENDED, { endsAt: new Date().toISOString() }));
    await until(() => answers.includes(502), { ms: 30_000, what: "it tries while there is no server" });
    server = await start(folder);
    const over = async () => (await incidents("&status=resolved")).length === ENDED;
    await until(over, { ms: 60_000, everyMs: 200, what: "what is over is resolved" });
    const all = await incidents("");
    expect(all.map(({ occurrences }) => occurrences)).toEqual(Array(GROUP).fill(1));
    expect(all.filter(({ status }) => status !== "resolved")).toHaveLength(GROUP - ENDED);
  },
  LIMIT_MS,
);
