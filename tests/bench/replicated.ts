import { startBalancer } from "../support/balancer.ts";
import { freePort } from "../support/executable.ts";
import { type ReplicatedPostgres, startReplicatedPostgres } from "../support/replicated-postgres.ts";
import { rest } from "../support/rest.ts";
import { type ServedProcess, serveInProcess } from "../support/served-process.ts";
import { SpoolAgent } from "../support/spool-agent.ts";

const NODES = [1, 2, 3];
const AGENTS = 30;
const DURATION_MS = 5_000;
/** More than can be sent in that time. */
const SOURCES = 20_000;
const LOGIN = { user: "opspilot", password: "opspilot", database: "opspilot" };
const CONNECTIONS = `select count(*)::int as n from pg_stat_activity where datname = '${LOGIN.database}'`;

/**
 * Alerts a second, acknowledged once the standby has them, and the database's connections: one to three nodes behind a balancer,
 * on a primary and its synchronous standby, all on this machine.
 */
async function run(): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const postgres = await startReplicatedPostgres(LOGIN, { fsync: "on" });
  cleanups.defer(() => postgres.stop());
  const nodes: ServedProcess[] = [];
  cleanups.defer(async () => void (await Promise.all(nodes.map((node) => node.kill("SIGTERM")))));
  for (const count of NODES) {
    while (nodes.length < count) nodes.push(await serveInProcess(postgres.url, await freePort()));
    process.stdout.write(`${count} node${count === 1 ? " " : "s"}   ${await measure(postgres, nodes)}\n`);
  }
}

async function measure(postgres: ReplicatedPostgres, nodes: readonly ServedProcess[]): Promise<string> {
  const balancer = await startBalancer(nodes.map(({ port }) => port));
  const prefix = `of-${nodes.length}`;
  const sources = Array.from({ length: SOURCES }, (_, n) => `${prefix}-${n}`);
  const agents: SpoolAgent[] = [];
  for (let n = 0; n < AGENTS; n++) {
    const { token } = (await rest(balancer.url, "/v1/agents", {})).body;
    agents.push(new SpoolAgent(balancer.url, token, sources));
  }
  const acknowledged = () => agents.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  const before = { ms: performance.now(), count: acknowledged() };
  await Bun.sleep(DURATION_MS);
  const rate = (acknowledged() - before.count) / ((performance.now() - before.ms) / 1_000);
  const [row] = await postgres.primary.query(CONNECTIONS);
  for (const agent of agents) agent.stop();
  balancer.stop();
  return `${rate.toFixed(0)} alerts/s, ${row?.n} connections to the primary`;
}

await run();
