import { chmod, mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { errorMessage } from "../../src/lib/errors.ts";
import { buildExecutable } from "../support/executable.ts";
import { type BenchPostgres, startBenchPostgres } from "./database.ts";
import { ALERTS_MAX, type Amount, CONNECTIONS, type Measurement, measure, type Scenario } from "./load.ts";
import { buildPeers, type Peers } from "./peers.ts";
import { type Comparison, summarise, table } from "./report.ts";
import { goBackend, opspilot, type StartServer } from "./servers.ts";

const USAGE = `Compares OpsPilot with plain Go: one PostgreSQL, one machine, in turn.
usage: bun run bench --peers DIR [options]
  --peers DIR      the peers' folder (or PEERS_DIR)
  --runs N         runs of each server in each scenario (3)
  --duration S     how long one run sends (8)
  --count N        messages of each run of protocol 1.0, instead of what fits into the duration
  --only KIND      alerts or heartbeats
  --quick          one run of two seconds: shows that it works, not how fast it is
  --json           one JSON object instead of the table`;

/** Longer than any sensible choice of options takes. */
const TOTAL_MINUTES_MAX = 60;

/** 1.1 comes first: the rate that it shows says how many messages of 1.0 fill the duration. */
const SCENARIOS: readonly Scenario[] = [
  { mode: "alert", version: "1.1" },
  { mode: "alert", version: "1.0" },
  { mode: "heartbeat", version: "1.1" },
  { mode: "heartbeat", version: "1.0" },
];

function readOptions() {
  const { values } = parseArgs({
    options: {
      peers: { type: "string", default: process.env.PEERS_DIR ?? "" },
      runs: { type: "string" },
      duration: { type: "string" },
      count: { type: "string" },
      only: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const number = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : Number(text));
  const options = {
    ...values,
    runs: number(values.runs, values.quick ? 1 : 3),
    seconds: number(values.duration, values.quick ? 2 : 8),
    count: values.count === undefined ? undefined : Number(values.count),
  };
  const isKnown = [undefined, "alerts", "heartbeats"].includes(values.only);
  const isCounted = [options.runs, options.seconds, options.count ?? 1].every((value) => value > 0);
  return values.help || values.peers === "" || !isKnown || !isCounted ? undefined : options;
}

type Options = NonNullable<ReturnType<typeof readOptions>>;

/** What every run needs. */
interface Bench {
  readonly options: Options;
  readonly peers: Peers;
  readonly postgres: BenchPostgres;
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** One server, one database, one load; nothing of it is left afterwards. */
async function runOnce(bench: Bench, start: StartServer, scenario: Scenario, amount: Amount): Promise<Measurement> {
  bench.signal.throwIfAborted();
  await using cleanups = new AsyncDisposableStack();
  const database = await bench.postgres.create();
  cleanups.defer(() => database.drop());
  const dir = await mkdtemp(join(bench.dir, "server-"));
  const server = await start(database, dir, scenario.version);
  cleanups.defer(() => server.stop());
  await bench.postgres.settle();
  const measurement = await measure(bench.peers, server, scenario, amount, bench.signal);
  complain(`${server.name}: ${scenario.mode}s ${scenario.version}: ${Math.round(measurement.perSecond)}/s`);
  return measurement;
}

/** Both servers in turn, so that a slow minute of the machine meets both. */
async function compare(bench: Bench, scenario: Scenario, before: Comparison | undefined): Promise<Comparison> {
  const go: Measurement[] = [];
  const ours: Measurement[] = [];
  for (let run = 0; run < bench.options.runs; run++) {
    go.push(await runOnce(bench, goBackend(bench.peers), scenario, amountFor(bench.options, scenario, before?.go)));
    ours.push(await runOnce(bench, opspilot, scenario, amountFor(bench.options, scenario, before?.opspilot)));
  }
  return { scenario, go, opspilot: ours };
}

function amountFor(
  { seconds, count }: Options,
  scenario: Scenario,
  before: readonly Measurement[] | undefined,
): Amount {
  if (scenario.version === "1.1") return { seconds };
  const fitting = Math.max(...(before ?? []).map((run) => run.perSecond), CONNECTIONS) * seconds;
  const wanted = count ?? fitting;
  return { count: Math.ceil(scenario.mode === "alert" ? Math.min(wanted, ALERTS_MAX) : wanted) };
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "opspilot-bench-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  const peers = await buildPeers(options.peers);
  await buildExecutable();
  await chmod(dir, 0o711);
  const postgres = await startBenchPostgres(join(dir, "postgres"));
  cleanups.defer(() => postgres.stop());

  const comparisons: Comparison[] = [];
  for (const scenario of SCENARIOS.filter(({ mode }) => options.only === undefined || options.only === `${mode}s`)) {
    const before = comparisons.find((one) => one.scenario.mode === scenario.mode);
    comparisons.push(await compare({ options, peers, postgres, dir, signal }, scenario, before));
  }
  const summaries = comparisons.map(summarise);
  const [processor] = cpus();
  const about = {
    postgres: postgres.version,
    cores: cpus().length,
    processor: processor?.model,
    connections: CONNECTIONS,
  };
  if (options.json) return say(JSON.stringify({ ...about, runs: options.runs, scenarios: summaries }));
  say(`PostgreSQL ${about.postgres}, ${about.cores} cores, ${CONNECTIONS} connections, medians of ${options.runs}\n`);
  say(table(summaries));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

const options = readOptions();
if (options === undefined) {
  complain(USAGE);
  process.exit(64);
}
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => interrupt.abort(new Error(`ended by ${signal}`)));
const limit = AbortSignal.timeout(TOTAL_MINUTES_MAX * 60_000);
try {
  await run(options, AbortSignal.any([interrupt.signal, limit]));
} catch (error) {
  complain(errorMessage(error));
  process.exitCode = 1;
}
