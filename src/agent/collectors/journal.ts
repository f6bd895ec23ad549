import type { Clock } from "../../lib/clock.ts";
import type { RunProcess } from "../run-process.ts";
import { ChildEndedError, childLines } from "./child-lines.ts";
import { type JournalEntry, parseEntry } from "./journal-entry.ts";
import { type RunLog, type RunOfUnit, readRun } from "./journal-run.ts";

export interface JournalDeps {
  readonly run: RunProcess;
  readonly searchPath: string;
  readonly clock: Clock;
}

export interface FollowOptions {
  /** Where to go on; undefined for what comes from now on. */
  readonly cursor: string | undefined;
  /** journalctl's matches, such as `_PID=1`; `+` stands between alternatives. None: everything. */
  readonly matches: readonly string[];
  /** Whether fields of more than 4 KiB are wanted, too. */
  readonly all?: boolean;
  readonly signal: AbortSignal;
}

/** The system's journal, read by the program that belongs to it, since its files differ from version to version. */
export interface Journal {
  /** The end of the journal as a cursor; undefined when there is nothing in it yet. */
  end(): Promise<string | undefined>;
  /** What is there after the cursor, to its end. */
  stored(options: FollowOptions & { cursor: string }): AsyncGenerator<JournalEntry>;
  /** What comes after the cursor, for ever. */
  follow(options: FollowOptions): AsyncGenerator<JournalEntry>;
  /** Follows for a moment, as `follow` does; throws what that would throw. */
  tryFollowing(options: Pick<FollowOptions, "matches" | "all">): Promise<void>;
  /** Whether this user sees any such entry. */
  canRead(matches: readonly string[]): Promise<boolean>;
  /** What one run of a unit wrote; not later than this when given. */
  runOf(run: RunOfUnit, untilMs?: number): Promise<RunLog>;
}

/** For the last lines of a run this is enough, its stack traces and later runs included. */
const RUN_ENTRIES_MAX = 3000;
/** An entry with an attachment (a core dump's, say) is longer, and left out. */
const ENTRY_BYTES_MAX = 1024 * 1024;
const LIMIT_MS = 20_000;
/**
 * A reader that follows hears of new entries by inotify, which tells nothing in some sandboxes (seen with systemd 252's
 * ProtectControlGroups in a container): after this, another one reads on from the same place.
 */
const FOLLOW_MS = 60_000;
/** A reader that may not read ends sooner. */
const TRY_MS = 500;

/** Opens nothing yet. */
export function createJournal({ run, searchPath, clock }: JournalDeps): Journal {
  async function* read(words: readonly string[], { cursor, matches, all, signal }: FollowOptions) {
    // Not --after-cursor: when the cursor's own entry does not match, version 252 leaves out the first that does.
    const from = cursor === undefined ? ["--lines=0"] : ["--no-tail", `--cursor=${cursor}`];
    for await (const entry of entries([...(all ? ["--all"] : []), ...words, ...from, ...matches], signal))
      if (entry.cursor !== cursor) yield entry;
  }

  async function* entries(words: readonly string[], signal: AbortSignal): AsyncGenerator<JournalEntry> {
    const command = ["journalctl", "--no-pager", "--quiet", "--output=json", ...words];
    const options = { searchPath, clock, signal, lineBytesMax: ENTRY_BYTES_MAX };
    for await (const lines of childLines(command, options)) {
      for (const line of lines) {
        const entry = parseEntry(line);
        if (entry) yield entry;
      }
    }
  }

  async function* follow(options: FollowOptions) {
    let { cursor } = options;
    while (!options.signal.aborted) {
      const turn = cursor === undefined ? [] : [AbortSignal.timeout(FOLLOW_MS)];
      const signal = AbortSignal.any([options.signal, ...turn]);
      for await (const entry of read(["--follow"], { ...options, cursor, signal })) {
        cursor = entry.cursor;
        yield entry;
      }
      if (!signal.aborted) return;
    }
  }

  async function end(): Promise<string | undefined> {
    const { stdout } = await run(["journalctl", "--no-pager", "--lines=0", "--show-cursor"], { limitMs: LIMIT_MS });
    return /^-- cursor: (\S+)$/m.exec(stdout)?.[1];
  }

  return {
    end,
    stored: (options) => read([], options),
    follow,
    async tryFollowing(options) {
      const entry = follow({ ...options, cursor: await end(), signal: AbortSignal.timeout(TRY_MS) });
      await entry.next();
      await entry.return(undefined);
    },
    async canRead(matches) {
      const words = ["journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=1", ...matches];
      const { stdout } = await run(words, { limitMs: LIMIT_MS });
      return stdout !== "";
    },
    runOf(run, untilMs) {
      const until = untilMs === undefined ? [] : [`--until=@${Math.ceil(untilMs / 1000)}`];
      const words = ["--all", "--reverse", `--lines=${RUN_ENTRIES_MAX}`, ...until, ...matchesOf(run.unit)];
      return readRun(entries(words, AbortSignal.timeout(LIMIT_MS)), run);
    },
  };
}

/**
 * What a unit's processes write, what systemd and its children say of it before they become these (why there is no such user,
 * say: `--unit` leaves that out), and what helpers do, such as the trace of a core dump.
 */
function matchesOf(unit: string): string[] {
  const abouts = ["UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"];
  return [`_SYSTEMD_UNIT=${unit}`, ...abouts.flatMap((field) => ["+", `${field}=${unit}`, "_UID=0"])];
}

/** True when journalctl could not make sense of a cursor: it is from another machine, or a damaged file. */
export function isBadCursor(error: unknown): boolean {
  return error instanceof ChildEndedError && /seek to cursor|parse cursor|Invalid argument/i.test(error.message);
}
