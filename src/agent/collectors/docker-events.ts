import { isRecord } from "../../lib/json.ts";
import { type ContainerNames, imageName, serviceIn, unitIn } from "./docker-state.ts";

/** What Docker or Podman tells of a container. */
export type ContainerEvent = ContainerNames & {
  readonly id: string;
  /** "1706140800.000000001", as the daemon takes it back for `since`. */
  readonly at: string;
  readonly atMs: number;
} & (
    | { readonly kind: "died"; readonly exitCode: number }
    /** Somebody had this signal sent to it; Podman does not say which. */
    | { readonly kind: "signalled"; readonly signal: string }
    /** Podman tells of each check; by version 4 the health may be that before it. */
    | { readonly kind: "health"; readonly isChange: boolean }
    | { readonly kind: "made" | "out of memory" | "started" | "stopped" | "restarted" | "cleaned up" }
  );

/**
 * What is asked for: others (exec_create of each health check, for one) are many. Podman 4 takes for `died` what it writes as
 * `die`, and for `remove` what Docker calls `destroy`; neither minds words that it does not know.
 */
export const EVENT_FILTERS = JSON.stringify({
  type: ["container"],
  event: ["create", "start", "die", "died", "oom", "kill", "stop", "restart", "cleanup", "health_status"],
});

const KINDS: ReadonlyMap<string, "made" | "out of memory" | "started" | "stopped" | "restarted" | "cleaned up"> =
  new Map([
    ["create", "made"],
    ["oom", "out of memory"],
    ["start", "started"],
    ["stop", "stopped"],
    ["restart", "restarted"],
    ["cleanup", "cleaned up"],
  ]);

/** An event of `/events`; undefined for what is none of these. */
export function containerEventOf(event: Record<string, unknown>): ContainerEvent | undefined {
  const { Type: type, Action: action, Actor: actor, timeNano } = event;
  if (type !== "container" || typeof action !== "string" || !isRecord(actor)) return undefined;
  const attributes = isRecord(actor.Attributes) ? actor.Attributes : {};
  const at = secondsOf(event.time, timeNano);
  const common = {
    id: String(actor.ID ?? ""),
    name: String(attributes.name ?? String(actor.ID).slice(0, 12)),
    image: imageName(attributes.image),
    service: serviceIn(attributes),
    unit: unitIn(attributes),
    at,
    atMs: Math.floor(Number(at) * 1000),
  };
  const kind = KINDS.get(action);
  if (kind !== undefined) return { ...common, kind };
  switch (action) {
    case "die":
    case "died":
      return { ...common, kind: "died", exitCode: Number(attributes.exitCode ?? 0) };
    case "kill":
      return { ...common, kind: "signalled", signal: String(attributes.signal ?? "") };
    case "health_status":
      return { ...common, kind: "health", isChange: false };
    case "health_status: unhealthy":
      return { ...common, kind: "health", isChange: true };
    default:
      return undefined;
  }
}

const NANOSECONDS = 1_000_000_000;

/**
 * The moment in seconds, with all nine digits that a number of JavaScript has lost by then: past 2^53 the last two or three
 * are rounded, so that they tell two events apart less well than the order in which they came.
 */
function secondsOf(time: unknown, timeNano: unknown): string {
  const nano = Number(timeNano);
  if (!Number.isFinite(nano) || nano <= 0) return String(Number(time) || 0);
  const seconds = Math.floor(nano / NANOSECONDS);
  return `${seconds}.${String(Math.round(nano - seconds * NANOSECONDS)).padStart(9, "0")}`;
}
