import { type Static, type TObject, type TProperties, Type } from "@sinclair/typebox";

/** Names of units and containers: no leading dash, nothing a shell would read, so that they can follow `--` as they are. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,254}$/;
const Name = Type.String({ pattern: NAME.source });
const Lines = Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 }));

const strict = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false });

/** The closed vocabulary: what a server may ask of an agent, and nothing else. */
export const COMMANDS = {
  restart_service: strict({ service: Name }),
  start_service: strict({ service: Name }),
  stop_service: strict({ service: Name }),
  service_status: strict({ service: Name }),
  get_logs: strict({ service: Name, lines: Lines }),
  restart_container: strict({ container: Name }),
  container_logs: strict({ container: Name, lines: Lines }),
  host_report: strict({}),
  ping: strict({}),
} as const;

export type CommandName = keyof typeof COMMANDS;
export type CommandParams<C extends CommandName> = Static<(typeof COMMANDS)[C]>;

/** The vocabulary's words. */
export const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[];
/** One of the words, for the API's schemas. */
export const CommandNameSchema = Type.Union(COMMAND_NAMES.map((name) => Type.Literal(name)));

/** True for a word of the vocabulary. */
export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** True for a name that commands take. */
export function isTargetName(text: string): boolean {
  return NAME.test(text);
}

/** So many of the last lines are shown where nobody says how many. */
export const LOG_LINES = 100;

/** What a command acts on, for the rule of one open command per agent, command and target; empty for the host itself. */
export function commandTarget(params: Record<string, unknown>): string {
  const target = params.service ?? params.container ?? "";
  return typeof target === "string" ? target : "";
}
