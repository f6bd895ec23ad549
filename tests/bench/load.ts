import type { Peers } from "./peers.ts";
import type { Server } from "./servers.ts";

/** One kind of traffic in one version of the protocol. */
export interface Scenario {
  readonly mode: "alert" | "heartbeat";
  readonly version: "1.0" | "1.1";
}

/** How much of it: with acknowledgements a window holds it back, so it runs for a time; without, only a number bounds it. */
export type Amount = { readonly seconds: number } | { readonly count: number };

/** What one run showed. */
export interface Measurement {
  /** Durable alerts, or handled heartbeats, a second. */
  readonly perSecond: number;
  readonly messages: number;
  readonly serverCpuPer1000: number;
  readonly databaseCpuPer1000: number;
  readonly peakMemoryMib: number;
  /** From sending to the acknowledgement, milliseconds; protocol 1.1 only. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null;
}

/** Connections that send at once. */
export const CONNECTIONS = 200;
/** Different alerts of one connection: with no more messages than these, nothing groups. */
const VARIANTS = 2048;
/** Most alerts of a run in which none group. */
export const ALERTS_MAX = CONNECTIONS * VARIANTS;
/** Above the time of any run that goes well, its drain included. */
const RUN_SECONDS_MAX = 180;

/** The part of the load generator's report that is used here. */
interface Report {
  complete: boolean;
  sent: number;
  ack?: { per_s: number; latency_ms: { p50: number; p99: number } };
  durable?: { per_s: number };
  processed?: { per_s: number };
  server: { cpu_s_per_1000: number; rss_peak_kb: number };
  pg_cpu_s_per_1000?: number;
}

/** Runs the load generator against a server once. Fails when not everything that was sent was confirmed. */
export async function measure(
  peers: Peers,
  server: Server,
  scenario: Scenario,
  amount: Amount,
  signal: AbortSignal,
): Promise<Measurement> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(RUN_SECONDS_MAX * 1000)]);
  const child = Bun.spawn([peers.loadgen, ...flags(server, scenario, amount)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal: limit,
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  signal.throwIfAborted();
  const report = output.trim() === "" ? undefined : (JSON.parse(output) as Report);
  if (!report?.complete) throw new Error(`the load on ${server.name} was not handled in full:\n${errors}${output}`);
  return {
    perSecond: (report.ack ?? report.durable ?? report.processed)?.per_s ?? 0,
    messages: report.sent,
    serverCpuPer1000: report.server.cpu_s_per_1000,
    databaseCpuPer1000: report.pg_cpu_s_per_1000 ?? 0,
    peakMemoryMib: report.server.rss_peak_kb / 1024,
    latencyMs: report.ack ? { p50: report.ack.latency_ms.p50, p99: report.ack.latency_ms.p99 } : null,
  };
}

function flags(server: Server, { mode, version }: Scenario, amount: Amount): string[] {
  const confirmedBy =
    version === "1.1"
      ? ["-ack"]
      : mode === "alert"
        ? ["-pg", server.databaseUrl, "-pg-query", server.countQuery]
        : ["-count-url", server.countUrl];
  return [
    ...["-url", server.streamUrl, "-token-file", server.tokenFile, "-conns", String(CONNECTIONS), "-hello", "1"],
    ...["-mode", mode, "-logbytes", "2000", "-distinct", "-variants", String(VARIANTS), ...confirmedBy],
    ...("seconds" in amount ? ["-duration", String(amount.seconds)] : ["-count", String(amount.count)]),
    ...["-pid", String(server.pid), "-pg-pid", String(server.databasePid), "-drain-timeout", "30s"],
  ];
}
