import { type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { type CommandName, LOG_PRIORITIES, TARGET_NAME } from "../../protocol/commands.ts";
import type { ToolOffer } from "../model-reply.ts";

/** What a model may ask. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: TObject;
  /** The command that the host is sent; null where the server answers by itself. All of them only look. */
  readonly command: CommandName | null;
}

/** Lines of one answer: a model is sent no more than a few KiB of them. */
const LINES_MAX = 200;
const LINES = 50;
/** So far back figures are kept by minutes. */
export const MINUTES_MAX = 180;
const DAY_S = 86_400;

const strict = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false });

const Unit = Type.String({
  pattern: TARGET_NAME.source,
  description: "a unit that the alert or list_units named, such as nginx.service",
});
const Container = Type.String({
  pattern: TARGET_NAME.source,
  description: "a container that the alert or agent_facts named",
});
const Lines = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: LINES_MAX,
    description: `the last lines, ${LINES_MAX} at most; ${LINES} if not said`,
  }),
);
const Since = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 7 * DAY_S, description: "only lines of the last so many seconds" }),
);
const Priority = Type.Optional(
  Type.Union(
    LOG_PRIORITIES.map((word) => Type.Literal(word)),
    { description: `only lines of this priority or a graver one: ${LOG_PRIORITIES.join(", ")}` },
  ),
);
const Pattern = Type.Optional(
  Type.String({
    pattern: "^[^\\x00-\\x1f\\x7f]{1,200}$",
    description: "only lines in which this regular expression matches, in whatever case",
  }),
);

/**
 * All that a model may ask, in one table. None names a host, a file or a program; those that go to the host are commands that change
 * nothing.
 */
export const TOOLS: readonly Tool[] = [
  {
    name: "service_status",
    description:
      "The state of a systemd unit: active_state, sub_state, for how long, how often it was restarted, and how it failed.",
    parameters: strict({ unit: Unit }),
    command: "service_status",
  },
  {
    name: "get_logs",
    description: "The last lines that a systemd unit wrote to the journal.",
    parameters: strict({ unit: Unit, lines: Lines, since_s: Since, priority: Priority, pattern: Pattern }),
    command: "get_logs",
  },
  {
    name: "list_units",
    description: "The host's systemd units, a line each: name, load state, active state, sub state, description.",
    parameters: strict({
      failed: Type.Optional(Type.Boolean({ description: "only those that have failed" })),
      pattern: Type.Optional(
        Type.String({
          pattern: "^[A-Za-z0-9:_.@\\\\*?-]{1,255}$",
          description: "only units of this name, in which * stands for any characters and ? for one",
        }),
      ),
    }),
    command: "list_units",
  },
  {
    name: "container_logs",
    description: "The last lines that a container wrote.",
    parameters: strict({ container: Container, lines: Lines, since_s: Since, pattern: Pattern }),
    command: "container_logs",
  },
  {
    name: "container_inspect",
    description:
      "How a container stands: state, exit code, health checks, command, limits, mounts, ports. Not its environment.",
    parameters: strict({ container: Container }),
    command: "container_inspect",
  },
  {
    name: "host_report",
    description: "The host now: load, memory, disks, inodes, failed units, the largest processes.",
    parameters: strict({}),
    command: "host_report",
  },
  {
    name: "agent_facts",
    description: "What the host's agent may do and sees, and which containers there are.",
    parameters: strict({}),
    command: "agent_facts",
  },
  {
    name: "metrics",
    description: "This host's CPU, load, memory, swap and disks over the last minutes.",
    parameters: strict({
      minutes: Type.Integer({ minimum: 1, maximum: MINUTES_MAX, description: `up to now, ${MINUTES_MAX} at most` }),
    }),
    command: null,
  },
  {
    name: "recent_incidents",
    description: "Earlier incidents, what explained them, and what helped.",
    parameters: strict({
      scope: Type.Union([Type.Literal("host"), Type.Literal("same_problem")], {
        description: "host: of this host. same_problem: with the same fingerprint as this incident, wherever it was",
      }),
    }),
    command: null,
  },
];

/** The tool of this name. */
export function toolOf(name: string): Tool | undefined {
  return TOOLS.find((tool) => tool.name === name);
}

/** What is sent to the host for a tool's arguments, which were checked. */
export function paramsOf({ command }: Tool, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { unit, ...rest } = given;
  const target = unit === undefined ? {} : { service: unit };
  const lines = command === "get_logs" || command === "container_logs" ? { lines: LINES } : {};
  return { ...lines, ...target, ...rest };
}

/** The tools as a model is told of them: without the limits that several providers refuse in a schema. */
export function offers(tools: readonly Tool[]): ToolOffer[] {
  return tools.map(({ name, description, parameters }) => ({
    name,
    description,
    parameters: {
      type: "object",
      properties: Object.fromEntries(
        Object.entries(parameters.properties).map(([key, schema]) => [key, plain(schema)]),
      ),
      required: parameters.required ?? [],
    },
  }));
}

function plain(schema: TSchema): object {
  const { type, description, anyOf } = schema;
  const words: unknown[] | undefined = anyOf?.map((one: TSchema) => one.const);
  return words ? { type: "string", enum: words, description } : { type, description };
}
