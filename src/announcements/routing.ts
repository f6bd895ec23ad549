import type { Routing } from "../config/routing.ts";
import type { Candidate } from "../incidents/model.ts";
import { matchesGlob } from "../lib/glob.ts";
import { lookAtHours } from "../lib/hours.ts";

/** An outlet, and what is sent there. */
export interface RoutedOutlet {
  readonly name: string;
  readonly routing: Routing;
  /** So long nobody has acknowledged what is told there; null where people are told at once. */
  readonly escalatesAfterMs: number | null;
}

/** Why an outlet does not take an incident: for good, or until its hours begin. */
export interface Objection {
  readonly why: string;
  readonly untilMs: number | null;
}

type Subject = Pick<Candidate, "agentId" | "hostname" | "type" | "severity">;

const RANKS = { info: 0, warning: 1, critical: 2 } as const;
/** Nobody said how bad it is: it may be as bad as this. */
const UNKNOWN = "warning";

/** What of the outlet's routing speaks against an incident, whatever the hour. */
export function objectionTo({ min, hosts, types }: Routing, incident: Subject): string | undefined {
  const { agentId, hostname, type, severity } = incident;
  if (min !== null && RANKS[severity ?? UNKNOWN] < RANKS[min]) return `severity below ${min}`;
  const names = [agentId, hostname ?? ""].map((name) => name.toLowerCase());
  const isHost = (pattern: string) => names.some((name) => matchesGlob(pattern.toLowerCase(), name));
  if (hosts.length > 0 && !hosts.some(isHost)) return "another host";
  const isType = (pattern: string) => matchesGlob(pattern.toLowerCase(), type.toLowerCase());
  return types.length > 0 && !types.some(isType) ? "another type" : undefined;
}

/** The same, and the hour. */
export function objectionNow(routing: Routing, incident: Subject, nowMs: number): Objection | undefined {
  const why = objectionTo(routing, incident);
  if (why !== undefined) return { why, untilMs: null };
  const hours = routing.hours === null ? undefined : lookAtHours(routing.hours, nowMs);
  if (hours === undefined || hours.isWithin) return undefined;
  return { why: "outside its hours", untilMs: hours.changesInMs };
}

/** When the hours of one of these begin or end next; null where that is never. */
export function hoursChangeInMs(outlets: readonly RoutedOutlet[], nowMs: number): number | null {
  const changes = outlets.flatMap(({ routing: { hours } }) => {
    const { changesInMs } = hours === null ? { changesInMs: null } : lookAtHours(hours, nowMs);
    return changesInMs === null ? [] : [changesInMs];
  });
  return changes.length === 0 ? null : Math.min(...changes);
}

/** Where people are told at once; the first of them takes what no other does. */
export function firstHand(outlets: readonly RoutedOutlet[]): readonly RoutedOutlet[] {
  return outlets.filter(({ escalatesAfterMs }) => escalatesAfterMs === null);
}

/** Where the daily digest goes: who asked for it, else the first. */
export function digestOutlets(outlets: readonly RoutedOutlet[]): readonly string[] {
  const asked = outlets.filter(({ routing }) => routing.digest);
  return (asked.length > 0 ? asked : firstHand(outlets).slice(0, 1)).map(({ name }) => name);
}
