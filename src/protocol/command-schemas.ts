import { type Static, type TObject, type TProperties, Type } from "@sinclair/typebox";
import { type CommandName, LOG_LINES_MAX, LOG_PRIORITIES, TARGET_NAME } from "./commands.ts";

const WEEK_S = 7 * 24 * 3_600;

const Name = Type.String({
  pattern: TARGET_NAME.source,
  description: "a name of letters, digits and : _ . @ \\ -, beginning with a letter or digit, 255 at most",
});
const Lines = Type.Optional(Type.Integer({ minimum: 1, maximum: LOG_LINES_MAX }));
/** Lines that are younger; a week at most. */
const Since = Type.Optional(Type.Integer({ minimum: 1, maximum: WEEK_S }));
const Priority = Type.Optional(Type.Union(LOG_PRIORITIES.map((name) => Type.Literal(name))));
/** A regular expression without back-references and looking around: what a line must hold, in whatever case. */
const LinePattern = Type.Optional(
  Type.String({ pattern: "^[^\\x00-\\x1f\\x7f]{1,200}$", description: "1 to 200 printable characters" }),
);
const UnitPattern = Type.Optional(
  Type.String({
    pattern: "^[A-Za-z0-9:_.@\\\\*?-]{1,255}$",
    description: "a unit's name, in which * stands for any characters and ? for one",
  }),
);

const strict = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false });

/** What each command takes. */
export const COMMANDS = {
  restart_service: strict({ service: Name }),
  start_service: strict({ service: Name }),
  stop_service: strict({ service: Name }),
  service_status: strict({ service: Name }),
  get_logs: strict({ service: Name, lines: Lines, since_s: Since, priority: Priority, pattern: LinePattern }),
  list_units: strict({ failed: Type.Optional(Type.Boolean()), pattern: UnitPattern }),
  restart_container: strict({ container: Name }),
  container_logs: strict({ container: Name, lines: Lines, since_s: Since, pattern: LinePattern }),
  container_inspect: strict({ container: Name }),
  host_report: strict({}),
  agent_facts: strict({}),
  ping: strict({}),
  update_agent: strict({}),
} as const satisfies Record<CommandName, TObject>;

export type CommandParams<C extends CommandName> = Static<(typeof COMMANDS)[C]>;
