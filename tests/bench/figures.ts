import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Sql } from "postgres";
import { openDatabase } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createFigureReader } from "../../src/figures/reader.ts";
import { addTally, statsOf, tallyOf } from "../../src/figures/samples.ts";
import { createFigureStore } from "../../src/figures/store.ts";
import { createUpkeepStore } from "../../src/figures/upkeep-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { Metrics } from "../../src/protocol/frames.ts";
import { quiet } from "../support/log.ts";
import { makeDataDir } from "../support/own-postgres.ts";
import { cpuSeconds } from "../support/processes.ts";

/** As an agent sends them: every 30 s. */
const HEARTBEATS_PER_MINUTE = 2;
/** What may be written late. */
const MINUTES = 119;
const AGENTS_MAX = 1_000;
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const TIERS = [
  { table: "figures_1m", minutes: 1, steps: 180 },
  { table: "figures_5m", minutes: 5, steps: 288 },
  { table: "figures_1h", minutes: 60, steps: 720 },
] as const;

const { values } = parseArgs({ options: { hosts: { type: "string", default: "1000" } } });
const hosts = Number(values.hosts);

/** Writes two hours of figures of so many hosts, fills all tables, and shows what that costs. */
async function run(): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const dataDir = await makeDataDir();
  cleanups.defer(() => rm(dataDir, { recursive: true, force: true }));
  const embedded = await startEmbedded({ dataDir, clock: createSystemClock(), log: quiet, role: "serve" });
  cleanups.defer(() => embedded.stop());
  const database = openDatabase({ target: embedded.target, log: quiet });
  cleanups.defer(() => database.close());
  await migrate(database, quiet);
  // Filling the tables, and reading them once, takes minutes.
  const sql = database.createSession({ statementLimitMs: 0 });
  const ids = Array.from({ length: hosts }, () => crypto.randomUUID());
  await sql`insert into agents (id, token_hash, last_seen_at) select id, id::text, now() from unnest(${ids}::uuid[]) id`;
  await sql`analyze agents`;

  const postmaster = embedded.postmasterPid() ?? 0;
  const perMinute = (cpuS: number) => `${((cpuS * 1_000 * 1_000) / hosts / MINUTES).toFixed(1)} ms`;
  const writing = await measured(postmaster, () => writeMinutes(sql, ids));
  say(`of 1,000 hosts a minute, CPU: node ${perMinute(writing.ownS)}, database ${perMinute(writing.databaseS)}`);

  const upkeep = createUpkeepStore(sql);
  let hoursRolled = 0;
  const rolling = await measured(postmaster, async () => {
    while (await upkeep.rollHour()) hoursRolled++;
  });
  const perHour = ((rolling.databaseS * 1_000 * 1_000) / hosts / hoursRolled).toFixed(0);
  say(`of 1,000 hosts an hour, CPU to roll up: database ${perHour} ms`);

  for (const tier of TIERS) await fill(sql, tier);
  await sql`vacuum analyze`;
  await showSizes(sql);
  await showReads(sql, ids[hosts >> 1] ?? "");
}

function metricsOf(host: number, at: number): Partial<Metrics> {
  const wave = Math.abs(Math.sin(host + at));
  const disk = (mount: string, part: number) => ({ mount, used_bytes: part * GIB * 40, total_bytes: 64 * GIB });
  return {
    cpu_pct: Math.round(wave * 1_000) / 10,
    load1: Math.round(wave * 400) / 100,
    mem_used_bytes: (2 + wave) * GIB,
    mem_total_bytes: 8 * GIB,
    swap_used_bytes: wave * GIB,
    swap_total_bytes: 4 * GIB,
    disks: [disk("/", wave), disk("/boot", 0.3), disk("/var", 0.9 * wave), disk("/home", 0.5)],
  };
}

async function writeMinutes(sql: Sql, ids: readonly string[]): Promise<void> {
  const store = createFigureStore(sql);
  for (let age = MINUTES; age > 0; age--) {
    const rows = ids.map((agentId, host) => {
      const tally = tallyOf(metricsOf(host, age));
      for (let more = 1; more < HEARTBEATS_PER_MINUTE; more++)
        addTally(tally, tallyOf(metricsOf(host, age + more / 2)));
      return { agentId, samples: tally.samples, names: tally.names, stats: statsOf(tally) };
    });
    for (let at = 0; at < rows.length; at += AGENTS_MAX)
      await store.write(age * 60_000, rows.slice(at, at + AGENTS_MAX));
  }
}

async function measured(postmaster: number, work: () => Promise<void>) {
  const own = process.cpuUsage();
  const databaseS = cpuSeconds(postmaster);
  await work();
  const { user, system } = process.cpuUsage(own);
  return { ownS: (user + system) / 1e6, databaseS: cpuSeconds(postmaster) - databaseS };
}

/** With copies of the first step, until there are as many as are kept. */
async function fill(sql: Sql, { table, minutes, steps }: (typeof TIERS)[number]): Promise<void> {
  const [there] = await sql<{ first: number; steps: number }[]>`
    select min(minute) as first, count(distinct minute)::int as steps from ${sql(table)}`;
  const { first = 0, steps: known = 0 } = there ?? {};
  for (let at = 1; at <= steps - known; at++)
    await sql`
      insert into ${sql(table)} (agent_id, minute, samples, names, stats)
      select agent_id, minute - ${at * minutes}::int, samples, names, stats from ${sql(table)} where minute = ${first}`;
}

async function showSizes(sql: Sql): Promise<void> {
  let total = 0;
  for (const { table, steps } of TIERS) {
    const [row] = await sql<{ rows: number; bytes: number; heap: number }[]>`
      select (select count(*)::int from ${sql(table)}) as rows, pg_total_relation_size(${table}::regclass)::float8 as bytes,
        pg_table_size(${table}::regclass)::float8 as heap`;
    const { rows = 0, bytes = 0, heap = 0 } = row ?? {};
    total += bytes / hosts;
    const each = `${(heap / rows).toFixed(0)} + ${((bytes - heap) / rows).toFixed(0)} bytes a row with its index`;
    say(`${table}: ${steps} rows a host, ${each}, ${((bytes / hosts) * (1_000 / MIB)).toFixed(0)} MiB for 1,000 hosts`);
  }
  say(`together ${(total / 1_024).toFixed(0)} KiB a host, ${((total * 1_000) / MIB).toFixed(0)} MiB for 1,000 hosts`);
}

async function showReads(sql: Sql, agentId: string): Promise<void> {
  const reader = createFigureReader(createFigureStore(sql));
  const nowS = Math.floor(Date.now() / 1_000);
  for (const [what, seconds] of [
    ["3 hours", 3 * 3_600],
    ["24 hours", 24 * 3_600],
    ["30 days", 30 * 86_400],
  ] as const) {
    const took: number[] = [];
    for (let n = 0; n < 11; n++) {
      const startMs = performance.now();
      await reader.ofAgent(agentId, { fromS: nowS - seconds });
      took.push(performance.now() - startMs);
    }
    say(`${what} of one host: ${took.sort((a, b) => a - b)[5]?.toFixed(0)} ms (median)`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await run();
process.exit();
