import { allows, type CommandName, isTargetName, isUnitCommand, LOG_LINES } from "./commands.ts";

/** What a person may decide about an incident. */
export const DECISION_ACTIONS = ["restart", "logs", "ignore", "acknowledge", "resolve"] as const;
export type DecisionAction = (typeof DECISION_ACTIONS)[number];

/** How long ignoring lasts. */
export const IGNORE_VARIANTS = ["until_resolved", "1h", "until_worse", "for_good"] as const;
export type IgnoreVariant = (typeof IGNORE_VARIANTS)[number];

/** The commands of those actions that need a host, by the incident's type; other types have none. */
const COMMANDS_OF_TYPE: ReadonlyMap<string, Partial<Record<DecisionAction, CommandName>>> = new Map([
  ["systemd", { restart: "restart_service", logs: "get_logs" }],
  ["docker", { restart: "restart_container", logs: "container_logs" }],
]);

/** What an incident is about. */
export interface Subject {
  readonly type: string;
  readonly source: string;
}

/** What is asked of the host for a decision. */
interface HostRequest {
  command: CommandName;
  params: Record<string, unknown>;
}

/** The command of a decision; undefined where it needs no host, or the incident is about nothing that a host could do this to. */
export function requestOf(action: DecisionAction, { type, source }: Subject): HostRequest | undefined {
  const command = COMMANDS_OF_TYPE.get(type)?.[action];
  if (command === undefined) return undefined;
  const target = isUnitCommand(command) ? { service: source } : { container: source };
  return { command, params: action === "logs" ? { ...target, lines: LOG_LINES } : target };
}

/** What decides which actions make sense now. */
export interface Situation extends Subject {
  readonly status: string;
  /** Its agent is gone for good. */
  readonly isDeleted: boolean;
  /** As the agent told it; what is no list permits all, since an agent refuses by itself. */
  readonly allow: unknown;
  readonly decisions: readonly { readonly action: DecisionAction; readonly ended: boolean }[];
}

/** What a person could decide now. */
export function possibleActions(incident: Situation): Record<DecisionAction, boolean> {
  const { source, status, isDeleted, allow, decisions } = incident;
  const isOpen = status !== "resolved";
  const isUndecided = isOpen && status !== "ignored";
  const mayAsk = (action: DecisionAction) => {
    const command = requestOf(action, incident)?.command;
    const isUnderWay = decisions.some((one) => one.action === action && !one.ended);
    if (command === undefined || isDeleted || isUnderWay) return false;
    return isUndecided && isTargetName(source) && allows(allow, command, source);
  };
  return {
    restart: mayAsk("restart"),
    logs: mayAsk("logs"),
    ignore: isUndecided,
    acknowledge: isUndecided && status !== "acknowledged",
    resolve: isOpen,
  };
}
