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
  /** The only fields that are wanted, beside place and time; all where the journal's program cannot choose (before version 236). */
  readonly fields?: readonly string[];
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
  /** The same in groups, as they came: for who expects many. */
  followGroups(options: FollowOptions): AsyncGenerator<JournalEntry[]>;
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
  let canChoose = true;

  async function* read(words: readonly string[], options: FollowOptions): AsyncGenerator<JournalEntry[]> {
    const { fields } = options;
    try {
      yield* readFields(words, canChoose ? options : { ...options, fields: undefined });
    } catch (error) {
      if (!(canChoose && fields && isUnknownOption(error))) throw error;
      canChoose = false;
      yield* readFields(words, { ...options, fields: undefined });
    }
  }

  async function* readFields(
    words: readonly string[],
    {
      cursor,
      matches,
      all,
      fields,
      signal,
    }: Omit<FollowOptions, "fields"> & { fields?: readonly string[] | undefined },
  ) {
    const chosen = fields === undefined ? [] : [`--output-fields=${fields.join(",")}`];
    // Not --after-cursor: when the cursor's own entry does not match, version 252 leaves out the first that does.
    const from = cursor === undefined ? ["--lines=0"] : ["--no-tail", `--cursor=${cursor}`];
    let isFirst = true;
    for await (const group of groups([...(all ? ["--all"] : []), ...chosen, ...words, ...from, ...matches], signal)) {
      const isKnown = isFirst && group[0]?.cursor === cursor;
      isFirst = false;
      yield isKnown ? group.slice(1) : group;
    }
  }

  async function* groups(words: readonly string[], signal: AbortSignal): AsyncGenerator<JournalEntry[]> {
    const command = ["journalctl", "--no-pager", "--quiet", "--output=json", ...words];
    const options = { searchPath, clock, signal, lineBytesMax: ENTRY_BYTES_MAX };
    for await (const lines of childLines(command, options)) {
      const group = lines.map(parseEntry).filter((entry) => entry !== undefined);
      if (group.length > 0) yield group;
    }
  }

  async function* followGroups(options: FollowOptions) {
    let { cursor } = options;
    while (!options.signal.aborted) {
      const turn = cursor === undefined ? [] : [AbortSignal.timeout(FOLLOW_MS)];
      const signal = AbortSignal.any([options.signal, ...turn]);
      let last: JournalEntry | undefined;
      for await (const group of read(["--follow"], { ...options, cursor, signal })) {
        last = group.at(-1) ?? last;
        yield group;
      }
      cursor = last?.cursor ?? cursor;
      if (!signal.aborted) return;
    }
  }

  async function end(): Promise<string | undefined> {
    const { stdout } = await run(["journalctl", "--no-pager", "--lines=0", "--show-cursor"], { limitMs: LIMIT_MS });
    return /^-- cursor: (\S+)$/m.exec(stdout)?.[1];
  }

  return {
    end,
    stored: (options) => eachOf(read([], options)),
    follow: (options) => eachOf(followGroups(options)),
    followGroups,
    async tryFollowing(options) {
      const entry = followGroups({ ...options, cursor: await end(), signal: AbortSignal.timeout(TRY_MS) });
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
      return readRun(eachOf(groups(words, AbortSignal.timeout(LIMIT_MS))), run);
    },
  };
}

async function* eachOf(groups: AsyncGenerator<JournalEntry[]>): AsyncGenerator<JournalEntry> {
  for await (const group of groups) yield* group;
}

/**
 * What a unit's processes write, what systemd and its children say of it before they become these (why there is no such user,
 * say: `--unit` leaves that out), and what helpers do, such as the trace of a core dump.
 */
function matchesOf(unit: string): string[] {
  const abouts = ["UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"];
  return [`_SYSTEMD_UNIT=${unit}`, ...abouts.flatMap((field) => ["+", `${field}=${unit}`, "_UID=0"])];
}

function isUnknownOption(error: unknown): boolean {
  return error instanceof ChildEndedError && /unrecognized option/i.test(error.message);
}

/** True when journalctl could not make sense of a cursor: it is from another machine, or a damaged file. */
export function isBadCursor(error: unknown): boolean {
  return error instanceof ChildEndedError && /seek to cursor|parse cursor|Invalid argument/i.test(error.message);
}
