import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../support/executable.ts";
import { cpuSeconds, peakMemoryBytes } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { postOverAndOver } from "./http-load.ts";
import { measure } from "./load.ts";
import { ALERTMANAGER_CONFIG, alertmanagerCommand, alertmanagerPath } from "./prometheus.ts";
import { type Comparison, type Figures, quantile } from "./report.ts";
import { type Bench, inTurn, withServer } from "./runs.ts";
import { logsOf } from "./samples.ts";
import { CONNECTIONS, VARIANTS } from "./traffic.ts";

const LOG_CHARS = 2_000;
const LOG_VARIANTS = 256;
const START_LIMIT_MS = 10_000;

/** Single alerts, of which no two are of a kind: Alertmanager holds them in memory, OpsPilot has them on the disk. */
export async function alertmanager(bench: Bench): Promise<Comparison[]> {
  const program = alertmanagerPath();
  if (program === null) {
    bench.tell("Alertmanager is not installed here (apt-get install prometheus-alertmanager): nothing to compare with");
    return [];
  }
  const ours = (window: number) => () =>
    withServer(bench, "ours", { version: "1.1", agents: CONNECTIONS }, (server) => {
      const traffic = { mode: "alert", version: "1.1", connections: CONNECTIONS, variants: VARIANTS, window } as const;
      return measure(bench, server, traffic, { seconds: bench.options.seconds });
    });
  const contenders = [
    { name: "OpsPilot, 1 in flight", run: ours(1) },
    { name: "OpsPilot, 32 in flight", run: ours(32) },
    { name: "Alertmanager", run: () => measureAlertmanager(bench, program) },
  ];
  return [await inTurn(bench, "single alerts", contenders)];
}

async function measureAlertmanager(bench: Bench, program: string): Promise<Figures> {
  bench.signal.throwIfAborted();
  await using cleanups = new AsyncDisposableStack();
  const dir = await mkdtemp(join(bench.dir, "alertmanager-"));
  const [port, clusterPort] = [await freePort(), await freePort()];
  await mkdir(dir, { recursive: true });
  await Bun.write(join(dir, "alertmanager.yml"), ALERTMANAGER_CONFIG);
  const child = Bun.spawn(alertmanagerCommand({ program, dir, port, clusterPort }), {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  });
  cleanups.defer(async () => {
    child.kill();
    await child.exited;
  });
  const isReady = async () => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok === true;
  await until(isReady, { ms: START_LIMIT_MS, what: "Alertmanager is ready" });

  const logs = Array.from({ length: LOG_VARIANTS }, (_, variant) => JSON.stringify(logsOf(variant, LOG_CHARS)));
  const cpuBefore = cpuSeconds(child.pid);
  const { latenciesMs, seconds } = await postOverAndOver({
    port,
    path: "/api/v2/alerts",
    connections: CONNECTIONS,
    seconds: bench.options.seconds,
    bodyOf: (at) => alertOf(at, logs[at % LOG_VARIANTS] ?? '""'),
  });
  const alerts = latenciesMs.length;
  return {
    per_second: alerts / seconds,
    server_cpu_s_per_1000: ((cpuSeconds(child.pid) - cpuBefore) * 1_000) / alerts,
    peak_memory_mib: peakMemoryBytes(child.pid) / 2 ** 20,
    latency_p50_ms: quantile(latenciesMs, 0.5),
    latency_p99_ms: quantile(latenciesMs, 0.99),
  };
}

function alertOf(at: number, logsJson: string): string {
  const labels = `{"alertname":"docker_crash","instance":"host-${at % CONNECTIONS}","source":"api-${at}","exit_code":"1"}`;
  return `[{"labels":${labels},"annotations":{"summary":"Container exited with code 1","logs":${logsJson}}}]`;
}
