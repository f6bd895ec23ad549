import { stripControls } from "../../lib/controls.ts";
import { LOG_LINES } from "../../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../../protocol/limits.ts";
import { keepEnds } from "../../protocol/text.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { lastLines } from "./log-excerpt.ts";

/** One run of a unit, from its start to its end. */
export interface RunOfUnit {
  readonly unit: string;
  /** systemd's name of the run; undefined before version 232, and for a job that began none. */
  readonly invocation: string | undefined;
}

/** What the journal has of one run. */
export interface RunLog {
  /** Its last lines as a person reads them, with what systemd says about it. */
  readonly text: string;
  /** Whether anybody but systemd's first process wrote something. */
  readonly hasOwnLines: boolean;
  /** What systemd's first process wrote, in order. */
  readonly said: readonly JournalEntry[];
}

/** A unit's job began, and was done. */
const BEGINNINGS = ["7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf"];
const LINE_CHARS_MAX = 4096;

/**
 * Takes a unit's entries from the newest to the oldest, as far back as the run goes. Its bounds are the entries of systemd's first
 * process, which always name the run. What the unit's own processes write does not on a busy host (seen with systemd 252): of a
 * program that ended at once the journal knows the unit only, or believes it to be of the run that came next. So it is the
 * run's when it stands within its bounds, unless it names the run before; or after them, when it names it or none.
 */
export async function readRun(entries: AsyncIterable<JournalEntry>, { unit, invocation }: RunOfUnit): Promise<RunLog> {
  const taken: JournalEntry[] = [];
  let between: JournalEntry[] = [];
  let isInside = false;
  const names = (entry: JournalEntry) => invocation !== undefined && invocationOf(entry, unit) === invocation;
  for await (const entry of entries) {
    const run = invocationOf(entry, unit);
    if (!isOfManager(entry) || (run === undefined && invocation !== undefined)) {
      between.push(entry);
    } else if (run === invocation || invocation === undefined) {
      const isOwn = (one: JournalEntry) => isInside || [undefined, invocation].includes(invocationOf(one, unit));
      taken.push(...between.filter(isOwn), entry);
      between = [];
      isInside = true;
      if (invocation === undefined && isBeginning(entry)) return logOf(taken);
    } else if (isInside) {
      const own = taken.filter((one) => invocationOf(one, unit) !== run);
      const isSilent = own.every(isOfManager);
      const isOwn = (one: JournalEntry) =>
        names(one) || (isSilent && ![undefined, run].includes(invocationOf(one, unit)));
      return logOf([...own, ...between.filter(isOwn)]);
    } else {
      taken.push(...between.filter(names));
      between = [];
    }
  }
  // Nothing is older than these.
  return logOf([...taken, ...(isInside ? between : between.filter(names))]);
}

function logOf(newestFirst: readonly JournalEntry[]): RunLog {
  const taken = newestFirst.toReversed();
  const lines = lastLines(taken.flatMap(linesOf), LOG_LINES);
  return {
    text: keepEnds(lines.join("\n"), OUTPUT_BYTES_MAX),
    hasOwnLines: taken.some((entry) => !isOfManager(entry)),
    said: taken.filter(isOfManager),
  };
}

/** The run that an entry is of, where it says so: one about a unit, of its processes, or of a helper such as systemd-coredump. */
function invocationOf(entry: JournalEntry, unit: string): string | undefined {
  const name =
    entry.field("UNIT") === unit
      ? "INVOCATION_ID"
      : entry.field("_SYSTEMD_UNIT") === unit
        ? "_SYSTEMD_INVOCATION_ID"
        : "OBJECT_SYSTEMD_INVOCATION_ID";
  return entry.field(name) || undefined;
}

function isOfManager(entry: JournalEntry): boolean {
  return entry.field("_PID") === "1";
}

function isBeginning(entry: JournalEntry): boolean {
  return isOfManager(entry) && BEGINNINGS.includes(entry.field("MESSAGE_ID") ?? "");
}

/** As `journalctl -o short-iso` writes it, in UTC. */
function linesOf(entry: JournalEntry): string[] {
  const when = `${new Date(entry.atMs).toISOString().slice(0, "2026-11-28T21:55:18".length)}+0000`;
  const who = entry.field("SYSLOG_IDENTIFIER") ?? entry.field("_COMM") ?? "unknown";
  const pid = entry.field("_PID") ?? entry.field("SYSLOG_PID");
  const [first = "", ...others] = stripControls(entry.message.trimEnd()).split("\n");
  const head = `${when} ${entry.field("_HOSTNAME") ?? "-"} ${who}${pid === undefined ? "" : `[${pid}]`}: `;
  return [head + first.slice(0, LINE_CHARS_MAX), ...others.map((line) => `    ${line.slice(0, LINE_CHARS_MAX)}`)];
}
