import { Value } from "@sinclair/typebox/value";
import { matchesGlob } from "../../lib/glob.ts";
import { fieldsOf, isRecord, jsonOf } from "../../lib/json.ts";
import { allows, type CommandName, isTargetName, unitName } from "../../protocol/commands.ts";
import { TOOLS, type Tool, toolOf } from "./tools.ts";

/** A call that may be carried out. */
export interface CheckedCall {
  readonly tool: Tool;
  readonly given: Readonly<Record<string, unknown>>;
}

/** What a host has named itself. */
export interface Listed {
  readonly units: readonly string[];
  readonly containers: readonly string[];
}

const QUOTED_CHARS_MAX = 60;

/**
 * Decides what a model's wish may become: a tool of the table, arguments of its schema, a unit or container that the host itself has
 * named, and what the host's own list allows. All else is refused before anything leaves, whatever asked for it.
 */
export function createGuard({ listed, allow }: { listed: Listed; allow: unknown }) {
  const units = new Set(listed.units.map(unitName));
  const containers = new Set(listed.containers);

  function refusalOf({ tool, given }: CheckedCall): string | undefined {
    const { unit, container } = given;
    if (typeof unit === "string" && !units.has(unitName(unit)))
      return `the host has named no unit ${quoted(unit)}; list_units shows which there are`;
    if (typeof container === "string" && !containers.has(container))
      return `the host has named no container ${quoted(container)}; agent_facts shows which there are`;
    const target = String(unit ?? container ?? "");
    if (tool.command !== null && !allows(allow, tool.command, target))
      return `the host does not allow ${[tool.command, target].filter(Boolean).join(":")}`;
    return undefined;
  }

  return {
    /** Tools that the host allows on anything at all. */
    offered: (): Tool[] => TOOLS.filter(({ command }) => command === null || isToldOf(allow, command)),

    /** The call as it may be carried out, or why not. */
    check(name: string, wanted: unknown): CheckedCall | { refusal: string } {
      const tool = toolOf(name);
      if (tool === undefined) return { refusal: `there is no tool ${quoted(name)}` };
      const given = givenOf(tool, wanted);
      if (given === undefined) return { refusal: "the arguments are no JSON object" };
      const fault = Value.Errors(tool.parameters, given).First();
      if (fault) {
        const expected = fault.schema.description ?? fault.message;
        return { refusal: `${fault.path.slice(1, QUOTED_CHARS_MAX)}: ${expected}` };
      }
      const call = { tool, given };
      const refusal = refusalOf(call);
      return refusal === undefined ? call : { refusal };
    },

    /** Takes note of the units and containers in an answer that lists them. */
    learn(toolName: string, output: string): void {
      if (toolName === "list_units") for (const name of unitsIn(output)) units.add(unitName(name));
      if (toolName === "agent_facts") for (const name of containersIn(output)) containers.add(name);
    },
  };
}

export type Guard = ReturnType<typeof createGuard>;

/** What is no list permits all: then the agent alone decides. */
function isToldOf(told: unknown, command: CommandName): boolean {
  if (!Array.isArray(told)) return true;
  return told.some((entry) => typeof entry === "string" && matchesGlob(entry.split(":", 1)[0] ?? "", command));
}

/** Models send numbers as text, and null for what they leave out. */
function givenOf(tool: Tool, wanted: unknown): Record<string, unknown> | undefined {
  const object = wanted === undefined || wanted === "" ? {} : wanted;
  if (!isRecord(object)) return undefined;
  const said = Object.entries(object).filter(([, value]) => value !== null && value !== "");
  return Value.Convert(tool.parameters, Object.fromEntries(said)) as Record<string, unknown>;
}

/** The first word of each line. */
function unitsIn(output: string): string[] {
  return output.split("\n").flatMap((line) => {
    const [name = "", ...rest] = line.split(" ");
    return rest.length >= 3 && isTargetName(name) ? [name] : [];
  });
}

function containersIn(output: string): string[] {
  const { containers } = fieldsOf(jsonOf(output));
  const names = (Array.isArray(containers) ? containers : []).map((one) => fieldsOf(one).name);
  return names.filter((name): name is string => typeof name === "string" && isTargetName(name));
}

const quoted = (text: string) => JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
