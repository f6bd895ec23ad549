import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../support/executable.ts";
import { memoryBytes } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { type ManyHosts, startHosts } from "./hosts-process.ts";
import { measure } from "./load.ts";
import type { Comparison, Figures } from "./report.ts";
import { type Bench, inTurn, ofSubjects } from "./runs.ts";
import { type Server, type StartOptions, type SubjectName, starterOf } from "./subjects.ts";

/** How long things take, with the true distances or, to see that it works, short ones. */
const PACES = {
  true: { heartbeatMs: 30_000, timeoutMs: 35_000, connectsPerSecond: 2_000 },
  quick: { heartbeatMs: 2_000, timeoutMs: 5_000, connectsPerSecond: 500 },
} as const;

/** Those that send alerts beside the idle ones: the server's files are 20,000 in all. */
const SENDERS = 100;
const ALERTS_PER_SECOND = 100;
/** A server tells of a lost host this much after the heartbeats' timeout, at most: its grace, and the time between two looks. */
const LOST_AFTER_MS_MAX = 60_000;
const CONNECT_LIMIT_MS = 120_000;
const MARGIN_MS = 5_000;
const LOOK_MS = 100;

/** Many hosts that do nothing but live: what they cost, and what a restart of the server means to them. */
export async function connections(bench: Bench): Promise<Comparison[]> {
  const { connections: count, subjects } = bench.options;
  const once = { ...bench, options: { ...bench.options, runs: 1 } };
  const title = `${count.toLocaleString("en")} idle hosts`;
  return [
    await inTurn(
      once,
      title,
      ofSubjects(subjects, (name) => runOnce(bench, name)),
    ),
  ];
}

async function runOnce(bench: Bench, name: SubjectName): Promise<Figures> {
  bench.signal.throwIfAborted();
  await using cleanups = new AsyncDisposableStack();
  const { connections: count, quick } = bench.options;
  const pace = quick ? PACES.quick : PACES.true;
  const database = await bench.postgres.create();
  cleanups.defer(() => database.drop());
  const start = starterOf(name, bench.peers, bench.options.against);
  const dir = await mkdtemp(join(bench.dir, "server-"));
  const settings = { HEARTBEAT_TIMEOUT: `${pace.timeoutMs / 1_000}s` };
  const common: StartOptions = {
    database,
    dir,
    version: "1.1",
    agents: count + SENDERS,
    port: await freePort(),
    isWide: true,
    settings,
  };
  let server = await start(common);
  cleanups.defer(() => server.stop());
  const restart = async (end: "stop" | "kill" = "stop") => {
    await server[end]();
    server = await start({ ...common, tokens: server.tokens });
  };

  // The server that is measured has not made the agents.
  await restart();
  const emptyBytes = memoryBytes([server.pid]);
  const tokens = server.tokens.slice(SENDERS);
  const hosts = startHosts({ urls: server.streamUrls, tokens, ...pace });
  cleanups.defer(() => hosts.stop());
  const connectS = await secondsUntilAll(hosts, count, bench.signal);
  bench.tell(`${name}: ${count} hosts are connected after ${connectS.toFixed(1)} s`);

  const memoryKib = (memoryBytes([server.pid]) - emptyBytes) / count / 1024;
  const calm = await holdOn(bench, server, pace.heartbeatMs);
  const { missed, lost } = await hosts.state();

  const awayMs = performance.now();
  await restart();
  const readyMs = performance.now();
  const backS = await secondsUntilAll(hosts, count, bench.signal);
  await restart("kill");
  const crashBackS = await secondsUntilAll(hosts, count, bench.signal);
  await pause(pace.timeoutMs + Math.min(LOST_AFTER_MS_MAX, 2 * pace.timeoutMs) + MARGIN_MS, bench.signal);
  const after = await hosts.state();
  return {
    ...calm,
    kib_per_connection: memoryKib,
    connect_s: connectS,
    heartbeats_missed: missed + lost,
    restart_s: (readyMs - awayMs) / 1_000,
    back_s: backS,
    crash_back_s: crashBackS,
    still_away: count - after.connected,
    ...(server.lostQuery === undefined ? {} : { told_lost: await database.count(server.lostQuery) }),
  };
}

/** Lets every host send a heartbeat more, and sends alerts meanwhile. */
async function holdOn(bench: Bench, server: Server, heartbeatMs: number): Promise<Figures> {
  const traffic = {
    mode: "alert",
    version: "1.1",
    connections: SENDERS,
    variants: 2048,
    rate: ALERTS_PER_SECOND,
  } as const;
  const { latency_p50_ms, latency_p99_ms } = await measure(bench, server, traffic, { seconds: heartbeatMs / 1_000 });
  return { ...(latency_p50_ms && latency_p99_ms ? { latency_p50_ms, latency_p99_ms } : {}) };
}

async function secondsUntilAll(hosts: ManyHosts, count: number, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now();
  await until(
    async () => {
      await pause(LOOK_MS, signal);
      return (await hosts.state()).connected === count;
    },
    { ms: CONNECT_LIMIT_MS, what: `${count} hosts are connected` },
  );
  return (performance.now() - startedMs) / 1_000;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, Math.max(0, ms));
  signal.addEventListener("abort", () => over.resolve(), { once: true });
  await over.promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}
