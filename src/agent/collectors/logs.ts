import { accessSync, constants } from "node:fs";
import type { LogRule, LogTargetKind } from "../../config/log-rules.ts";
import { errorCode, errorMessage } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { type CollectorDeps, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn, logGivenUp } from "./episodes.ts";
import type { FilePlace } from "./file-tail.ts";
import { createJournal } from "./journal.ts";
import { createLogContainers, type OutputPlace, outputPlacesIn } from "./log-containers.ts";
import { createLogFiles, leftOutOf, pathsOf } from "./log-files.ts";
import { createLogAlerts } from "./log-lines.ts";
import { createLogUnits } from "./log-units.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";

interface LogsState {
  readonly cursor?: string;
  readonly files?: Record<string, FilePlace>;
  readonly containers?: Record<string, OutputPlace>;
  readonly episodes?: Record<string, Episode>;
}

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
  const work: Work = (report, signal) => watch({ deps, filePollMs, file, report, signal });
  const collector = supervised(work, async () => check(settings.logRules, clock.now()), { name: "logs", clock, log });
  return settings.logRules.length > 0 ? collector : { ...collector, start: () => undefined };
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly filePollMs: number;
  readonly file: StateFile<LogsState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
}

async function watch({ deps, filePollMs, file, report, signal }: WatchOptions): Promise<void> {
  const { clock, log, docker, settings } = deps;
  const state = file.load() ?? {};
  const episodes = createEpisodes({
    type: "log",
    clock,
    report,
    recoveryMs: settings.recoveryMs,
    counted: "lines so far",
    initial: episodesIn(state.episodes),
    gaveUp: logGivenUp(log),
  });
  const alerts = createLogAlerts({ episodes, clock });
  const ending = new AbortController();
  const rulesOf = (kind: LogTargetKind) => settings.logRules.filter((rule) => rule.kind === kind);
  const common = { alerts, clock, log, signal: AbortSignal.any([signal, ending.signal]) };
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
    await endTogether([...works, tick()], ending);
  } finally {
    await alerts.flush();
    save();
  }
}

function check(rules: readonly LogRule[], nowMs: number): CollectorCheck {
  const name = "logs";
  if (rules.length === 0) return { name, ok: true, detail: "no rules (OPSPILOT_PATTERNS sets some)" };
  const unreadable = rules
    .filter(({ kind }) => kind === "file")
    .flatMap(({ target }) => pathsOf(target).flatMap(faultOf));
  const leftOut = leftOutOf(
    rules.filter(({ kind }) => kind === "file"),
    nowMs,
  );
  const more =
    leftOut === 0
      ? ""
      : ` (${leftOut} files that match are not followed, since too many do: those that changed last are)`;
  const places = [...new Set(rules.map(({ kind, target }) => `${kind} ${target}`))].join(", ") + more;
  if (unreadable.length === 0) return { name, ok: true, detail: `watches ${places}` };
  return { name, ok: false, detail: `watches ${places}, but: ${unreadable.join("; ")}` };
}

/** One that is not there yet is no fault. */
function faultOf(path: string): string[] {
  try {
    accessSync(path, constants.R_OK);
    return [];
  } catch (error) {
    return errorCode(error) === "ENOENT" ? [] : [errorMessage(error)];
  }
}

function isState(value: unknown): value is LogsState {
  return isRecord(value) && [value.files, value.containers].every((one) => one === undefined || isRecord(one));
}
