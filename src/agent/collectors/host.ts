import type { Thresholds } from "../../config/agent-collectors.ts";
import { errorMessage } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import type { CollectorDeps } from "./collector-model.ts";
import { createHealth, type Health } from "./health.ts";
import { createHostFigures, type Figure, type FigureName, type HostFiguresOptions, sourcesOf } from "./host-figures.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";
import { createThreshold, type Level, type Threshold, type ThresholdLimits } from "./threshold.ts";
import { topByCpu, topByMemory } from "./top-processes.ts";

/** What was told as over its limit, by source. */
type HostState = Readonly<Record<string, Level>>;

const INTERVAL_MS = 10_000;
const MINUTE_MS = 60_000;
const PERCENT_MARGIN = 5;

/**
 * How long each must be over its limit: a disk fills slowly and stays full, a processor is busy whenever there is work. What is
 * critical is more than a nuisance: programs begin to fail.
 */
const SHAPES: Readonly<Record<FigureName, Omit<ThresholdLimits, "high">>> = {
  disk: { critical: 97, margin: 2, holdMs: MINUTE_MS },
  inodes: { critical: 97, margin: 2, holdMs: MINUTE_MS },
  memory: { critical: 98, margin: PERCENT_MARGIN, holdMs: 2 * MINUTE_MS },
  swap: { critical: 98, margin: PERCENT_MARGIN, holdMs: 5 * MINUTE_MS },
  load: { critical: Number.POSITIVE_INFINITY, margin: 0.5, holdMs: 5 * MINUTE_MS },
  cpu: { critical: Number.POSITIVE_INFINITY, margin: PERCENT_MARGIN, holdMs: 10 * MINUTE_MS },
};

export interface HostCollectorOptions extends Pick<HostFiguresOptions, "root" | "sizeOf"> {}

/** Figures of the host that are over their limits for long, with who causes it where that can be told. */
export function createHostCollector(deps: CollectorDeps, options: HostCollectorOptions = {}): Collector {
  const { clock, log, settings } = deps;
  const file = openStateFile(`${deps.stateDir}/host.json`, isState, log);
  const health = createHealth(clock);
  const work: Work = (report, signal) => watch({ deps, options, file, report, signal, health });
  return supervised(work, () => check(settings.thresholds, options), { name: "host", clock, log, health });
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly options: HostCollectorOptions;
  readonly file: StateFile<HostState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  readonly health: Health;
}

async function watch({ deps, options, file, report, signal, health }: WatchOptions): Promise<void> {
  const { clock, log, settings } = deps;
  const told = new Map<string, Level>(Object.entries(file.load() ?? {}));
  const followed = new Map<string, Threshold>();
  /** What gave no answer this time: whether it is still full is not known. */
  const unknown = new Set<string>();
  const silent = new Set<string>();
  const figures = createHostFigures({ ...options, failed, leftOut });
  let unwatched = 0;

  function leftOut(count: number): void {
    if (count > 0 && unwatched === 0) log.warn({ unwatched: count }, "more file systems are there than are watched");
    unwatched = count;
    health.gaveUp("file systems", count > 0 ? `${count} file systems that are too many to be watched` : undefined);
  }

  function failed(path: string, error: unknown): void {
    log.debug({ path, error: errorMessage(error) }, "a file system does not tell its size");
    silent.add(path);
    for (const source of sourcesOf(path)) unknown.add(source);
  }

  function thresholdOf({ name, source }: Figure, high: number): Threshold {
    const known = followed.get(source);
    if (known) return known;
    const { critical, ...shape } = SHAPES[name];
    const limits = { ...shape, high, critical: Math.max(critical, high) };
    const threshold = createThreshold(limits, clock, told.get(source));
    followed.set(source, threshold);
    return threshold;
  }

  async function look(): Promise<void> {
    unknown.clear();
    const seen = new Set<string>(["cpu"]);
    for (const figure of await figures.read()) {
      const high = settings.thresholds[figure.name];
      if (high === null) continue;
      seen.add(figure.source);
      // One that turned read-only while it was full is still full.
      if (figure.isReadOnly && !told.has(figure.source)) continue;
      const level = thresholdOf(figure, high).take(figure.value);
      if (level !== undefined) await tell(figure, level);
    }
    noteSilent();
    // A disk that was taken away is no longer full. The processors' figure is missing at the first look only.
    const gone = [...told.keys()].filter((source) => !seen.has(source) && !unknown.has(source));
    for (const source of gone) await tellGone(source);
  }

  /** What still owes its first answer is not asked again, and not heard of again. */
  function noteSilent(): void {
    const paths = [...new Set([...silent, ...figures.stuck()])];
    silent.clear();
    health.gaveUp("silent", paths.length > 0 ? silentText(paths) : undefined);
  }

  async function tell(figure: Figure, level: Level): Promise<void> {
    const { source, text } = figure;
    // From critical to high it is better, but not well: nobody needs to be told.
    if (level === "high" && told.get(source) === "critical") return note(source, level);
    const state = level === "fine" ? "resolved" : "firing";
    const logs = state === "firing" ? await causesOf(figure.name) : "";
    await report({
      type: "host",
      source,
      message: text,
      ...(logs === "" ? {} : { logs }),
      ...(state === "firing" ? { severity: level === "critical" ? ("critical" as const) : ("warning" as const) } : {}),
      state,
      atMs: clock.now(),
    });
    note(source, level);
  }

  async function tellGone(source: string): Promise<void> {
    followed.delete(source);
    const message = `${source} is no longer there, or no longer watched`;
    await report({ type: "host", source, message, state: "resolved", atMs: clock.now() });
    note(source, "fine");
  }

  function note(source: string, level: Level): void {
    if (level === "fine") told.delete(source);
    else told.set(source, level);
    file.save(Object.fromEntries(told));
  }

  async function causesOf(name: FigureName): Promise<string> {
    if (name === "memory" || name === "swap") return topByMemory(options.root);
    return name === "cpu" || name === "load" ? topByCpu(clock, signal, options.root) : "";
  }

  while (!signal.aborted) {
    await look();
    health.watches();
    await clock.sleep(INTERVAL_MS, signal);
  }
}

async function check(thresholds: Thresholds, options: HostCollectorOptions): Promise<CollectorCheck> {
  const name = "host";
  try {
    let unwatched = 0;
    const silent: string[] = [];
    const leftOut = (count: number) => {
      unwatched = count;
    };
    const failed = (path: string) => void silent.push(path);
    const figures = await createHostFigures({ ...options, failed, leftOut }).read();
    const disks = figures
      .filter((one) => one.name === "disk")
      .map(({ source, value }) => `${source} ${Math.round(value)} %`);
    const limits = Object.entries(thresholds).map(([figure, limit]) => `${figure} ${limit ?? "off"}`);
    const more = unwatched > 0 ? ` (and ${unwatched} more that are too many to be watched)` : "";
    const unheard = silent.length > 0 ? `; ${silentText(silent)}` : "";
    return {
      name,
      ok: true,
      detail: `watches ${limits.join(", ")}; disks now: ${disks.join(", ")}${more}${unheard}`,
    };
  } catch (error) {
    return { name, ok: false, detail: errorMessage(error) };
  }
}

function silentText(paths: readonly string[]): string {
  return `no answer of ${paths.join(", ")}: how full that is cannot be seen`;
}

function isState(value: unknown): value is HostState {
  return isRecord(value) && Object.values(value).every((one) => one === "high" || one === "critical");
}
