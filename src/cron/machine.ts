/**
 * What becomes of a job by its pings, and by time:
 *
 *   waiting ── start ──▶ running ── success ──▶ waiting
 *   waiting, running ── fail ──▶ failed: told
 *   waiting ── due, and the grace is over ──▶ late: told
 *   running ── its limit is over; without one, due again and the grace is over ──▶ overdue: told
 *   late, failed, overdue ── success ──▶ waiting: told as recovered
 *
 * A success without a start is fine. Of runs that overlap the first start counts until some run ends, and any end counts for all of
 * them: which run a ping is of is not known. A job that has never been heard of is late like any other. While a run has a
 * limit, the limit alone counts, however often the job is due meanwhile. Each due time, and each run, is told of once.
 */
import type { JobSpec, PingKind, Trouble } from "./model.ts";
import { dueAfter } from "./schedule.ts";

/** Where a job stands. */
export interface JobState {
  /** When it has to begin next, or, where it tells no beginning, to have ended. */
  readonly dueMs: number;
  /** When the first of the runs began that have not ended. */
  readonly startedMs: number | null;
  /** What is wrong since its last success. */
  readonly trouble: Trouble | null;
  /** That this due time, or this run, is over has been told. */
  readonly isAlarmed: boolean;
}

/** What people are told after a ping. */
export type Outcome = "failed" | "recovered" | null;

/** A job's state from its beginning, and from when it goes on after a pause. */
export function beginning(spec: JobSpec, nowMs: number): JobState {
  return { dueMs: dueAfter(spec.schedule, nowMs), startedMs: null, trouble: null, isAlarmed: false };
}

/** The next moment at which the job is in trouble if nothing is heard of it; null while it is known to be. */
export function alarmOf(
  { graceMs, limitMs }: JobSpec,
  { dueMs, startedMs, isAlarmed }: JobState,
): { atMs: number; trouble: "late" | "overdue" } | null {
  if (isAlarmed) return null;
  if (startedMs === null) return { atMs: dueMs + graceMs, trouble: "late" };
  return { atMs: limitMs === null ? dueMs + graceMs : startedMs + limitMs, trouble: "overdue" };
}

/** The state once its alarm is told. */
export function afterAlarm(state: JobState, trouble: Trouble): JobState {
  return { ...state, trouble, isAlarmed: true };
}

/** What a ping does. */
export function afterPing(
  spec: JobSpec,
  state: JobState,
  ping: PingKind,
  nowMs: number,
): { state: JobState; outcome: Outcome } {
  if (ping === "start") return { state: afterStart(spec, state, nowMs), outcome: null };
  const dueMs = dueAfter(spec.schedule, nowMs, state.startedMs !== null);
  const ended = { dueMs, startedMs: null, isAlarmed: false };
  if (ping === "fail") return { state: { ...ended, trouble: "failed" }, outcome: "failed" };
  return { state: { ...ended, trouble: null }, outcome: state.trouble === null ? null : "recovered" };
}

function afterStart(spec: JobSpec, state: JobState, nowMs: number): JobState {
  if (state.startedMs !== null) return state;
  return { ...state, dueMs: dueAfter(spec.schedule, nowMs), startedMs: nowMs, isAlarmed: false };
}
