import type { DecisionAction, Press } from "./model.ts";
import type { PressedIncident, Watched } from "./store.ts";

/** What is asked of the host for a decision. */
export interface HostRequest {
  command: string;
  params: Record<string, unknown>;
}

/** The last lines that people get to see. */
export const LOG_LINES = 100;

const IGNORED = {
  until_resolved: "until it is resolved",
  "1h": "for an hour",
  until_worse: "until it gets worse",
  for_good: "for good",
} as const;

/** The command of a decision; undefined where the incident is about nothing that a host can restart or read logs of. */
export function requestOf(action: DecisionAction, { type, source }: { type: string; source: string }) {
  const params = type === "docker" ? { container: source } : { service: source };
  const isKnown = type === "systemd" || type === "docker";
  if (!isKnown) return undefined;
  const isDocker = type === "docker";
  if (action === "restart") return { command: isDocker ? "restart_container" : "restart_service", params };
  if (action === "logs") {
    return { command: isDocker ? "container_logs" : "get_logs", params: { ...params, lines: LOG_LINES } };
  }
  return undefined;
}

/** What the person is told at once. */
export function promiseOf({ action, variant }: Press, { source, host }: PressedIncident): string {
  switch (action) {
    case "restart":
      return `Restarting ${source} on ${host}; what comes of it is shown in the message.`;
    case "logs":
      return `Fetching the last ${LOG_LINES} lines of ${source} on ${host}.`;
    case "ignore":
      return `Ignored ${IGNORED[variant ?? "until_resolved"]}.`;
    case "acknowledge":
      return "Acknowledged.";
    case "resolve":
      return "Resolved.";
  }
}

/** How a decision that needs no host stands in the message. */
export function doneInWords({ action, variant, actorName }: Watched): string {
  switch (action) {
    case "ignore":
      return `ignored ${IGNORED[variant ?? "until_resolved"]} by ${actorName}`;
    case "acknowledge":
      return `acknowledged by ${actorName}`;
    default:
      return `resolved by ${actorName}`;
  }
}

/** What did not happen. */
export function notDone({ action }: Pick<Watched, "action">): string {
  return action === "restart" ? "not restarted" : "no logs";
}

/** A duration as people say it; never less than a second. */
export function inSeconds(seconds: number): string {
  return `${Math.max(1, Math.round(seconds))} s`;
}

/** The first line of what a host says, short enough for a message. */
export function firstLine(text: string | null): string | undefined {
  const line = text?.trim().split("\n")[0]?.slice(0, 300);
  return line === "" ? undefined : line;
}
