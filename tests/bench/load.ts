import type { BenchPostgres } from "./database.ts";
import type { Peers } from "./peers.ts";
import type { Figures } from "./report.ts";
import type { Server } from "./subjects.ts";

/** One kind of traffic in one version of the protocol. */
export interface Traffic {
  readonly mode: "alert" | "heartbeat";
  readonly version: "1.0" | "1.1";
  readonly connections: number;
  /** Different alerts of one connection: with no more messages than these, nothing groups. */
  readonly variants: number;
  /** Messages a second, of all connections together; as many as possible where it is not given. */
  readonly rate?: number;
  /** Messages of one connection that may be on their way, in protocol 1.1. */
  readonly window?: number;
}

/** How much of it: with acknowledgements a window holds it back, so it runs for a time; without, only a number bounds it. */
export type Amount = { readonly seconds: number } | { readonly count: number };

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

/** What the load generator works with. */
export interface LoadDeps {
  readonly peers: Peers;
  readonly postgres: BenchPostgres;
  readonly signal: AbortSignal;
}

/** Runs the load generator against a server once. Fails when not everything that was sent was confirmed. */
export async function measure(deps: LoadDeps, server: Server, traffic: Traffic, amount: Amount): Promise<Figures> {
  const { peers, postgres, signal } = deps;
  const walBefore = await postgres.walBytes();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(RUN_SECONDS_MAX * 1000)]);
  const child = Bun.spawn([peers.loadgen, ...flags(server, traffic, amount)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal: limit,
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  signal.throwIfAborted();
  const report = output.trim() === "" ? undefined : (JSON.parse(output) as Report);
  if (!report?.complete) throw new Error(`the load on ${server.name} was not handled in full:\n${errors}${output}`);
  const walBytes = (await postgres.walBytes()) - walBefore;
  return {
    ...figuresOf(report),
    ...(traffic.mode === "alert" ? await textFigures(server, report.sent, walBytes) : {}),
  };
}

function figuresOf(report: Report): Figures {
  const latency = report.ack?.latency_ms;
  return {
    per_second: (report.ack ?? report.durable ?? report.processed)?.per_s ?? 0,
    server_cpu_s_per_1000: report.server.cpu_s_per_1000,
    database_cpu_s_per_1000: report.pg_cpu_s_per_1000 ?? 0,
    peak_memory_mib: report.server.rss_peak_kb / 1024,
    ...(latency ? { latency_p50_ms: latency.p50, latency_p99_ms: latency.p99 } : {}),
  };
}

async function textFigures({ database, textTables }: Server, alerts: number, walBytes: number): Promise<Figures> {
  const { textBytes, storedBytes } = await database.textBytes(textTables);
  return {
    wal_bytes_per_alert: walBytes / alerts,
    text_bytes_per_alert: textBytes / alerts,
    stored_bytes_per_alert: storedBytes / alerts,
  };
}

function flags(server: Server, traffic: Traffic, amount: Amount): string[] {
  const { mode, version, connections, variants, rate, window } = traffic;
  const confirmedBy =
    version === "1.1"
      ? ["-ack"]
      : mode === "alert"
        ? ["-pg", server.database.url, "-pg-query", server.countQuery]
        : ["-count-url", server.countUrl];
  return [
    ...["-url", server.streamUrl, "-token-file", server.tokenFile, "-conns", String(connections), "-hello", "1"],
    ...["-mode", mode, "-logbytes", "2000", "-distinct", "-variants", String(variants), ...confirmedBy],
    ...("seconds" in amount ? ["-duration", String(amount.seconds)] : ["-count", String(amount.count)]),
    ...(rate === undefined ? [] : ["-rate", String(rate)]),
    ...(window === undefined ? [] : ["-window", String(window)]),
    ...["-pid", String(server.pid), "-pg-pid", String(server.database.postmasterPid), "-drain-timeout", "30s"],
  ];
}
