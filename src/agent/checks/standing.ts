import type { Clock } from "../../lib/clock.ts";
import type { CheckReport } from "../../protocol/frames.ts";
import type { Outcome } from "./model.ts";

/** Of what a server keeps of a heartbeat; the checks beyond it are left out there. */
const REPORT_BYTES_MAX = 12 * 1024;
const SAID_CHARS_MAX = 120;

interface Standing {
  readonly outcome: Outcome;
  readonly atMs: number;
  readonly sinceMs: number;
  /** Seldom looked at: that of an earlier try. */
  readonly endMs: number | undefined;
}

/** How each check stands, for heartbeats. */
export function createStandings(clock: Clock) {
  const standings = new Map<string, Standing>();

  function reportOf([name, { outcome, atMs, sinceMs, endMs }]: [string, Standing]): CheckReport {
    return {
      name,
      up: outcome.isWell,
      for_s: Math.floor((clock.monotonicMs() - sinceMs) / 1000),
      took_ms: Math.round(outcome.tookMs),
      at: Math.floor(atMs / 1000),
      said: outcome.text.slice(0, SAID_CHARS_MAX).toWellFormed(),
      ...(endMs === undefined ? {} : { certificate_ends: Math.floor(endMs / 1000) }),
    };
  }

  return {
    note(name: string, outcome: Outcome): void {
      const before = standings.get(name);
      const isSame = before?.outcome.isWell === outcome.isWell;
      standings.set(name, {
        outcome,
        atMs: clock.now(),
        sinceMs: isSame ? before.sinceMs : clock.monotonicMs(),
        endMs: outcome.certificate?.endMs ?? before?.endMs,
      });
    },
    /** Those that were tried already. */
    reports(): CheckReport[] {
      let bytes = 0;
      const reports = [...standings].map(reportOf).toSorted((one, other) => Number(one.up) - Number(other.up));
      return reports.filter((report) => {
        bytes += Buffer.byteLength(JSON.stringify(report)) + 1;
        return bytes <= REPORT_BYTES_MAX;
      });
    },
  };
}

export type Standings = ReturnType<typeof createStandings>;
