import { type DecisionAction, possibleActions, requestOf } from "../../../protocol/actions.ts";
import { allows } from "../../../protocol/commands.ts";
import type { Agent, Incident } from "../../data/model.ts";

/** What the bar of an incident decides by. */
export interface Situation {
  readonly incident: Incident;
  readonly agent: Agent | null;
  readonly isHostGone: boolean;
  readonly isLive: boolean;
}

/** Which buttons make sense: the same rules as in Slack's messages. */
export function actionsOf({ incident, agent, isHostGone }: Situation): Record<DecisionAction, boolean> {
  const { type, source, status } = incident;
  const decisions = incident.decisions.map(({ action, ended_at }) => ({ action, ended: ended_at !== null }));
  return possibleActions({ type, source, status, isDeleted: isHostGone, allow: agent?.meta?.allow, decisions });
}

/** Why there is no restart, in words; undefined where there is one, or one is under way. */
export function whyNoRestart(situation: Situation): string | undefined {
  const { incident, agent, isHostGone, isLive } = situation;
  if (incident.status === "resolved") return "Resolved: there is nothing to restart.";
  const request = requestOf("restart", incident);
  if (request === undefined) return `There is nothing to restart about ${articleOf(incident.type)} incident.`;
  if (isHostGone)
    return incident.origin === "integration" ? "It is of no host with an agent." : "The host was removed.";
  if (!allows(agent?.meta?.allow, request.command, incident.source))
    return `${agent?.hostname ?? "The host"} does not allow ${request.command}:${incident.source}.`;
  if (incident.status === "ignored") return "It is ignored.";
  if (!isLive) return "Not connected: nothing can be sent now.";
  return undefined;
}

const articleOf = (type: string) => (/^[aeiou]/i.test(type) ? `an “${type}”` : `a “${type}”`);
