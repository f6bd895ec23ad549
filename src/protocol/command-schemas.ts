import { type Static, type TObject, type TProperties, Type } from "@sinclair/typebox";
import { type CommandName, TARGET_NAME } from "./commands.ts";

const Name = Type.String({ pattern: TARGET_NAME.source });
const Lines = Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 }));

const strict = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false });

/** What each command takes. */
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
} as const satisfies Record<CommandName, TObject>;

export type CommandParams<C extends CommandName> = Static<(typeof COMMANDS)[C]>;
