import { chmod, mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage } from "../../src/lib/errors.ts";
import { buildExecutable } from "../support/executable.ts";
import { startBenchPostgres } from "./database.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { buildPeers, type Peers } from "./peers.ts";
import { type Comparison, summarise, tables } from "./report.ts";
import type { Bench } from "./runs.ts";
import { SCENARIOS } from "./scenarios.ts";
import { CONNECTIONS } from "./traffic.ts";

/** Longer than any sensible choice of options takes. */
const TOTAL_MINUTES_MAX = 180;

async function run(asked: Options, signal: AbortSignal): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "opspilot-bench-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  const peers = await buildPeers(asked.peers);
  const options = await withoutMissing(asked, peers);
  await buildExecutable();
  await chmod(dir, 0o711);
  const postgres = await startBenchPostgres(join(dir, "postgres"));
  cleanups.defer(() => postgres.stop());

  const bench: Bench = { options, peers, postgres, dir, signal, tell: complain };
  const comparisons: Comparison[] = [];
  for (const name of options.scenarios) comparisons.push(...(await SCENARIOS[name](bench)));
  const summaries = comparisons.map(summarise);
  const [processor] = cpus();
  const about = { postgres: postgres.version, cores: cpus().length, processor: processor?.model, runs: options.runs };
  if (options.json) return say(JSON.stringify({ ...about, connections: CONNECTIONS, scenarios: summaries }));
  say(`PostgreSQL ${about.postgres}, ${about.cores} cores (${about.processor}), ${CONNECTIONS} connections`);
  say(`medians of ${about.runs}; in brackets what the first has, divided by what this one has\n`);
  say(tables(summaries));
}

/** The limit is no part of the load generator's build, and may not be there. */
async function withoutMissing(options: Options, peers: Peers): Promise<Options> {
  const isThere = await Bun.file(peers.limit).exists();
  if (isThere || !options.subjects.includes("limit")) return options;
  complain(`${peers.limit} is not there: the limit is left out`);
  return { ...options, subjects: options.subjects.filter((name) => name !== "limit") };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

const options = readOptions(process.argv.slice(2), process.env.PEERS_DIR);
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
