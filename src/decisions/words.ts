import { LOG_LINES } from "../protocol/commands.ts";
import type { Press } from "./model.ts";
import type { PressedIncident, Watched } from "./store.ts";

const IGNORED = {
  until_resolved: "until it is resolved",
  "1h": "for an hour",
  until_worse: "until it gets worse",
  for_good: "for good",
} as const;

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
