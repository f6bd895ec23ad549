import { existsSync, readFileSync } from "node:fs";
import { errorMessage } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { createMoments, readBootId } from "../moments.ts";
import { MissingProgramError } from "../run-process.ts";
import { type CollectorDeps, SAVE_INTERVAL_MS } from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, episodesIn, tellGivenUp } from "./episodes.ts";
import { happeningKey } from "./happening.ts";
import { countGivenUp, createHealth, type Health } from "./health.ts";
import { createJournal, isBadCursor, type Journal } from "./journal.ts";
import { atNow } from "./journal-entry.ts";
import { createKernelReader } from "./kernel-lines.ts";
import { readKmsg, tryKmsg } from "./kmsg.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import { supervised, type Work } from "./supervise.ts";

interface KernelState {
  /** In the journal, or, without one, `boot id:sequence` in the kernel's own log. */
  readonly cursor?: string;
  readonly episodes?: Record<string, Episode>;
}

/** One line, wherever it was read. */
interface KernelLine {
  readonly cursor: string;
  readonly atMs: number;
  readonly message: string;
}

/** What the kernel itself has written, also before the last start of the machine. */
const MATCHES = ["_TRANSPORT=kernel", "SYSLOG_IDENTIFIER=kernel"];
const KMSG = "/dev/kmsg";
const CONTEXT_LINES = 100;
/** Its stack and its table of processes come before the line that names the victim; nothing of use comes later. */
const LOOK_MS = 10_000;
/** After this time without another, a lack of memory is over. */
const QUIET_MS = 1_800_000;

export interface KernelCollectorOptions {
  /** For tests. */
  readonly kmsgPath?: string;
}

/** Kills for lack of memory, and errors of file systems and disks, from the kernel's log: by the journal, or by /dev/kmsg. */
export function createKernelCollector(deps: CollectorDeps, options: KernelCollectorOptions = {}): Collector {
  const { clock, log } = deps;
  const journal = createJournal(deps);
  const file = openStateFile(`${deps.stateDir}/kernel.json`, isState, log);
  const kmsgPath = options.kmsgPath ?? KMSG;
  const health = createHealth(clock);
  const work: Work = (report, signal) => watch({ deps, journal, kmsgPath, file, report, signal, health });
  return supervised(work, () => check({ journal, kmsgPath, clock }), { name: "kernel", clock, log, health });
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly journal: Journal;
  readonly kmsgPath: string;
  readonly file: StateFile<KernelState>;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  readonly health: Health;
}

async function watch({ deps, journal, kmsgPath, file, report, signal, health }: WatchOptions): Promise<void> {
  const { clock } = deps;
  const state = file.load() ?? {};
  const initial = episodesIn(state.episodes);
  const { recoveryMs } = deps.settings;
  const gaveUp = tellGivenUp(deps.log, health);
  const episodes = createEpisodes({ type: "host", clock, report, recoveryMs, initial, gaveUp });
  const reader = createKernelReader();
  const context: string[] = [];
  /** Momentary troubles, and when they were seen last. */
  const momentary = new Map<string, number>(
    Object.keys(initial).includes("oom-killer") ? [["oom-killer", clock.monotonicMs()]] : [],
  );
  let cursor = state.cursor;
  let savedMs = clock.monotonicMs();

  function save(): void {
    savedMs = clock.monotonicMs();
    file.save({ ...(cursor === undefined ? {} : { cursor }), episodes: episodes.toJson() });
  }

  async function take(line: KernelLine): Promise<void> {
    context.push(line.message);
    if (context.length > CONTEXT_LINES) context.shift();
    const before = episodes.changes();
    const trouble = reader.take(line.message);
    if (trouble) {
      const { source, what, severity, isMomentary } = trouble;
      if (isMomentary) momentary.set(source, clock.monotonicMs());
      const key = happeningKey(line.cursor);
      await episodes.fail({ source, what, severity, atMs: line.atMs, key, logs: async () => context.join("\n") });
    }
    cursor = line.cursor;
    if (episodes.changes() !== before || clock.monotonicMs() - savedMs > SAVE_INTERVAL_MS) save();
  }

  const ending = new AbortController();
  const untilEnd = AbortSignal.any([signal, ending.signal]);

  async function follow(): Promise<void> {
    const lines = linesFrom({ journal, kmsgPath, cursor, clock, signal: untilEnd, health });
    for await (const line of lines) {
      health.watches();
      await take(line);
    }
  }

  async function settle(): Promise<void> {
    while (!untilEnd.aborted) {
      await clock.sleep(LOOK_MS, untilEnd);
      if (untilEnd.aborted) return;
      const before = episodes.changes();
      await episodes.tick();
      for (const [source, seenMs] of momentary) {
        if (clock.monotonicMs() - seenMs < QUIET_MS) continue;
        momentary.delete(source);
        await episodes.recover(source, "has killed nothing for 30 minutes");
      }
      if (episodes.changes() !== before) save();
    }
  }

  try {
    cursor ??= await endOf(journal);
    await endTogether([follow(), settle()], ending);
  } catch (error) {
    if (isBadCursor(error)) cursor = undefined;
    throw error;
  } finally {
    save();
  }
}

async function endOf(journal: Journal): Promise<string | undefined> {
  try {
    return await journal.end();
  } catch (error) {
    if (error instanceof MissingProgramError) return undefined;
    throw error;
  }
}

type LinesOptions = Pick<WatchOptions, "journal" | "kmsgPath" | "signal" | "health"> & {
  readonly cursor: string | undefined;
  readonly clock: CollectorDeps["clock"];
};

async function* linesFrom(options: LinesOptions): AsyncGenerator<KernelLine> {
  const { journal, kmsgPath, cursor, clock, signal, health } = options;
  const moments = createMoments(clock);
  const isOfJournal = cursor === undefined || !cursor.startsWith("kmsg ");
  try {
    if (await seesKernel(journal, kmsgPath)) health.watches();
    else health.fails(UNREADABLE);
    const follow = { cursor: isOfJournal ? cursor : undefined, matches: MATCHES, signal };
    for await (const entry of journal.follow(follow))
      yield { message: entry.message, cursor: entry.cursor, atMs: atNow(entry, moments) };
  } catch (error) {
    if (!(error instanceof MissingProgramError)) throw error;
    yield* kmsgLines(options);
  }
}

/** Without a cursor only what comes from now on counts, else what comes after it. */
async function* kmsgLines({ kmsgPath, cursor, clock, signal, health }: LinesOptions): AsyncGenerator<KernelLine> {
  const boot = readBootId();
  const uptimeUs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e6;
  const beganMs = clock.monotonicMs();
  const [, knownBoot, sequence] = /^kmsg (\S+) (\d+)$/.exec(cursor ?? "") ?? [];
  const overwritten = countGivenUp(
    health,
    "records",
    (count) => `lines of the kernel that were overwritten before they were read (${count} times)`,
  );
  for await (const record of readKmsg(kmsgPath, { clock, signal, opened: health.watches, overwritten })) {
    const isOld =
      knownBoot === undefined
        ? record.monotonicUs < uptimeUs
        : knownBoot === boot && record.sequence <= Number(sequence);
    if (isOld) continue;
    const ageMs = (uptimeUs - record.monotonicUs) / 1000 + clock.monotonicMs() - beganMs;
    const atMs = Math.round(clock.now() - Math.max(0, ageMs));
    yield { cursor: `kmsg ${boot} ${record.sequence}`, atMs, message: record.message };
  }
}

const UNREADABLE =
  "there is nothing of the kernel in the journal that this user may read (make its user a member of the group " +
  "systemd-journal, as `opspilot agent install` does)";

/**
 * The journal of a host that runs for long may have lost what the kernel wrote at the start: then it must have the system's own
 * entries, which are as hard to read, and a kernel's log to be fed from, as containers have none.
 */
async function seesKernel(journal: Journal, kmsgPath: string): Promise<boolean> {
  return (await journal.canRead(MATCHES)) || (existsSync(kmsgPath) && (await journal.canRead(["_PID=1"])));
}

/** Tries all that the work needs. */
async function check({ journal, kmsgPath, clock }: Pick<LinesOptions, "journal" | "kmsgPath" | "clock">) {
  const name = "kernel";
  const no = (detail: string): CollectorCheck => ({ name, ok: false, detail });
  try {
    if (!(await seesKernel(journal, kmsgPath))) return no(UNREADABLE);
    await journal.tryFollowing({ matches: MATCHES });
    return { name, ok: true, detail: "watches the kernel's log by the journal" };
  } catch (error) {
    if (!(error instanceof MissingProgramError)) return no(errorMessage(error));
  }
  try {
    await tryKmsg(kmsgPath, clock);
    return { name, ok: true, detail: `watches the kernel's log by ${kmsgPath}` };
  } catch (error) {
    return no(`there is no journal, and ${kmsgPath} cannot be read: ${errorMessage(error)}`);
  }
}

function isState(value: unknown): value is KernelState {
  return isRecord(value) && (value.cursor === undefined || typeof value.cursor === "string");
}
