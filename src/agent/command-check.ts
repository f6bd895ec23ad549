import { Value } from "@sinclair/typebox/value";
import { type AllowEntry, mayRun } from "../protocol/allow.ts";
import { COMMANDS, commandTarget, isCommandName } from "../protocol/commands.ts";
import type { IncomingCommand } from "./model.ts";
import type { CheckedCommand } from "./run-command.ts";

/** Where the allow-list is written on a host that was installed by `opspilot agent install`. */
export const SETTINGS_FILE = "/etc/opspilot/agent.env";

const QUOTED_CHARS_MAX = 60;

/** What a name may be, for whoever sent another. */
const NAME_EXPECTED =
  "expected a name of letters, digits and : _ . @ \\ -, beginning with a letter or digit, 255 at most";

/**
 * The command as it may be run, or why not. All is checked here again, whatever the server has checked: this host does what
 * its own list allows, and nothing that is quoted back is longer than a line.
 */
export function checkCommand(
  { command, params, ttl_s }: Pick<IncomingCommand, "command" | "params" | "ttl_s">,
  allow: readonly AllowEntry[],
): { checked: CheckedCommand } | { refusal: string } {
  if (typeof command !== "string" || !isCommandName(command)) {
    return { refusal: `command: ${quoted(command)} is no command of this agent` };
  }
  if (!(Number.isFinite(ttl_s) && ttl_s > 0)) return { refusal: "ttl_s: expected a number of seconds above 0" };
  const schema = COMMANDS[command];
  const fault = Value.Errors(schema, params).First();
  if (fault) {
    const expectation = "pattern" in fault.schema ? NAME_EXPECTED : fault.message;
    return { refusal: `${fieldOf(fault.path)}: ${expectation}` };
  }
  if (!mayRun(allow, command, params)) return { refusal: refusalOf(command, commandTarget(params)) };
  return { checked: { command, params } as CheckedCommand };
}

function fieldOf(path: string): string {
  return `params${path.replaceAll("/", ".")}`.slice(0, QUOTED_CHARS_MAX);
}

function quoted(value: unknown): string {
  return JSON.stringify(String(value).slice(0, QUOTED_CHARS_MAX));
}

function refusalOf(command: string, target: string): string {
  const entry = target === "" ? command : `${command}:${target.replace(/\.service$/, "")}`;
  return `${entry} is not allowed on this host; add ${entry} to OPSPILOT_ALLOW in ${SETTINGS_FILE}, then run \`opspilot agent install\` there again`;
}
