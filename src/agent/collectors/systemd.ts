import { existsSync } from "node:fs";
import { errorMessage } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { readBootId } from "../moments.ts";
import { type CollectorDeps, createLookPace, lookIntervalMs, RECENT_MS, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn, tellGivenUp } from "./episodes.ts";
import { createHealth, type Health } from "./health.ts";
import { createJournal, isBadCursor, type Journal } from "./journal.ts";
import type { JournalEntry } from "./journal-entry.ts";
import type { RunLog, RunOfUnit } from "./journal-run.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";
import { listFailed, showUnits } from "./systemctl.ts";
import { createUnitWatch, type UnitMemory, unitMemoryIn } from "./systemd-units.ts";

interface SystemdState {
  readonly cursor?: string;
  readonly episodes?: Record<string, Episode>;
  readonly units?: UnitMemory;
}

/** All that systemd itself writes; no other program can write in its name. */
const MATCHES = ["_PID=1"];

export interface SystemdCollectorOptions {
  /** Where systemd is process 1 this is there; for tests. */
  readonly bootedPath?: string;
}

/**
 * Units that fail, from systemd's own entries in the journal: each is an alert with the unit's last log lines, or counts. How
 * units recover is asked of systemctl, and only while something is broken. What failed while the agent was away is read
 * from the journal behind the saved cursor; what the journal no longer has shows in the list of failed units.
 */
export function createSystemdCollector(deps: CollectorDeps, options: SystemdCollectorOptions = {}): Collector {
  const { clock, log } = deps;
  const journal = createJournal(deps);
  const file = openStateFile(`${deps.stateDir}/systemd.json`, isState, log);
  const health = createHealth(clock);
  const isBooted = () => existsSync(options.bootedPath ?? BOOTED);
  const work: Work = (report, signal) => watch({ deps, journal, file, report, signal, health });
  const judge = () => ({ isAbsent: !isBooted() });
  return supervised(work, () => check(deps, journal, isBooted), { name: "systemd", clock, log, health, judge });
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly journal: Journal;
  readonly file: StateFile<SystemdState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  readonly health: Health;
}

/** From the saved place on until the journal's reader ends. */
async function watch({ deps, journal, file, report, signal, health }: WatchOptions): Promise<void> {
  const { clock } = deps;
  const { recoveryMs } = deps.settings;
  const state = file.load() ?? {};
  /** Up to where all was heard, and up to where all of that was told, too. */
  let heard = state.cursor;
  let cursor = state.cursor;
  let savedMs = clock.monotonicMs();
  let savedChanges = 0;
  let settling = Promise.resolve();
  const episodes = createEpisodes({
    type: "systemd",
    clock,
    report,
    recoveryMs,
    initial: episodesIn(state.episodes),
    gaveUp: tellGivenUp(deps.log, health),
  });
  const pace = createLookPace(clock, recoveryMs);
  const units = createUnitWatch({
    episodes,
    deps,
    boot: readBootId(),
    memory: unitMemoryIn(state.units),
    health,
    readRun: (run) => readRun(run, undefined, { deps, journal }),
    logsOf: (run, atMs, lagMs) => readLogs({ run, atMs, lagMs }, { deps, journal, signal }),
  });

  function save(): void {
    savedMs = clock.monotonicMs();
    savedChanges = episodes.changes();
    const place = cursor === undefined ? {} : { cursor };
    file.save({ ...place, episodes: episodes.toJson(), units: units.memory() });
  }

  async function take(entry: JournalEntry): Promise<void> {
    pace.news();
    await units.hear(entry);
    heard = entry.cursor;
    settling = units.told().then(() => settled(entry.cursor));
  }

  function settled(place: string): void {
    cursor = place;
    if (episodes.changes() !== savedChanges || clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS) save();
  }

  async function catchUp(): Promise<void> {
    if (heard === undefined) heard = cursor = await journal.end();
    else for await (const entry of journal.stored({ cursor: heard, matches: MATCHES, signal })) await take(entry);
    await settling;
  }

  async function lookAgain(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      await clock.sleep(lookIntervalMs(recoveryMs), ending);
      if (ending.aborted || !pace.isTime() || !units.isAnyBroken()) continue;
      const before = episodes.changes();
      await units.look();
      if (episodes.changes() !== before) save();
    }
  }

  const ending = new AbortController();
  const untilEnd = AbortSignal.any([signal, ending.signal]);

  async function follow(): Promise<void> {
    for await (const entry of journal.follow({ cursor: heard, matches: MATCHES, signal: untilEnd })) {
      health.watches();
      await take(entry);
    }
  }

  try {
    await catchUp();
    await units.compare();
    save();
    if (await journal.canRead(MATCHES)) health.watches();
    else health.fails(UNREADABLE);
    await endTogether([follow(), lookAgain(untilEnd)], ending);
  } catch (error) {
    if (isBadCursor(error)) cursor = undefined;
    throw error;
  } finally {
    await settling;
    save();
  }
}

/** A run's last words travel to the journal another way than the news of its end: they are waited for this long. */
const WORDS_MS = { least: 300, ofSilent: 1_000, most: 5_000 };
/** Where the news took milliseconds, since the host is busy, its words may take seconds. */
const WORDS_PER_LAG = 30;

interface LogsOptions {
  readonly run: RunOfUnit;
  readonly atMs: number;
  readonly lagMs: number;
}

/** Looks once, and again when nothing was there of the run's own. */
async function readLogs(
  { run, atMs, lagMs }: LogsOptions,
  { deps, journal, signal }: Pick<WatchOptions, "deps" | "journal" | "signal">,
): Promise<string> {
  const { clock } = deps;
  const isRecent = clock.now() - atMs < RECENT_MS;
  const waitMs = Math.min(Math.max(lagMs * WORDS_PER_LAG, WORDS_MS.least), WORDS_MS.most);
  if (isRecent) await clock.sleep(waitMs, signal);
  const log = await readRun(run, atMs, { deps, journal });
  if (!isRecent || waitMs >= WORDS_MS.ofSilent || log.hasOwnLines) return log.text;
  await clock.sleep(WORDS_MS.ofSilent - waitMs, signal);
  return (await readRun(run, atMs, { deps, journal })).text;
}

async function readRun(
  run: RunOfUnit,
  atMs: number | undefined,
  { deps: { clock }, journal }: Pick<WatchOptions, "deps" | "journal">,
): Promise<RunLog> {
  const isOld = atMs !== undefined && clock.now() - atMs >= RECENT_MS;
  try {
    return await journal.runOf(run, isOld ? atMs + WORDS_MS.most : undefined);
  } catch (error) {
    return { text: `the log of ${run.unit} cannot be read: ${errorMessage(error)}`, hasOwnLines: true, said: [] };
  }
}

/** Tries all that the work needs. */
async function check({ run }: CollectorDeps, journal: Journal, isBooted: () => boolean): Promise<CollectorCheck> {
  const name = "systemd";
  try {
    const failed = await listFailed(run);
    await showUnits(failed.length > 0 ? failed : [SURE_UNIT], run);
    if (!(await journal.canRead(MATCHES))) return { name, ok: false, detail: UNREADABLE };
    await journal.tryFollowing({ matches: MATCHES });
    const now = failed.length === 0 ? "none has failed" : `failed now: ${failed.join(", ")}`;
    return { name, ok: true, detail: `watches all units by the journal; ${now}` };
  } catch (error) {
    if (isBooted()) return { name, ok: false, detail: errorMessage(error) };
    return { name, ok: false, absent: true, detail: `this host does not run systemd: ${errorMessage(error)}` };
  }
}

/** Where systemd is process 1 this is there. */
const BOOTED = "/run/systemd/system";
/** Every systemd has this one. */
const SURE_UNIT = "init.scope";
const UNREADABLE =
  "this user may not read the system's journal (make it a member of the group systemd-journal, as `opspilot agent install` does)";

function isState(value: unknown): value is SystemdState {
  return isRecord(value) && (value.cursor === undefined || typeof value.cursor === "string");
}
