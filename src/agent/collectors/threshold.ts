/**
 * One figure against its limit:
 *
 *   below ── at or over the limit, all the time for the hold time ──▶ over: told
 *   over ── under the limit by the margin, all the time for the hold time ──▶ below: told as resolved
 *   over ── at or over the worse limit ──▶ over, worse: told once more
 *
 * So neither a moment's peak nor a figure that dances around its limit is worth an alert.
 */
import type { Clock } from "../../lib/clock.ts";

/** How bad a figure is. */
export type Level = "fine" | "high" | "critical";

/** Percent, or whatever the figure is measured in. */
export interface ThresholdLimits {
  readonly high: number;
  /** Infinity where nothing is worse than high. */
  readonly critical: number;
  /** How far below the limit it must come down. */
  readonly margin: number;
  readonly holdMs: number;
}

/** Follows one figure; `initial` is what was told before a restart. */
export function createThreshold(limits: ThresholdLimits, clock: Pick<Clock, "monotonicMs">, initial: Level = "fine") {
  let level = initial;
  let pending: { level: Level; sinceMs: number } | undefined;

  function levelOf(value: number): Level {
    if (value >= limits.critical) return "critical";
    if (value >= limits.high) return level === "critical" ? stays(value, limits.critical, "critical", "high") : "high";
    return level === "fine" ? "fine" : stays(value, limits.high, "high", "fine");
  }

  /** Once it was over, it must fall by the margin to be believed. */
  function stays(value: number, limit: number, above: Level, below: Level): Level {
    return value > limit - limits.margin ? above : below;
  }

  /** What was high and is critical now has been over its limit since it was high. */
  function sinceMs(seen: Level): number {
    const isWorse = pending !== undefined && pending.level !== "fine" && seen !== "fine";
    return isWorse && pending ? pending.sinceMs : clock.monotonicMs();
  }

  return {
    /** Takes a figure, and gives the new level when it has changed for good. */
    take(value: number): Level | undefined {
      const seen = levelOf(value);
      if (seen === level) {
        pending = undefined;
        return undefined;
      }
      if (pending?.level !== seen) pending = { level: seen, sinceMs: sinceMs(seen) };
      if (clock.monotonicMs() - pending.sinceMs < limits.holdMs) return undefined;
      pending = undefined;
      level = seen;
      return seen;
    },
    level: (): Level => level,
  };
}

export type Threshold = ReturnType<typeof createThreshold>;
