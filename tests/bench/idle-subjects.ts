import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { freePort, startExecutable } from "../support/executable.ts";
import { cpuSeconds, memoryBytes, processTree } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { ALERTMANAGER_CONFIG, alertmanagerCommand, alertmanagerPath } from "./prometheus.ts";

/** CPU so far, in seconds. */
export interface Spent {
  readonly server: number;
  readonly database: number;
  readonly agent: number;
}

/** What is looked at while nothing happens. */
export interface Subject {
  readonly name: string;
  spent(): Spent;
  /** Proportional set size, in bytes. */
  memory(): Spent;
  /** Of its database, where it has one. */
  sessions?(): Promise<{ connections: number; transactions: number }>;
}

/** OpsPilot with its built-in PostgreSQL and one agent. */
export interface OpsPilot extends Subject {
  readonly url: string;
  readonly firstMs: number;
  readonly secondMs: number;
}

/** Ctrl-C is for us alone: a second signal would end a server before its database. */
const detached = true;
const START_LIMIT_MS = 30_000;
const ONLINE_LIMIT_MS = 30_000;

/** Starts a build alone in a folder, twice, since only the first start makes the database, and connects an agent to it. */
export async function startOpsPilot(
  options: { name: string; dir: string; build: string },
  cleanups: AsyncDisposableStack,
): Promise<OpsPilot> {
  const { name, dir, build } = options;
  const first = await startExecutable({ dir, build, detached });
  const firstMs = await first.waitReady(START_LIMIT_MS).catch(async (error) => {
    await first.stop();
    throw error;
  });
  await first.stop();
  const server = await startExecutable({ dir, build, detached });
  cleanups.defer(async () => void (await server.stop()));
  const secondMs = await server.waitReady(START_LIMIT_MS);
  const agent = await startExecutable({
    dir: join(dir, "agent"),
    build,
    args: ["agent"],
    detached,
    env: { OPSPILOT_SERVER: server.url, OPSPILOT_TOKEN: "token-of-an-idle-agent" },
  });
  cleanups.defer(async () => void (await agent.stop()));
  await until(() => hasAgentOnline(server.url), { ms: ONLINE_LIMIT_MS, what: `the agent of ${name} is online` });

  return {
    name,
    url: server.url,
    firstMs,
    secondMs,
    spent() {
      const database = databaseOf(server.pid).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
      return { server: cpuSeconds(server.pid) - database, database, agent: cpuSeconds(agent.pid) };
    },
    memory: () => ({
      server: memoryBytes([server.pid]),
      database: memoryBytes(databaseOf(server.pid).flatMap(processTree)),
      agent: memoryBytes(processTree(agent.pid)),
    }),
    sessions: () => readSessions(join(dir, "data")),
  };
}

async function hasAgentOnline(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/agents`, { keepalive: false });
  return answer.ok && (await answer.text()).includes('"online"');
}

/** The server's only children are the postmaster and what it starts. */
function databaseOf(serverPid: number): number[] {
  const [, postmaster] = processTree(serverPid);
  return postmaster === undefined ? [] : [postmaster];
}

/** Client connections but this one, and transactions so far. */
async function readSessions(dataDir: string) {
  const sql = postgres({
    path: join(dataDir, "run", ".s.PGSQL.5432"),
    user: "opspilot",
    database: "opspilot",
    password: (await Bun.file(join(dataDir, "postgres.password")).text()).trim(),
    ssl: false,
    max: 1,
  });
  try {
    const [row] = await sql<{ connections: number; transactions: number }[]>`
      select (xact_commit + xact_rollback)::float8 as transactions,
        (select count(*)::int from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())
          as connections
      from pg_stat_database where datname = current_database()`;
    return row ?? { connections: 0, transactions: 0 };
  } finally {
    await sql.end();
  }
}

/** Those of Prometheus and Alertmanager that are installed, as Debian's packages run them but on loopback, with their files in `dir`. */
export async function startPeers(dir: string, cleanups: AsyncDisposableStack): Promise<Subject[]> {
  const [prometheus, alertmanager] = [Bun.which("prometheus"), alertmanagerPath()];
  const [port, alertmanagerPort, clusterPort] = [await freePort(), await freePort(), await freePort()];
  await mkdir(dir, { recursive: true });
  const files = { prometheus: join(dir, "prometheus.yml"), alertmanager: join(dir, "alertmanager.yml") };
  await Bun.write(files.prometheus, prometheusConfig(port, alertmanagerPort));
  await Bun.write(files.alertmanager, ALERTMANAGER_CONFIG);
  const peers: Subject[] = [];
  if (alertmanager) {
    const command = alertmanagerCommand({ program: alertmanager, dir, port: alertmanagerPort, clusterPort });
    peers.push(await startPeer("Alertmanager", alertmanagerPort, cleanups, command));
  }
  if (prometheus)
    peers.push(
      await startPeer("Prometheus", port, cleanups, [
        prometheus,
        `--config.file=${files.prometheus}`,
        `--storage.tsdb.path=${join(dir, "prometheus")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]),
    );
  return peers;
}

/** What the package's own file says, but for a host exporter that is not there. */
function prometheusConfig(port: number, alertmanagerPort: number): string {
  const target = (one: number) => `[{ targets: ["127.0.0.1:${one}"] }]`;
  return `global: { scrape_interval: 15s, evaluation_interval: 15s }
alerting: { alertmanagers: [{ static_configs: ${target(alertmanagerPort)} }] }
scrape_configs: [{ job_name: prometheus, scrape_interval: 5s, static_configs: ${target(port)} }]
`;
}

async function startPeer(
  name: string,
  port: number,
  cleanups: AsyncDisposableStack,
  command: string[],
): Promise<Subject> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore", detached });
  cleanups.defer(async () => {
    child.kill();
    await child.exited;
  });
  const isReady = async () => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok === true;
  await until(isReady, { ms: START_LIMIT_MS, what: `${name} is ready` });
  const none = { database: 0, agent: 0 };
  return {
    name,
    spent: () => ({ server: cpuSeconds(child.pid), ...none }),
    memory: () => ({ server: memoryBytes(processTree(child.pid)), ...none }),
  };
}
