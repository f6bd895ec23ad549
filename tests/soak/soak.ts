import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { runBench } from "../bench/program.ts";
import { buildExecutable } from "../support/executable.ts";
import { runCrowds } from "./crowds.ts";
import { runFuzz } from "./fuzz.ts";
import { runProcessFaults } from "./process-faults.ts";
import { type SoakOutcome, tableOf } from "./table.ts";

const USAGE = `Holds the executable under faults and hostile input, on loopback alone; ends with 1 where anything was lost, doubled or wrong.
usage: bun run test:soak [options]
  --only A,B        faults (SIGKILL of server, database and agents under load), fuzz (decoder, routes, stream), crowds (slow,
                    silent, many, guessing); all when it is not said
  --minutes N       faults go on for at least so long (15)
  --kills N         and until so many (1000)
  --hosts N         whose agents send, and send again (50)
  --every MS        how often something fails on each (500)
  --cases N         of the decoder and of each route (100000)
  --connections N   of the largest crowd (10000)
  --seconds N       for how long each crowd stays (75)
  --seed N          what is chosen at random is chosen again
  --json PATH       where all figures are written (dist/soak.json)`;

const PARTS = ["faults", "fuzz", "crowds"] as const;
type Part = (typeof PARTS)[number];

/** Each process holds so many hosts' agents. */
const HOSTS_OF_A_PROCESS = 10;
/** Of each host so many things fail in turn. */
const SOURCES = 2;
const GUESSES = 2_000;

/** What the command line asks for. */
interface Options {
  readonly only: readonly Part[];
  readonly minutes: number;
  readonly kills: number;
  readonly hosts: number;
  readonly everyMs: number;
  readonly cases: number;
  readonly connections: number;
  readonly seconds: number;
  readonly seed: number;
  readonly json: string;
}

function readOptions(): Options | undefined {
  const number = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: PARTS.join(",") },
      minutes: number,
      kills: number,
      hosts: number,
      every: number,
      cases: number,
      connections: number,
      seconds: number,
      seed: number,
      json: { type: "string", default: "dist/soak.json" },
      help: { type: "boolean", default: false },
    },
  });
  const words = values.only.split(",");
  const only = PARTS.filter((one) => words.includes(one));
  const counts = {
    minutes: Number(values.minutes ?? 15),
    kills: Number(values.kills ?? 1_000),
    hosts: Number(values.hosts ?? 50),
    everyMs: Number(values.every ?? 500),
    cases: Number(values.cases ?? 100_000),
    connections: Number(values.connections ?? 10_000),
    seconds: Number(values.seconds ?? 75),
    seed: Number(values.seed ?? Date.now() % 2 ** 31),
  };
  const areCounts = Object.values(counts).every((value) => value > 0);
  if (values.help || only.length !== words.length || !areCounts) return undefined;
  return { only, ...counts, json: values.json };
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  const { only, seed, hosts } = options;
  const tell = (text: string) => void process.stderr.write(`${text}\n`);
  tell(`seed ${seed}`);
  await buildExecutable();
  const shared = { seed, signal, tell };
  const processes = Math.ceil(hosts / HOSTS_OF_A_PROCESS);
  const faults = { ...shared, ...options, seconds: options.minutes * 60, processes, sources: SOURCES };
  const outcome: SoakOutcome = {
    seed,
    ...(only.includes("faults") ? { faults: await runProcessFaults(faults) } : {}),
    ...(only.includes("fuzz") ? { fuzz: await runFuzz({ ...shared, cases: options.cases }) } : {}),
    ...(only.includes("crowds") ? { crowds: await runCrowds({ ...shared, ...options, guesses: GUESSES }) } : {}),
  };
  await mkdir(dirname(options.json), { recursive: true });
  await Bun.write(options.json, `${JSON.stringify(outcome, null, 2)}\n`);
  const { text, isAsPromised } = tableOf(outcome);
  process.stdout.write(`${text}\n`);
  if (!isAsPromised) process.exitCode = 1;
}

await runBench(USAGE, readOptions, run);
