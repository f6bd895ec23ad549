import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { matchesGlob } from "../../lib/glob.ts";
import type { Log } from "../../lib/log.ts";
import { unitName } from "../../protocol/commands.ts";
import { createMoments, type Moments } from "../moments.ts";
import { AGENT_UNIT } from "../service-commands.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import { countGivenUp, type Health } from "./health.ts";
import { isBadCursor, type Journal } from "./journal.ts";
import { atNow, type JournalEntry } from "./journal-entry.ts";
import type { LogAlerts, LogLine, LogSource } from "./log-lines.ts";
import { supervise } from "./supervise.ts";

export interface LogUnitsOptions {
  readonly rules: readonly LogRule[];
  readonly alerts: LogAlerts;
  readonly cursor: string | undefined;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly health: Health;
}

/** The part of the collector's health that is about units. */
export const UNITS_PART = "units";
const UNREADABLE =
  "this user may not read the journal (make it a member of the group systemd-journal, as `opspilot agent install` does)";

/** The others of an entry are most of it. */
const FIELDS = ["MESSAGE", "_SYSTEMD_UNIT"];
/** One entry may hold a whole file: a megabyte at most. */
const ENTRY_LINES_MAX = 10_000;
/** Of those that wrote last, the lines before are remembered. */
const UNITS_MAX = 1000;

/** Follows what the units write that the rules name: what the agent writes itself is never looked at. */
export function createLogUnits(options: LogUnitsOptions) {
  const { rules, alerts, journal, clock, log, signal, health } = options;
  const sources = createBoundedMap<LogSource | undefined>(UNITS_MAX);
  const patterns = rules.map((rule) => ({ rule, pattern: patternOf(rule) }));
  const matches = matchesOf(rules);
  /** The journal shows nothing else. */
  const soleUnit = matches.length === 1 ? patterns[0]?.pattern : undefined;
  const leftOut = countGivenUp(
    health,
    "entries",
    (count) => `what ${count} entries of the journal have beyond ${ENTRY_LINES_MAX} lines`,
  );
  const moments = createMoments(clock);
  /** The place where it began, and the last entry since. */
  let from = options.cursor;
  let last: JournalEntry | undefined;
  /** Of the last entry: the next one is often of the same unit. */
  let known: { readonly unit: string; readonly source: LogSource | undefined } | undefined;
  const cursor = (): string | undefined => last?.cursor ?? from;

  function sourceOf(unit: string): LogSource | undefined {
    if (sources.has(unit)) {
      const known = sources.get(unit);
      sources.set(unit, known);
      return known;
    }
    const own = patterns.filter(({ pattern }) => matchesGlob(pattern, unit)).map(({ rule }) => rule);
    const source = unit === AGENT_UNIT || own.length === 0 ? undefined : alerts.sourceOf(unit, own);
    sources.set(unit, source);
    return source;
  }

  function take(entry: JournalEntry): Promise<void> | undefined {
    last = entry;
    const unit = soleUnit ?? entry.field("_SYSTEMD_UNIT") ?? "";
    if (unit !== known?.unit) known = { unit, source: sourceOf(unit) };
    const { source } = known;
    return source && (entry.isOneLine() ? source.take(new UnitLine(entry, moments)) : takeEach(entry, source));
  }

  async function takeEach(entry: JournalEntry, source: LogSource): Promise<void> {
    const lines = entry.message.split("\n", ENTRY_LINES_MAX + 1);
    if (lines.length > ENTRY_LINES_MAX) leftOut();
    for (const [at, text] of lines.slice(0, ENTRY_LINES_MAX).entries())
      await source.take({ text, atMs: atNow(entry, moments), key: () => happeningKey(entry.cursor, String(at)) });
  }

  async function watch(ending: AbortSignal, changed: () => void): Promise<void> {
    try {
      if (cursor() === undefined) from = await journal.end();
      if (await mayRead(journal)) health.watches(UNITS_PART);
      else health.fails(UNREADABLE, { part: UNITS_PART });
      for await (const group of journal.followGroups({
        cursor: cursor(),
        matches,
        fields: FIELDS,
        all: true,
        signal: ending,
      })) {
        health.watches(UNITS_PART);
        for (const entry of group) {
          const taking = take(entry);
          if (taking) await taking;
        }
        changed();
      }
    } catch (error) {
      if (isBadCursor(error)) last = from = undefined;
      throw error;
    }
  }

  return {
    async run(changed: () => void): Promise<void> {
      const judge = () => ({ part: UNITS_PART });
      const supervising = { name: "logs of units", clock, log, health, judge };
      const running = supervise((ending) => watch(ending, changed), supervising);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await running.stop();
    },
    cursor,
  };
}

/** The only line of an entry. */
class UnitLine implements LogLine {
  readonly #entry: JournalEntry;
  readonly #moments: Moments;

  constructor(entry: JournalEntry, moments: Moments) {
    this.#entry = entry;
    this.#moments = moments;
  }

  get text(): string {
    return this.#entry.message;
  }

  get atMs(): number {
    return atNow(this.#entry, this.#moments);
  }

  key(): string {
    return happeningKey(this.#entry.cursor, "0");
  }

  mayHold(words: RegExp): boolean {
    return this.#entry.mayHold(words);
  }
}

/** Tries what following the units of these rules needs: why it cannot be done, undefined where it can. */
export async function faultOfUnits(rules: readonly LogRule[], journal: Journal): Promise<string | undefined> {
  try {
    if (!(await mayRead(journal))) return UNREADABLE;
    await journal.tryFollowing({ matches: matchesOf(rules), all: true });
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/** Messages of process 1 are the system's: who sees one may see all. */
function mayRead(journal: Journal): Promise<boolean> {
  return journal.canRead(["_PID=1"]);
}

function patternOf({ target }: LogRule): string {
  return target === "*" ? "*" : unitName(target);
}

/** journalctl knows no patterns here: when there are any, it gives everything. */
function matchesOf(rules: readonly LogRule[]): string[] {
  const units = rules.map(patternOf);
  if (units.some((unit) => /[*?]/.test(unit))) return [];
  return [...new Set(units)].map((unit) => `_SYSTEMD_UNIT=${unit}`);
}
