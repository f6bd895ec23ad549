/** `bun run bench:long`: what alerts without an end take of memory and of the database's room. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Sql } from "postgres";
import { memoryBytes, processTree } from "../support/processes.ts";
import { ingest } from "./full-ingest.ts";
import { type Started, start } from "./full-server.ts";
import { runBench } from "./program.ts";
import { median } from "./report.ts";

const USAGE = `Sends alerts for a long time, and shows whether memory stays flat and VACUUM keeps up.
usage: bun run bench:long [options]
  --minutes N     how long (10)
  --rate N        alerts a second; half of what the server takes at most where it is not given
  --build PATH    another build, in place of this checkout's`;

const MINUTES_MAX = 24 * 60;
/** To find out how much it takes at most. */
const PROBE_SECONDS = 15;
const LOOK_MS = 5_000;
const MIB = 2 ** 20;
/** What memory is compared: of the time after a warm-up, the first part with the last. */
const WARM_UP_PART = 0.2;
const PARTS = 4;

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "10" },
      rate: { type: "string" },
      build: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const minutes = Number(values.minutes);
  const rate = values.rate === undefined ? undefined : Number(values.rate);
  if (values.help || !(minutes > 0 && minutes <= MINUTES_MAX) || (rate !== undefined && !(rate > 0))) return undefined;
  return { minutes, rate, build: values.build && resolve(values.build) };
}

interface Look {
  readonly serverMib: number;
  readonly databaseMib: number;
}

async function run(options: NonNullable<ReturnType<typeof readOptions>>, signal: AbortSignal): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "opspilot-long-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  // Started as root, PostgreSQL runs as another user, who must get in.
  await chmod(dir, 0o755);
  const server = await start(dir, options.build, cleanups);
  const perSecond =
    options.rate ?? Math.round((await ingest(server, { seconds: PROBE_SECONDS }, signal)).perSecond / 2);
  say(`${perSecond} alerts a second for ${options.minutes} minutes\n`);
  const before = await readTables(server.database.sql);
  const looks: Look[] = [];
  const looking = setInterval(() => looks.push(look(server)), LOOK_MS);
  cleanups.defer(() => clearInterval(looking));
  const told = setInterval(() => say(wordsOf(looks.at(-1))), 60_000);
  cleanups.defer(() => clearInterval(told));
  const took = await ingest(server, { seconds: options.minutes * 60, perSecond }, signal);
  clearInterval(looking);
  say(
    `\nacknowledged ${took.perSecond.toFixed(0)} a second, in the slowest two seconds ${took.leastPerSecond.toFixed(0)}`,
  );
  compareMemory(looks);
  showTables(before, await readTables(server.database.sql));
}

function look({ server, postmasterPid }: Started): Look {
  return {
    serverMib: memoryBytes([server.pid]) / MIB,
    databaseMib: memoryBytes(processTree(postmasterPid)) / MIB,
  };
}

function wordsOf(one: Look | undefined): string {
  return one === undefined ? "" : `server ${one.serverMib.toFixed(0)} MiB, database ${one.databaseMib.toFixed(0)} MiB`;
}

function compareMemory(looks: readonly Look[]): void {
  const warm = looks.slice(Math.floor(looks.length * WARM_UP_PART));
  const length = Math.max(1, Math.floor(warm.length / PARTS));
  const medianOf = (part: readonly Look[]) => median(part.map(({ serverMib }) => serverMib));
  const [first, last] = [medianOf(warm.slice(0, length)), medianOf(warm.slice(-length))];
  const mostMib = Math.max(...looks.map(({ serverMib }) => serverMib));
  say(
    `the server's memory after the warm-up ${first.toFixed(0)} MiB, at the end ${last.toFixed(0)} MiB (${((100 * last) / first - 100).toFixed(0)} %), most ${mostMib.toFixed(0)} MiB`,
  );
}

interface Table {
  name: string;
  rows: number;
  deadRows: number;
  tableMib: number;
  indexMib: number;
  vacuums: number;
}

/** The largest tables, as the database's own statistics have them. */
function readTables(sql: Sql): Promise<Table[]> {
  return sql<Table[]>`
    select relname as name, n_live_tup::float8 as rows, n_dead_tup::float8 as "deadRows", autovacuum_count::float8 as vacuums,
      pg_table_size(relid) / 1048576.0::float8 as "tableMib", pg_indexes_size(relid) / 1048576.0::float8 as "indexMib"
    from pg_stat_user_tables order by pg_total_relation_size(relid) desc limit 8`;
}

function showTables(before: readonly Table[], after: readonly Table[]): void {
  const earlier = new Map(before.map((table) => [table.name, table]));
  for (const { name, rows, deadRows, tableMib, indexMib, vacuums } of after) {
    const was = earlier.get(name);
    const sizes = (mib: number, then = 0) => `${then.toFixed(0)} → ${mib.toFixed(0)} MiB`;
    say(
      `${name.padEnd(16)} ${rows} rows, ${deadRows} dead, table ${sizes(tableMib, was?.tableMib)}, indexes ${sizes(indexMib, was?.indexMib)}, vacuumed ${vacuums - (was?.vacuums ?? 0)} times`,
    );
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await runBench(USAGE, readOptions, run);
