import { existsSync } from "node:fs";
import { errorMessage } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { MissingProgramError } from "../run-process.ts";
import {
  type CollectorDeps,
  createLookPace,
  lookIntervalMs,
  RECENT_MS,
  SAVE_INTERVAL_MS,
  SETTLE_MS,
} from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn } from "./episodes.ts";
import { createJournal, isBadCursor, type Journal } from "./journal.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";
import { listFailed } from "./systemctl.ts";
import { createUnitWatch } from "./systemd-units.ts";

interface SystemdState {
  readonly cursor?: string;
  readonly episodes?: Record<string, Episode>;
}

/** All that systemd itself writes; no other program can write in its name. */
const MATCHES = ["_PID=1"];

/**
 * Units that fail, from systemd's own entries in the journal: each is an alert with the unit's last log lines, or counts. How
 * units recover is asked of systemctl, and only while something is broken. What failed while the agent was away is read
 * from the journal behind the saved cursor; what the journal no longer has shows in the list of failed units.
 */
export function createSystemdCollector(deps: CollectorDeps): Collector {
  const { clock, log } = deps;
  const journal = createJournal(deps);
  const file = openStateFile(`${deps.stateDir}/systemd.json`, isState, log);
  const work: Work = (report, signal) => watch({ deps, journal, file, report, signal });
  return supervised(work, () => check(deps, journal), { name: "systemd", clock, log });
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly journal: Journal;
  readonly file: StateFile<SystemdState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
}

/** From the saved place on until the journal's reader ends. */
async function watch({ deps, journal, file, report, signal }: WatchOptions): Promise<void> {
  const { clock } = deps;
  const { recoveryMs } = deps.settings;
  const state = file.load() ?? {};
  let cursor = state.cursor;
  let savedMs = clock.monotonicMs();
  const episodes = createEpisodes({
    type: "systemd",
    clock,
    report,
    recoveryMs,
    initial: episodesIn(state.episodes),
  });
  const logsOf = (unit: string, atMs: number) => readLogs(unit, atMs, { deps, journal, signal });
  const pace = createLookPace(clock, recoveryMs);
  const units = createUnitWatch({ episodes, deps, logsOf });

  function save(): void {
    savedMs = clock.monotonicMs();
    file.save({ ...(cursor === undefined ? {} : { cursor }), episodes: episodes.toJson() });
  }

  async function take(entry: JournalEntry): Promise<void> {
    const before = episodes.changes();
    pace.news();
    await units.hear(entry);
    cursor = entry.cursor;
    if (episodes.changes() !== before || clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS) save();
  }

  async function catchUp(): Promise<void> {
    if (cursor === undefined) cursor = await journal.end();
    else for await (const entry of journal.stored({ cursor, matches: MATCHES, signal })) await take(entry);
  }

  async function lookAgain(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      await clock.sleep(lookIntervalMs(recoveryMs), ending);
      if (ending.aborted || !pace.isTime() || episodes.sources().length === 0) continue;
      const before = episodes.changes();
      await units.look();
      if (episodes.changes() !== before) save();
    }
  }

  const ending = new AbortController();
  const untilEnd = AbortSignal.any([signal, ending.signal]);

  async function follow(): Promise<void> {
    for await (const entry of journal.follow({ cursor, matches: MATCHES, signal: untilEnd })) await take(entry);
  }

  try {
    await catchUp();
    await units.compare();
    save();
    await endTogether([follow(), lookAgain(untilEnd)], ending);
  } catch (error) {
    if (isBadCursor(error)) cursor = undefined;
    throw error;
  } finally {
    save();
  }
}

async function readLogs(
  unit: string,
  atMs: number,
  { deps: { clock }, journal, signal }: Pick<WatchOptions, "deps" | "journal" | "signal">,
): Promise<string> {
  const isRecent = clock.now() - atMs < RECENT_MS;
  if (isRecent) await clock.sleep(SETTLE_MS, signal);
  try {
    return await journal.linesOf(unit, isRecent ? undefined : atMs);
  } catch (error) {
    return `the log of ${unit} cannot be read: ${errorMessage(error)}`;
  }
}

async function check({ run }: CollectorDeps, journal: Journal): Promise<CollectorCheck> {
  const name = "systemd";
  try {
    const failed = await listFailed(run);
    const canRead = await journal.canRead(MATCHES);
    if (!canRead) return { name, ok: false, detail: `this user may not read the system's journal (${JOURNAL_HINT})` };
    const now = failed.length === 0 ? "none has failed" : `failed now: ${failed.join(", ")}`;
    return { name, ok: true, detail: `watches all units by the journal; ${now}` };
  } catch (error) {
    const isAbsent = error instanceof MissingProgramError || !existsSync(BOOTED);
    if (isAbsent) return { name, ok: true, detail: `this host does not run systemd: ${errorMessage(error)}` };
    return { name, ok: false, detail: errorMessage(error) };
  }
}

/** Where systemd is process 1 this is there. */
const BOOTED = "/run/systemd/system";
const JOURNAL_HINT = "make it a member of the group systemd-journal, as `opspilot agent install` does";

function isState(value: unknown): value is SystemdState {
  return isRecord(value) && (value.cursor === undefined || typeof value.cursor === "string");
}
