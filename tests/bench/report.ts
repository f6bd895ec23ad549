import type { Measurement, Scenario } from "./load.ts";

/** The runs of one scenario on both servers, in turn. */
export interface Comparison {
  readonly scenario: Scenario;
  readonly go: readonly Measurement[];
  readonly opspilot: readonly Measurement[];
}

/** The value in the middle; with an even number of values the mean of the two there. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** A comparison in medians; `ratio` is how many times more OpsPilot handles in a second. */
export function summarise({ scenario, go, opspilot }: Comparison) {
  const medians = (runs: readonly Measurement[]) => ({
    per_second: Math.round(median(runs.map((run) => run.perSecond))),
    server_cpu_s_per_1000: round(median(runs.map((run) => run.serverCpuPer1000)), 4),
    database_cpu_s_per_1000: round(median(runs.map((run) => run.databaseCpuPer1000)), 4),
    peak_memory_mib: Math.round(median(runs.map((run) => run.peakMemoryMib))),
    latency_p50_ms: latency(runs, "p50"),
    latency_p99_ms: latency(runs, "p99"),
    runs: runs.map((run) => Math.round(run.perSecond)),
  });
  const both = { go: medians(go), opspilot: medians(opspilot) };
  return { ...scenario, ...both, ratio: round(both.opspilot.per_second / both.go.per_second, 1) };
}

type Summary = ReturnType<typeof summarise>;

function latency(runs: readonly Measurement[], quantile: "p50" | "p99"): number | null {
  const values = runs.flatMap((run) => (run.latencyMs ? [run.latencyMs[quantile]] : []));
  return values.length === 0 ? null : round(median(values), 1);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

const HEADINGS = ["", "server", "per second", "ratio", "CPU s/1,000", "db CPU s/1,000", "peak MiB", "p50 ms", "p99 ms"];

/** The comparisons as a table for a terminal. */
export function table(summaries: readonly Summary[]): string {
  const rows = summaries.flatMap((one) => [
    row(`${one.mode}s, protocol ${one.version}`, "plain Go", one.go, ""),
    row("", "OpsPilot", one.opspilot, `${one.ratio} ×`),
  ]);
  const widths = HEADINGS.map((heading, at) =>
    Math.max(heading.length, ...rows.map((cells) => cells[at]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(HEADINGS), ...rows.map(line)].join("\n");
}

function row(title: string, server: string, medians: Summary["go"], ratio: string): string[] {
  return [
    title,
    server,
    medians.per_second.toLocaleString("en"),
    ratio,
    medians.server_cpu_s_per_1000.toFixed(3),
    medians.database_cpu_s_per_1000.toFixed(3),
    String(medians.peak_memory_mib),
    medians.latency_p50_ms?.toFixed(1) ?? "",
    medians.latency_p99_ms?.toFixed(1) ?? "",
  ];
}
