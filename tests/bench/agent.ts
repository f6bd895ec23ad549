import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { errorMessage } from "../../src/lib/errors.ts";
import { buildExecutable, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { cpuSeconds, memoryBytes, ownCpuSeconds, processTree, residentBytes } from "../support/processes.ts";
import { until } from "../support/until.ts";

const USAGE = `Shows what the agent costs: at rest, with all programs that it starts, and while a unit that it watches writes much.
usage: bun run bench:agent [options]
  --against PATH   another build's agent beside it
  --rate N         lines a second of the unit (20000)
  --seconds S      how long each is looked at (50)
A program in place of journalctl writes the unit's lines; what that one takes is not the agent's, and is not counted.`;

const REST_SECONDS = 45;
const SECONDS_MAX = 55;
const SAMPLE_MS = 5_000;
const START_LIMIT_MS = 30_000;
const MIB = 2 ** 20;

function readOptions() {
  const { values } = parseArgs({
    options: {
      against: { type: "string" },
      rate: { type: "string", default: "20000" },
      seconds: { type: "string", default: "50" },
      help: { type: "boolean" },
    },
  });
  const [rate, seconds] = [Number(values.rate), Number(values.seconds)];
  const isWrong = values.help || !(seconds > 0 && seconds <= SECONDS_MAX) || !(rate > 0 && rate <= 100_000);
  return isWrong ? undefined : { against: values.against && resolve(values.against), rate, seconds };
}

/** A folder with a journalctl that writes so many lines a second. */
async function placeJournalctl(dir: string, rate: number): Promise<string> {
  const source = await Bun.file(join(import.meta.dir, "../support/busy-journalctl.ts")).text();
  const code = new Bun.Transpiler({ loader: "ts", target: "bun" }).transformSync(source);
  await mkdir(dir, { recursive: true });
  await Bun.write(join(dir, "journalctl"), `#!${process.execPath}\n${code}`);
  await Bun.write(join(dir, "rate"), String(rate));
  await chmod(join(dir, "journalctl"), 0o755);
  return dir;
}

async function run(options: NonNullable<ReturnType<typeof readOptions>>): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "opspilot-agent-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  const own = await buildExecutable();
  const server = await startExecutable({ dir: join(dir, "server"), build: own });
  cleanups.defer(async () => void (await server.stop()));
  await server.waitReady(START_LIMIT_MS);
  const path = await placeJournalctl(join(dir, "programs"), options.rate);
  const builds = [
    { name: "agent", build: own },
    ...(options.against ? [{ name: "against", build: options.against }] : []),
  ];

  for (const { name, build } of builds) {
    const startAgent = async (folder: string, env: Record<string, string>) => {
      const agent = await startExecutable({
        dir: join(dir, name, folder),
        build,
        args: ["agent"],
        env: { OPSPILOT_SERVER: server.url, OPSPILOT_TOKEN: `token-of-${name}-${folder}`, ...env },
      });
      cleanups.defer(async () => void (await agent.stop()));
      return agent;
    };
    const atRest = await startAgent("at-rest", {});
    await Bun.sleep(REST_SECONDS * 1_000);
    say(`${name} at rest: ${await lookAt(atRest, options.seconds, cpuSeconds)}`);
    await atRest.stop();
    const busy = await startAgent("busy", {
      PATH: `${path}:/usr/bin:/bin`,
      OPSPILOT_PATTERNS: "unit:busy /ERROR|timed out/",
    });
    await until(() => processTree(busy.pid).length > 1, { ms: START_LIMIT_MS, what: "the agent follows the journal" });
    await Bun.sleep(SAMPLE_MS);
    say(`${name} at ${options.rate} lines/s: ${await lookAt(busy, options.seconds, ownCpuSeconds)}`);
    await busy.stop();
  }
  const incidents = await fetch(`${server.url}/v1/incidents`).then((answer) => answer.json());
  for (const { source, occurrences, raw_error } of incidents as Record<string, unknown>[])
    say(`an incident: ${source} × ${occurrences}: ${String(raw_error).split("\n", 1)[0]}`);
}

/** CPU over the time, and memory as it is in between. */
async function lookAt(agent: RunningExecutable, seconds: number, spent: (pid: number) => number): Promise<string> {
  const [startedMs, before] = [performance.now(), spent(agent.pid)];
  const samples: { pss: number; withHelpers: number; rss: number }[] = [];
  while (performance.now() - startedMs < seconds * 1_000) {
    await Bun.sleep(SAMPLE_MS);
    const [pss, withHelpers] = [memoryBytes([agent.pid]), memoryBytes(processTree(agent.pid))];
    samples.push({ pss, withHelpers, rss: residentBytes(agent.pid) });
  }
  const percent = (100_000 * (spent(agent.pid) - before)) / (performance.now() - startedMs);
  const figures = (["pss", "withHelpers", "rss"] as const).map((part) => {
    const values = samples.map((sample) => sample[part] / MIB);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `${mean.toFixed(1)} (at most ${Math.max(...values).toFixed(1)})`;
  });
  return `${percent.toFixed(3)} % of a core; MiB: PSS ${figures[0]}, with its programs ${figures[1]}, RSS ${figures[2]}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const options = readOptions();
if (options === undefined) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
try {
  await run(options);
} catch (error) {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exitCode = 1;
}
process.exit();
