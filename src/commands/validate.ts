import { Value } from "@sinclair/typebox/value";
import { COMMAND_NAMES, COMMANDS, isCommandName } from "../protocol/commands.ts";
import type { ExecFailure } from "./model.ts";

/** Whether a command is of the vocabulary and its parameters are as that says; names the field that is not. */
export function checkCommand(
  command: string,
  params: Record<string, unknown>,
): { ok: true; params: Record<string, unknown> } | ExecFailure {
  if (!isCommandName(command)) {
    const message = `command: expected one of ${COMMAND_NAMES.join(", ")}`;
    return { ok: false, reason: "unknown_command", message, field: "command" };
  }
  const schema = COMMANDS[command];
  if (Value.Check(schema, params)) return { ok: true, params };
  const first = Value.Errors(schema, params).First();
  const field = `params${(first?.path ?? "").replaceAll("/", ".")}`;
  return { ok: false, reason: "invalid_params", message: `${field}: ${first?.message ?? "invalid"}`, field };
}
