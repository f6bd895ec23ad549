import type { LogTargetKind } from "../../config/log-rules.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { type CollectorDeps, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn, tellGivenUp } from "./episodes.ts";
import type { FilePlace } from "./file-tail.ts";
import { createHealth, type Health } from "./health.ts";
import { createJournal } from "./journal.ts";
import {
  CONTAINERS_PART,
  createLogContainers,
  faultsOfContainers,
  type OutputPlace,
  outputPlacesIn,
} from "./log-containers.ts";
import { createLogFiles, FILES_PART, tryFiles } from "./log-files.ts";
import { createLogAlerts } from "./log-lines.ts";
import { createLogUnits, faultOfUnits, UNITS_PART } from "./log-units.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";

interface LogsState {
  readonly cursor?: string;
  readonly files?: Record<string, FilePlace>;
  readonly containers?: Record<string, OutputPlace>;
  readonly episodes?: Record<string, Episode>;
}

/** Of the collector's health, by the kind of the rules. */
const PARTS: Readonly<Record<LogTargetKind, string>> = {
  unit: UNITS_PART,
  file: FILES_PART,
  container: CONTAINERS_PART,
};

const TICK_MS = 500;
const FILE_POLL_MS = 1_000;

export interface LogsCollectorOptions {
  /** How often files are looked at. */
  readonly filePollMs?: number;
}

/** Lines of units, containers and files that match the rules: the first of a kind is an alert, the others are counted. */
export function createLogsCollector(deps: CollectorDeps, options: LogsCollectorOptions = {}): Collector {
  const { clock, log, settings } = deps;
  const file = openStateFile(`${deps.stateDir}/logs.json`, isState, log);
  const filePollMs = options.filePollMs ?? FILE_POLL_MS;
  const kinds = new Set(settings.logRules.map(({ kind }) => kind));
  const health = createHealth(
    clock,
    [...kinds].map((kind) => PARTS[kind]),
  );
  const work: Work = (report, signal) => watch({ deps, filePollMs, file, report, signal, health });
  const collector = supervised(work, () => check(deps), { name: "logs", clock, log, health, judge: () => PART_OF_ALL });
  return settings.logRules.length > 0 ? collector : { ...collector, start: () => undefined, health: () => undefined };
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly filePollMs: number;
  readonly file: StateFile<LogsState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  readonly health: Health;
}

/** A failure of what is common to all kinds of rules. */
const PART_OF_ALL = { part: "all" };

async function watch({ deps, filePollMs, file, report, signal, health }: WatchOptions): Promise<void> {
  const { clock, log, docker, settings } = deps;
  const state = file.load() ?? {};
  const episodes = createEpisodes({
    type: "log",
    clock,
    report,
    recoveryMs: settings.recoveryMs,
    counted: "lines so far",
    initial: episodesIn(state.episodes),
    gaveUp: tellGivenUp(log, health),
  });
  const alerts = createLogAlerts({ episodes, clock });
  const ending = new AbortController();
  const rulesOf = (kind: LogTargetKind) => settings.logRules.filter((rule) => rule.kind === kind);
  const common = { alerts, clock, log, health, signal: AbortSignal.any([signal, ending.signal]) };
  const units = createLogUnits({
    ...common,
    rules: rulesOf("unit"),
    cursor: state.cursor,
    journal: createJournal(deps),
  });
  const files = createLogFiles({ ...common, rules: rulesOf("file"), places: state.files ?? {}, pollMs: filePollMs });
  const containers = createLogContainers({
    ...common,
    rules: rulesOf("container"),
    places: outputPlacesIn(state.containers, clock),
    docker,
    isToldElsewhere: settings.enabled.includes("docker"),
  });
  let savedMs = clock.monotonicMs();
  let savedChanges = episodes.changes();

  function save(): void {
    savedMs = clock.monotonicMs();
    savedChanges = episodes.changes();
    const cursor = units.cursor();
    file.save({
      ...(cursor === undefined ? {} : { cursor }),
      files: files.places(),
      containers: containers.places(),
      episodes: episodes.toJson(),
    });
  }

  function saveSometimes(): void {
    const isTime = episodes.changes() !== savedChanges || clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS;
    if (isTime && !alerts.isWaiting()) save();
  }

  async function tick(): Promise<void> {
    while (!common.signal.aborted) {
      await clock.sleep(TICK_MS, common.signal);
      await alerts.tick();
      saveSometimes();
    }
  }

  const works = [
    ...(rulesOf("unit").length > 0 ? [units.run(saveSometimes)] : []),
    ...(rulesOf("file").length > 0 ? [files.run(saveSometimes)] : []),
    ...(rulesOf("container").length > 0 ? [containers.run(saveSometimes)] : []),
  ];
  try {
    health.watches(PART_OF_ALL.part);
    await endTogether([...works, tick()], ending);
  } finally {
    await alerts.flush();
    save();
  }
}

/** Tries what each rule needs. */
async function check(deps: CollectorDeps): Promise<CollectorCheck> {
  const name = "logs";
  const rules = deps.settings.logRules;
  if (rules.length === 0) return { name, ok: true, detail: "no rules (OPSPILOT_PATTERNS sets some)" };
  const rulesOf = (kind: LogTargetKind) => rules.filter((rule) => rule.kind === kind);
  const files = tryFiles(rulesOf("file"), deps.clock.now());
  const [ofUnits, ofContainers] = [rulesOf("unit"), rulesOf("container")];
  const faults = [
    ...files.faults,
    ...(ofUnits.length > 0 ? [await faultOfUnits(ofUnits, createJournal(deps))] : []),
    ...(ofContainers.length > 0 ? await faultsOfContainers(ofContainers, deps.docker) : []),
  ].filter((fault) => fault !== undefined);
  const more = files.leftOut === undefined ? "" : ` (${files.leftOut})`;
  const places = [...new Set(rules.map(({ kind, target }) => `${kind} ${target}`))].join(", ") + more;
  if (faults.length === 0) return { name, ok: true, detail: `watches ${places}` };
  return { name, ok: false, detail: `watches ${places}, but: ${faults.join("; ")}` };
}

function isState(value: unknown): value is LogsState {
  return isRecord(value) && [value.files, value.containers].every((one) => one === undefined || isRecord(one));
}
