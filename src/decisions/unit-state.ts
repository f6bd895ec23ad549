import type { Command } from "../commands/model.ts";
import type { UnitState } from "./verdict.ts";

/** A number larger than this is a moment, Unix seconds; below, a duration. */
const MOMENT_S_MIN = 1_000_000_000;

/**
 * What service_status printed: {active_state, sub_state, active_since_s, restarts}; undefined when it is nothing like that.
 * `active_since_s` is a duration, or a moment by the host's own clock, which is compared with nothing but that.
 */
export function unitStateOf({ status, output, finished_at }: Command): UnitState | undefined {
  if (status !== "done" || output === null) return undefined;
  const read = parse(output);
  const activeState = read?.active_state;
  if (read === undefined || typeof activeState !== "string") return undefined;
  const subState = typeof read.sub_state === "string" ? read.sub_state : "unknown";
  const words = { activeState: activeState.slice(0, 40), subState: subState.slice(0, 40) };
  return { ...words, forS: durationOf(read.active_since_s, finished_at) };
}

function durationOf(since: unknown, finishedAt: Date | null): number | null {
  if (typeof since !== "number" || !Number.isFinite(since) || since < 0) return null;
  if (since < MOMENT_S_MIN) return since;
  return finishedAt === null ? null : Math.max(0, finishedAt.getTime() / 1000 - since);
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
