import type { Candidate } from "../incidents/model.ts";

const SEVERITY_RANK = { info: 1, warning: 2, critical: 3 } as const;
/** Above it a problem has got worse. */
const RATE_FACTOR = 2;
/** So many alerts show a rate by their distances, though they have not come for an hour yet. */
const RATE_ALERTS_MIN = 5;
/** Alerts that come in one burst are no rate. */
const RATE_SPAN_S_MIN = 60;
const HOUR_S = 3_600;

type Severity = Candidate["severity"];

/** How bad a problem is: what "worse" is measured by. */
export interface Badness {
  severity: Severity;
  per_hour: number;
}

/** Alerts of one problem within the last hour. */
export interface Frequency {
  alerts: number;
  /** From the first of them to the last. */
  spanS: number;
}

/**
 * How bad it is when somebody ignores it. A problem that repeats each ten seconds since five minutes does so 360 times an
 * hour, and an hour later has not got worse: with enough alerts the rate is theirs, not their number.
 */
export function baselineOf(severity: Severity, { alerts, spanS }: Frequency): Badness {
  const steady = ((alerts - 1) * HOUR_S) / Math.max(spanS, RATE_SPAN_S_MIN);
  return { severity, per_hour: alerts >= RATE_ALERTS_MIN ? Math.max(alerts, Math.round(steady)) : Math.max(1, alerts) };
}

/** In what it got worse, in words; undefined when it did not. */
export function worseThan(before: Badness, severity: Severity, alertsLastHour: number): string | undefined {
  if (rankOf(severity) > rankOf(before.severity))
    return `it is ${severity} now, and was ${before.severity ?? "of no severity"}`;
  if (alertsLastHour <= before.per_hour * RATE_FACTOR) return undefined;
  return `it came ${alertsLastHour} times within an hour, and ${before.per_hour} times when it was ignored`;
}

function rankOf(severity: Severity): number {
  return severity === null ? 0 : SEVERITY_RANK[severity];
}
