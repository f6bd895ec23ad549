import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { matchesGlob } from "../../lib/glob.ts";
import type { Log } from "../../lib/log.ts";
import { unitName } from "../../protocol/commands.ts";
import { createMoments } from "../moments.ts";
import { AGENT_UNIT } from "../service-commands.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import { isBadCursor, type Journal } from "./journal.ts";
import { atNow, type JournalEntry } from "./journal-entry.ts";
import type { LogAlerts, LogSource } from "./log-lines.ts";
import { supervise } from "./supervise.ts";

export interface LogUnitsOptions {
  readonly rules: readonly LogRule[];
  readonly alerts: LogAlerts;
  readonly cursor: string | undefined;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** One entry may hold a whole file: a megabyte at most. */
const ENTRY_LINES_MAX = 10_000;
/** Of those that wrote last, the lines before are remembered. */
const UNITS_MAX = 1000;

/** Follows what the units write that the rules name: what the agent writes itself is never looked at. */
export function createLogUnits(options: LogUnitsOptions) {
  const { rules, alerts, journal, clock, log, signal } = options;
  const sources = createBoundedMap<LogSource | undefined>(UNITS_MAX);
  const patterns = rules.map((rule) => ({ rule, pattern: rule.target === "*" ? "*" : unitName(rule.target) }));
  const moments = createMoments(clock);
  let cursor = options.cursor;

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

  async function take(entry: JournalEntry): Promise<void> {
    const source = sourceOf(entry.field("_SYSTEMD_UNIT") ?? "");
    if (source) {
      for (const [at, text] of entry.message.split("\n", ENTRY_LINES_MAX).entries())
        await source.take({ text, atMs: atNow(entry, moments), key: () => happeningKey(entry.cursor, String(at)) });
    }
    cursor = entry.cursor;
  }

  async function watch(ending: AbortSignal, changed: () => void): Promise<void> {
    try {
      cursor ??= await journal.end();
      const follow = { cursor, matches: matchesOf(patterns.map(({ pattern }) => pattern)), all: true, signal: ending };
      for await (const entry of journal.follow(follow)) {
        await take(entry);
        changed();
      }
    } catch (error) {
      if (isBadCursor(error)) cursor = undefined;
      throw error;
    }
  }

  return {
    async run(changed: () => void): Promise<void> {
      const running = supervise((ending) => watch(ending, changed), { name: "logs of units", clock, log });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await running.stop();
    },
    cursor: (): string | undefined => cursor,
  };
}

/** journalctl knows no patterns here: when there are any, it gives everything. */
function matchesOf(units: readonly string[]): string[] {
  if (units.some((unit) => /[*?]/.test(unit))) return [];
  return [...new Set(units)].map((unit) => `_SYSTEMD_UNIT=${unit}`);
}
