/** What is measured: its heading in a table, and how many digits behind the point are worth showing. */
export const FIGURES = {
  per_second: { heading: "per second", digits: 0 },
  server_cpu_s_per_1000: { heading: "CPU s/1,000", digits: 3 },
  database_cpu_s_per_1000: { heading: "db CPU s/1,000", digits: 3 },
  peak_memory_mib: { heading: "peak MiB", digits: 0 },
  latency_p50_ms: { heading: "p50 ms", digits: 1 },
  latency_p99_ms: { heading: "p99 ms", digits: 1 },
  wal_bytes_per_alert: { heading: "WAL B/alert", digits: 0 },
  text_bytes_per_alert: { heading: "text B/alert", digits: 0 },
  stored_bytes_per_alert: { heading: "stored B/alert", digits: 0 },
  sent_p50_ms: { heading: "sent p50 ms", digits: 2 },
  sent_p99_ms: { heading: "sent p99 ms", digits: 2 },
  answered_p50_ms: { heading: "answered p50 ms", digits: 2 },
  answered_p99_ms: { heading: "answered p99 ms", digits: 2 },
  kib_per_connection: { heading: "KiB/connection", digits: 1 },
  connect_s: { heading: "connect s", digits: 1 },
  heartbeats_missed: { heading: "missed", digits: 0 },
  restart_s: { heading: "restart s", digits: 1 },
  back_s: { heading: "back s", digits: 1 },
  crash_back_s: { heading: "crash back s", digits: 1 },
  still_away: { heading: "away", digits: 0 },
  told_lost: { heading: "told lost", digits: 0 },
} as const;
export type FigureName = keyof typeof FIGURES;
export type Figures = { readonly [Name in FigureName]?: number };

const NAMES = Object.keys(FIGURES) as FigureName[];

/** The runs of one scenario: of each subject the same number, in turn. */
export interface Comparison {
  readonly title: string;
  readonly subjects: readonly { readonly name: string; readonly runs: readonly Figures[] }[];
}

/** The value in the middle; with an even number of values the mean of the two there. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The value below which this part of them lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** A comparison in medians; `ratios` are those of the first subject to each other one. */
export function summarise({ title, subjects }: Comparison) {
  const [first, ...others] = subjects.map(({ name, runs }) => ({ name, medians: mediansOf(runs), runs }));
  if (first === undefined) return { title, subjects: [] };
  const compared = others.map((other) => ({ ...other, ratios: ratiosOf(first.medians, other.medians) }));
  return { title, subjects: [{ ...first, ratios: {} as Figures }, ...compared] };
}

type Summary = ReturnType<typeof summarise>;

function mediansOf(runs: readonly Figures[]): Figures {
  return pick((name) => {
    const values = runs.flatMap((run) => run[name] ?? []);
    return values.length === 0 ? undefined : round(median(values), FIGURES[name].digits + 1);
  });
}

function ratiosOf(first: Figures, other: Figures): Figures {
  return pick((name) => {
    const [a, b] = [first[name], other[name]];
    return a === undefined || !b ? undefined : round(a / b, 2);
  });
}

function pick(of: (name: FigureName) => number | undefined): Figures {
  return Object.fromEntries(NAMES.map((name) => [name, of(name)]).filter(([, value]) => value !== undefined));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The summaries as tables for a terminal, one for all that show the same figures. */
export function tables(summaries: readonly Summary[]): string {
  const groups = new Map<string, Summary[]>();
  for (const summary of summaries) {
    const key = shownIn(summary).join();
    groups.set(key, [...(groups.get(key) ?? []), summary]);
  }
  return [...groups.values()].map(table).join("\n\n");
}

function shownIn({ subjects }: Summary): FigureName[] {
  return NAMES.filter((name) => subjects.some(({ medians }) => medians[name] !== undefined));
}

function table(summaries: readonly Summary[]): string {
  const shown = summaries[0] ? shownIn(summaries[0]) : [];
  const headings = ["", "", ...shown.map((name) => FIGURES[name].heading)];
  const rows = summaries.flatMap(({ title, subjects }) =>
    subjects.map((subject, at) => [at === 0 ? title : "", subject.name, ...shown.map((name) => cell(name, subject))]),
  );
  const lines = [headings, ...rows];
  const widths = headings.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  const padded = (cells: string[]) =>
    cells.map((text, at) => (at < 2 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)));
  return lines.map((cells) => padded(cells).join("  ").trimEnd()).join("\n");
}

function cell(name: FigureName, { medians, ratios }: Summary["subjects"][number]): string {
  const value = medians[name];
  if (value === undefined) return "";
  const { digits } = FIGURES[name];
  const text = value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return ratios[name] === undefined ? text : `${text} (${ratioText(ratios[name])})`;
}

/** Two digits that count. */
function ratioText(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio >= 1 ? ratio.toFixed(1) : ratio.toFixed(2)} ×`;
}
