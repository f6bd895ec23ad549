import { matches, matchesTarget } from "../protocol/allow.ts";
import type { CommandName } from "../protocol/commands.ts";
import type { DecisionLine, IncidentView } from "./model.ts";

/** As commands take them; see protocol/commands.ts. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,254}$/;

const COMMANDS: Readonly<Record<string, { restart: CommandName; logs: CommandName }>> = {
  systemd: { restart: "restart_service", logs: "get_logs" },
  docker: { restart: "restart_container", logs: "container_logs" },
};

/** What a person could decide now. An agent that does not say what it allows may allow all: it refuses by itself. */
export function buttonsOf(incident: {
  type: string;
  source: string;
  status: IncidentView["status"];
  isDeleted: boolean;
  allow: unknown;
  decisions: readonly DecisionLine[];
}): IncidentView["can"] {
  const { type, source, status, allow, decisions } = incident;
  const isOpen = status !== "resolved";
  const isUndecided = isOpen && status !== "ignored";
  const commands = COMMANDS[type];
  const isBusy = (action: DecisionLine["action"]) => decisions.some((one) => one.action === action && !one.ended);
  const may = (command: CommandName | undefined) =>
    command !== undefined && !incident.isDeleted && NAME.test(source) && isAllowed(allow, command, source);
  return {
    restart: isUndecided && !isBusy("restart") && may(commands?.restart),
    logs: isUndecided && !isBusy("logs") && may(commands?.logs),
    ignore: isUndecided,
    acknowledge: isUndecided && status !== "acknowledged",
    resolve: isOpen,
  };
}

/**
 * Whether the agent's list of `command:pattern` has the command for this target, by the rules that the agent goes by itself;
 * what is no such list permits. Other agents than ours may name commands by a pattern, too.
 */
export function isAllowed(allow: unknown, command: CommandName, target: string): boolean {
  if (!Array.isArray(allow)) return true;
  return allow.some((entry) => {
    if (typeof entry !== "string") return false;
    const [name = "", ...pattern] = entry.split(":");
    return (
      matches(name, command) && (pattern.length === 0 || matchesTarget({ command, pattern: pattern.join(":") }, target))
    );
  });
}
