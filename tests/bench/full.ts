/** `bun run bench:full`: what the lists, alerts and forgetting take with a database that is full. */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createRetentionStore, forgetOld } from "../../src/incidents/ageing-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "../support/log.ts";
import { type Ingested, ingest } from "./full-ingest.ts";
import { routesOf, type Timed, timeRoutes } from "./full-routes.ts";
import { DAYS, type Fullness, seed } from "./full-seed.ts";
import { type Started, start } from "./full-server.ts";
import { runBench } from "./program.ts";
import { median } from "./report.ts";

const USAGE = `Fills a database, and shows what the dashboard's lists, alerts, forgetting and a restart take then.
usage: bun run bench:full [options]
  --alerts N      rows of alerts (5000000)
  --incidents N   incidents over 30 days (200000)
  --open N        those of them that are open (10000)
  --hosts N       hosts (1000)
  --requests N    how often each list is asked for (20)
  --seconds S     how long alerts are sent in each run (8); 0: not at all
  --runs N        runs of alerts: into an empty database, a full one, and one that forgets a day, in turn (3)
  --data DIR      a folder that stays: filled once, and used again
  --build PATH    another build, in place of this checkout's`;

/** What a page may take, as its median. */
const LIMIT_MS = 20;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Options extends Fullness {
  readonly requests: number;
  readonly seconds: number;
  readonly runs: number;
  readonly data: string | undefined;
  readonly build: string | undefined;
}

function readOptions(): Options | undefined {
  const number = (value: string) => ({ type: "string", default: value }) as const;
  const { values } = parseArgs({
    options: {
      alerts: number("5000000"),
      incidents: number("200000"),
      open: number("10000"),
      hosts: number("1000"),
      requests: number("20"),
      seconds: number("8"),
      runs: number("3"),
      data: { type: "string" },
      build: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { data, build, help, seconds, runs, ...counts } = values;
  const full = { alerts: 0, incidents: 0, open: 0, hosts: 0, requests: 0 };
  for (const name of Object.keys(full) as (keyof typeof full)[]) full[name] = Number(counts[name]);
  const isRight = Object.values(full).every((value) => Number.isInteger(value) && value > 0);
  if (help || !isRight || !(Number(seconds) >= 0) || !(Number(runs) > 0)) return undefined;
  const paths = { data: data && resolve(data), build: build && resolve(build) };
  return { ...full, ...paths, seconds: Number(seconds), runs: Number(runs) };
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = options.data ?? (await mkdtemp(join(tmpdir(), "opspilot-full-")));
  if (options.data === undefined) cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  await mkdir(dir, { recursive: true });
  // Started as root, PostgreSQL runs as another user, who must get in.
  await chmod(dir, 0o755);
  await fillOnce(join(dir, "full"), options);
  const emptyDir = await mkdtemp(join(dir, "empty-"));
  cleanups.defer(() => rm(emptyDir, { recursive: true, force: true }));
  await showRestarts({ "an empty database": emptyDir, "a full one": join(dir, "full") }, options);
  const full = await start(join(dir, "full"), options.build, cleanups);
  signal.throwIfAborted();
  const timed = await timeRoutes(full, await routesOf(full.database.sql), options.requests);
  say(table(timed));
  const late = timed.filter(({ medianMs }) => medianMs > LIMIT_MS);
  say(
    `\n${late.length} of ${timed.length} take more than ${LIMIT_MS} ms: ${late.map(({ name }) => name).join("; ") || "none"}\n`,
  );
  if (options.seconds === 0) return;
  const empty = await start(emptyDir, options.build, cleanups);
  await compareIngest(options, empty, full, signal);
}

/** Made by an own server of the same sources, which leaves it as it would after a stop. */
async function fillOnce(dir: string, options: Options): Promise<void> {
  const dataDir = join(dir, "data");
  const done = Bun.file(join(dir, "filled"));
  if (await done.exists()) return;
  await mkdir(dir, { recursive: true });
  const embedded = await startEmbedded({ dataDir, clock: createSystemClock(), log: quiet, role: "serve" });
  const database = openDatabase({ target: embedded.target, log: quiet });
  const startMs = performance.now();
  try {
    await migrate(database, quiet);
    await seed(database.createSession({ statementLimitMs: 0 }), options, complain);
  } finally {
    await database.close();
    await embedded.stop();
  }
  await Bun.write(done, JSON.stringify(options));
  complain(`filled within ${((performance.now() - startMs) / 1_000).toFixed(0)} s`);
}

/** From the start of a server to when it is ready, in turn. */
async function showRestarts(dirs: Readonly<Record<string, string>>, options: Options): Promise<void> {
  const took = new Map<string, number[]>();
  // The first start makes what is missing.
  for (let turn = 0; turn <= options.runs; turn++) {
    for (const [kind, dir] of Object.entries(dirs)) {
      await using cleanups = new AsyncDisposableStack();
      const { readyMs } = await start(dir, options.build, cleanups);
      if (turn > 0) took.set(kind, [...(took.get(kind) ?? []), readyMs]);
    }
  }
  for (const [kind, times] of took) say(`${kind} is ready ${median(times).toFixed(0)} ms after a restart`);
}

const KINDS = ["an empty database", "a full one", "a full one that forgets a day"] as const;

/** In turn, so that a slow minute of the machine meets all. */
async function compareIngest(options: Options, empty: Started, full: Started, signal: AbortSignal): Promise<void> {
  const runs = new Map<string, Ingested[]>(KINDS.map((kind) => [kind, []]));
  for (let turn = 0; turn < options.runs; turn++) {
    for (const kind of KINDS) {
      signal.throwIfAborted();
      const forgetting = kind === KINDS[2] ? forget(full.database, turn + 1) : undefined;
      const one = await ingest(kind === KINDS[0] ? empty : full, { seconds: options.seconds }, signal);
      const forgotten = await forgetting?.end();
      runs.get(kind)?.push(one);
      complain(
        `${kind} (${turn + 1}): ${wordsOf(one)}${forgotten === undefined ? "" : `; ${forgotten} rows forgotten`}`,
      );
    }
  }
  const medianOf = (kind: string, what: keyof Ingested) => median((runs.get(kind) ?? []).map((one) => one[what]));
  for (const kind of KINDS) {
    const [perSecond, leastPerSecond] = [medianOf(kind, "perSecond"), medianOf(kind, "leastPerSecond")];
    const [cpuMs, walBytes] = [medianOf(kind, "cpuMs"), medianOf(kind, "walBytes")];
    const part = (100 * perSecond) / medianOf(KINDS[0], "perSecond");
    say(
      `${kind.padEnd(30)} ${part.toFixed(0).padStart(4)} %  ${wordsOf({ perSecond, leastPerSecond, cpuMs, walBytes })}`,
    );
  }
}

function wordsOf({ perSecond, leastPerSecond, cpuMs, walBytes }: Ingested): string {
  const rates = `${perSecond.toFixed(0)} alerts/s, in the slowest two seconds ${leastPerSecond.toFixed(0)}`;
  return `${rates}; an alert takes ${cpuMs.toFixed(2)} ms of a processor and ${walBytes.toFixed(0)} bytes of log`;
}

/** Forgets a day more than the last time, as the server does each hour. */
function forget(database: Database, days: number) {
  const closing = new AbortController();
  const store = createRetentionStore(database.sql);
  const deletions = [store.deleteAlerts, store.deleteIncidents, store.deleteEvents];
  const done = forgetOld(createSystemClock(), deletions, (DAYS - days) * DAY_MS, closing.signal);
  return {
    end(): Promise<number> {
      closing.abort();
      return done;
    },
  };
}

function table(timed: readonly Timed[]): string {
  const rows = timed.map(({ name, cpuMs, leastMs, medianMs, mostMs, rows: count, bytes }) => [
    `${medianMs > LIMIT_MS ? "!" : " "} ${name}`,
    ...[
      cpuMs.toFixed(1),
      leastMs.toFixed(1),
      medianMs.toFixed(1),
      mostMs.toFixed(1),
      String(count),
      (bytes / 1_024).toFixed(0),
    ],
  ]);
  const lines = [["  ", "CPU ms", "least ms", "median ms", "most ms", "rows", "KiB"], ...rows];
  const widths = lines[0]?.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0))) ?? [];
  return lines
    .map((cells) => cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

await runBench(USAGE, readOptions, run);
