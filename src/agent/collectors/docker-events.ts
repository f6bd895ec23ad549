import { isRecord } from "../../lib/json.ts";

/** What Docker tells of a container. */
export type ContainerEvent = {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** "1706140800.000000001", as the daemon takes it back for `since`. */
  readonly at: string;
  readonly atMs: number;
} & (
  | { readonly kind: "died"; readonly exitCode: number }
  /** Somebody had this signal sent to it. */
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "out of memory" | "started" | "unhealthy" | "healthy" | "gone" }
);

/** What is asked for: others (exec_create of each health check, for one) are many. */
export const EVENT_FILTERS = JSON.stringify({
  type: ["container"],
  event: ["die", "oom", "kill", "start", "health_status", "destroy"],
});

/** An event of `/events`; undefined for what is none of these. */
export function containerEventOf(event: Record<string, unknown>): ContainerEvent | undefined {
  const { Type: type, Action: action, Actor: actor, timeNano } = event;
  if (type !== "container" || typeof action !== "string" || !isRecord(actor)) return undefined;
  const attributes = isRecord(actor.Attributes) ? actor.Attributes : {};
  const at = secondsOf(event.time, timeNano);
  const common = {
    id: String(actor.ID ?? ""),
    name: String(attributes.name ?? String(actor.ID).slice(0, 12)),
    image: String(attributes.image ?? ""),
    at,
    atMs: Math.floor(Number(at) * 1000),
  };
  switch (action) {
    case "die":
      return { ...common, kind: "died", exitCode: Number(attributes.exitCode ?? 0) };
    case "kill":
      return { ...common, kind: "signalled", signal: String(attributes.signal ?? "") };
    case "oom":
      return { ...common, kind: "out of memory" };
    case "start":
      return { ...common, kind: "started" };
    case "health_status: unhealthy":
      return { ...common, kind: "unhealthy" };
    case "health_status: healthy":
      return { ...common, kind: "healthy" };
    case "destroy":
      return { ...common, kind: "gone" };
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
