import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildExecutable } from "../support/executable.ts";
import { connectAgents } from "./idle-agents.ts";
import { type OpsPilot, type Spent, type Subject, startOpsPilot, startPeers } from "./idle-subjects.ts";
import { runBench } from "./program.ts";

const USAGE = `Shows what a server costs while nothing happens: OpsPilot with its own PostgreSQL and one agent connected.
usage: bun run bench:idle [options]
  --against PATH   another build beside it
  --seconds S      how long they are looked at (180)
  --agents N       plain sockets that heartbeat as agents do, beside the one that is one (0)
Prometheus and Alertmanager run beside them where they are installed (apt-get install prometheus prometheus-alertmanager).`;

/** Time to come to rest: connections that nobody needs are closed after a minute and a half. */
const REST_SECONDS_MAX = 105;
const SECONDS_MAX = 3_600;
const AGENTS_MAX = 1_000;
const MIB = 2 ** 20;

/** A subject after it was looked at. */
interface Observed {
  readonly subject: Subject;
  /** In percent of a core. */
  readonly cpu: Spent;
  readonly memory: Spent;
  readonly connections?: number;
  readonly transactionsPerSecond?: number;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      against: { type: "string" },
      agents: { type: "string", default: "0" },
      seconds: { type: "string", default: "180" },
      help: { type: "boolean" },
    },
  });
  const seconds = Number(values.seconds);
  const agents = Number(values.agents);
  const isWrong = values.help || !(seconds > 0 && seconds <= SECONDS_MAX) || !(agents >= 0 && agents <= AGENTS_MAX);
  return isWrong ? undefined : { against: values.against && resolve(values.against), agents, seconds };
}

/** Starts all, lets them come to rest, and looks at all of them at once. What it started it ends, also when it is interrupted. */
async function run(options: NonNullable<ReturnType<typeof readOptions>>, signal: AbortSignal): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "opspilot-idle-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  // Started as root, PostgreSQL runs as another user, who must get in.
  await chmod(dir, 0o755);
  const builds = [{ name: "OpsPilot", dir: join(dir, "this"), build: await buildExecutable() }];
  if (options.against) builds.push({ name: "against", dir: join(dir, "against"), build: options.against });
  const servers: OpsPilot[] = [];
  for (const build of builds) {
    signal.throwIfAborted();
    servers.push(await startOpsPilot(build, cleanups));
  }
  signal.throwIfAborted();
  for (const { url } of servers) await connectAgents(url, options.agents, cleanups);
  const peers = await startPeers(join(dir, "peers"), cleanups);

  for (const { name, firstMs, secondMs } of servers)
    say(
      `${name}: ${Math.round(firstMs)} ms from the first start to /readyz, ${Math.round(secondMs)} ms from one with an existing database`,
    );
  await pause(Math.min(REST_SECONDS_MAX, options.seconds), signal);
  const observed = await observe([...servers, ...peers], options.seconds, signal);
  say(
    `\nat rest with ${options.agents + 1} agents, over ${options.seconds} s: CPU in percent of a core, memory (PSS) in MiB\n`,
  );
  say(table(observed));
  say("");
  for (const line of ratios(observed)) say(line);
}

async function observe(subjects: readonly Subject[], seconds: number, signal: AbortSignal): Promise<Observed[]> {
  const sessionsBefore = await Promise.all(subjects.map((subject) => subject.sessions?.()));
  const startedMs = performance.now();
  const before = subjects.map((subject) => subject.spent());
  await pause(seconds, signal);
  const after = subjects.map((subject) => subject.spent());
  const took = (performance.now() - startedMs) / 1_000;
  const sessionsAfter = await Promise.all(subjects.map((subject) => subject.sessions?.()));
  return subjects.map((subject, at) => {
    const [first, last] = [sessionsBefore[at], sessionsAfter[at]];
    const percent = (part: keyof Spent) => (100 * ((after[at]?.[part] ?? 0) - (before[at]?.[part] ?? 0))) / took;
    return {
      subject,
      cpu: { server: percent("server"), database: percent("database"), agent: percent("agent") },
      memory: subject.memory(),
      ...(first && last
        ? { connections: last.connections, transactionsPerSecond: (last.transactions - first.transactions) / took }
        : {}),
    };
  });
}

const HEADINGS = [
  "",
  "CPU",
  "server",
  "database",
  "agent",
  "MiB",
  "server",
  "database",
  "agent",
  "connections",
  "tx/s",
];

function table(observed: readonly Observed[]): string {
  const rows = observed.map(({ subject, cpu, memory, connections, transactionsPerSecond }) => {
    const parts = (values: Spent, text: (value: number) => string) => {
      const hasMore = values.database + values.agent > 0;
      const each = hasMore ? [values.server, values.database, values.agent].map(text) : ["", "", ""];
      return [text(together(values)), ...each];
    };
    return [
      subject.name,
      ...parts(cpu, (value) => value.toFixed(3)),
      ...parts(memory, (value) => String(Math.round(value / MIB))),
      connections?.toString() ?? "",
      transactionsPerSecond?.toFixed(1) ?? "",
    ];
  });
  const lines = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  const padded = (cells: string[]) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)));
  return lines.map((cells) => padded(cells).join("  ").trimEnd()).join("\n");
}

/** Server and database; the agent is counted apart. */
function together({ server, database }: Spent): number {
  return server + database;
}

function ratios(observed: readonly Observed[]): string[] {
  const cpuOf = (...names: string[]) =>
    observed.filter(({ subject }) => names.includes(subject.name)).map(({ cpu }) => together(cpu));
  const [ours = Number.NaN] = cpuOf("OpsPilot");
  const lines = cpuOf("against").map((cpu) => `the other build takes ${(cpu / ours).toFixed(1)} × the CPU of this one`);
  const peers = cpuOf("Prometheus", "Alertmanager");
  if (peers.length === 2) {
    const cpu = peers.reduce((sum, value) => sum + value, 0);
    lines.push(
      `Prometheus and Alertmanager together take ${cpu.toFixed(3)} %, ${(cpu / ours).toFixed(2)} × of this build`,
    );
  } else lines.push("Prometheus and Alertmanager are not both installed here: nothing to compare with");
  return lines;
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  const interrupted = Promise.withResolvers<void>();
  const timer = setTimeout(interrupted.resolve, seconds * 1_000);
  signal.addEventListener("abort", () => interrupted.resolve(), { once: true });
  await interrupted.promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await runBench(USAGE, readOptions, run);
