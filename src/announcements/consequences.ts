import type { Cause, Undecided } from "./decide-model.ts";

/** Before the last sign of life: what went wrong then may be what silenced the agent. */
const BEFORE_SILENCE_MS = 60_000;
/** After its return: what it tells then happened in between, or comes from starting up. */
const AFTER_RETURN_MS = 120_000;

const OF_A_FULL_DISK: readonly string[] = ["disk_full", "data_corruption", "crash", "lock_conflict"];

/** The cause that an incident follows from, and the reason in words; undefined for one of its own. */
export function causeOf(
  incident: Undecided,
  causes: readonly Cause[],
): { causeId: number; reason: string } | undefined {
  if (isSilence(incident)) return undefined;
  const cause = causes.find((one) => one.agentId === incident.agentId && isCauseOf(one, incident));
  return cause && { causeId: cause.id, reason: reasonOf(cause, incident) };
}

/** Whether the incident is that of a silent agent. */
export function isSilence({ type, source }: { type: string; source: string }): boolean {
  return type === "host" && source === "agent";
}

function isCauseOf(cause: Cause, incident: Undecided): boolean {
  if (cause.id === incident.id) return false;
  if (cause.kind === "silent") return isWithin(incident.occurredAt, cause);
  const { category } = incident;
  // Of two full disks the later one follows from the first.
  return category !== null && OF_A_FULL_DISK.includes(category) && (category !== "disk_full" || cause.id < incident.id);
}

function isWithin(at: Date, { since, until }: Cause): boolean {
  const startMs = since.getTime() - BEFORE_SILENCE_MS;
  const endMs = until === null ? Number.POSITIVE_INFINITY : until.getTime() + AFTER_RETURN_MS;
  return at.getTime() >= startMs && at.getTime() <= endMs;
}

function reasonOf(cause: Cause, { category }: Undecided): string {
  const head = `consequence of incident #${cause.id}`;
  if (cause.kind === "full") return `${head}: a disk of this host is full, and ${category} is what follows from that`;
  const since = inWords(cause.since);
  if (cause.until === null) return `${head}: the agent has been silent since ${since}`;
  return `${head}: the agent was silent from ${since} to ${inWords(cause.until)}`;
}

/** "18:00:00 UTC". */
function inWords(at: Date): string {
  return `${at.toISOString().slice(11, 19)} UTC`;
}
