import { Type } from "@sinclair/typebox";
import type { Command, CommandService } from "../../commands/model.ts";
import { FIGURE_STEPS_S, type FigurePoint, type FigureService, type Figures } from "../../figures/model.ts";
import type { Agent, AgentService } from "../../fleet/model.ts";
import { matchesGlob } from "../../lib/glob.ts";
import { COMMANDS } from "../../protocol/command-schemas.ts";
import { LOG_LINES } from "../../protocol/commands.ts";
import { AGENT_STATUSES, agentsFor } from "../agents.ts";
import { refusal, WAIT_S_MAX } from "../commands.ts";
import { rangeOf } from "../figures.ts";
import { existing, invalid } from "../problems.ts";
import * as api from "../schemas.ts";
import { forReader, tail } from "./shown.ts";
import { exactlyOne, type Tool, tool } from "./tool.ts";

const LIST = { default: 50, max: 100 } as const;
/** What a model can read at once; more it finds by a pattern. */
const LINES_MAX = 1_000;
const OUTPUT_CHARS_MAX = 32_000;
const SERIES_MAX = 20;
/** Of all series of one answer. */
const POINTS_MAX = 2_000;

const AgentId = { ...api.Uuid, description: "the host's id: agent_id of an incident, id of list_hosts" };

/** What these tools need. */
export interface HostToolsDeps {
  version: string;
  agents: AgentService;
  figures: FigureService;
  commands: CommandService;
}

/** Hosts: who there is, what they measured, and their logs. */
export function hostTools({ version, agents, figures, commands }: HostToolsDeps): Tool[] {
  const withVersion = agentsFor(version);
  return [
    tool({
      name: "list_hosts",
      title: "List hosts",
      description:
        "Hosts, the newest first: name, whether the agent is connected, what its collectors see, and what it lets be done there (allow).",
      role: "viewer",
      effect: "looks",
      takes: {
        status: Type.Optional(api.oneOf(AGENT_STATUSES)),
        limit: Type.Optional(
          Type.Integer({ minimum: 1, maximum: LIST.max, description: `1 to ${LIST.max}; ${LIST.default} if absent` }),
        ),
        cursor: Type.Optional({ ...api.Uuid, description: "next_cursor of the page before" }),
      },
      async run({ status, limit = LIST.default, cursor }) {
        const { agents: found, nextCursor } = await agents.list({ status, limit, cursor });
        return { hosts: found.map((agent) => hostOf(withVersion(agent), META)), next_cursor: nextCursor ?? null };
      },
    }),
    tool({
      name: "get_host",
      title: "Read a host",
      description: "One host, with what it measured last and the state of the services that it watches.",
      role: "viewer",
      effect: "looks",
      takes: { id: AgentId },
      run: async ({ id }) => hostOf(withVersion(existing("agent", await agents.get(id))), META_OF_ONE),
    }),
    tool({
      name: "get_metrics",
      title: "Read a host's metrics",
      description:
        "Processor, load, memory, swap and disks of a host over time (the last 3 hours unless told otherwise), or around an incident: of each series the least, the mean, the most and the last; with points=true each step.",
      role: "viewer",
      effect: "looks",
      takes: {
        agent_id: Type.Optional(AgentId),
        incident_id: Type.Optional({
          ...api.IncidentId,
          description: "instead of agent_id: from 30 minutes before its first alert to 30 after",
        }),
        from: Type.Optional(Type.String({ maxLength: 40, description: "such as 2026-01-31T18:00:00Z; with agent_id" })),
        to: Type.Optional(Type.String({ maxLength: 40, description: "such as 2026-01-31T19:00:00Z; with agent_id" })),
        step_s: Type.Optional(
          Type.Union(
            FIGURE_STEPS_S.map((one) => Type.Literal(one)),
            { description: `${FIGURE_STEPS_S.join(", ")} (seconds); with agent_id` },
          ),
        ),
        series: Type.Optional(
          Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
            maxItems: SERIES_MAX,
            description:
              "names, with * for any characters: cpu_pct, load1, mem_used_pct, swap_used_pct, disk:/var; all if absent",
          }),
        ),
        points: Type.Optional(Type.Boolean({ description: "each step as [Unix seconds, least, mean, most]" })),
      },
      async run({ agent_id: agentId, incident_id: incidentId, from, to, step_s: stepS, series = ["*"], points }) {
        exactlyOne({ agent_id: agentId, incident_id: incidentId }, "agent_id", "incident_id");
        const found =
          agentId === undefined
            ? existing("incident", await figures.ofIncident(incidentId ?? 0))
            : await ofAgent(agentId, { ...rangeOf({ from, to }), stepS });
        return shownFigures(found, series, points === true);
      },
    }),
    tool({
      name: "get_logs",
      title: "Fetch logs from a host",
      description:
        "The last lines of a service's journal or a container's log, asked of the host now; the host's own settings say whether it may be. Waits up to 25 s; where the answer takes longer, get_command has it.",
      role: "operator",
      effect: "asks_host",
      takes: {
        agent_id: AgentId,
        service: Type.Optional({ ...COMMANDS.get_logs.properties.service, description: "a systemd unit: nginx" }),
        container: Type.Optional({ ...COMMANDS.container_logs.properties.container, description: "or a container" }),
        lines: Type.Optional(
          Type.Integer({ minimum: 1, maximum: LINES_MAX, description: `1 to ${LINES_MAX}; ${LOG_LINES} if absent` }),
        ),
        since_s: Type.Optional({ ...COMMANDS.get_logs.properties.since_s, description: "only so many seconds old" }),
        priority: Type.Optional({
          ...COMMANDS.get_logs.properties.priority,
          description: "of a service: only lines as grave as this, or graver",
        }),
        pattern: Type.Optional({
          ...COMMANDS.get_logs.properties.pattern,
          description: "a regular expression, without look-around, that a line must hold, in whatever case",
        }),
      },
      async run({ agent_id: agentId, ...params }, { actor, signal }) {
        exactlyOne(params, "service", "container");
        const command = params.service === undefined ? "container_logs" : "get_logs";
        const outcome = await commands.exec({ agentId, command, params, actor, waitS: WAIT_S_MAX }, signal);
        if (!outcome.ok) throw refusal(outcome);
        return commandOf(outcome.command);
      },
    }),
    tool({
      name: "get_command",
      title: "Read a command's result",
      description:
        "What was asked of a host, by whom, and what came of it: of get_logs, or of a decision's command_id.",
      role: "viewer",
      effect: "looks",
      takes: { id: { ...api.Uuid, description: "the command's id" } },
      run: async ({ id }) => commandOf(existing("command", await commands.get(id))),
    }),
  ];

  async function ofAgent(agentId: string, range: Parameters<FigureService["ofAgent"]>[1]): Promise<Figures> {
    existing("agent", await agents.get(agentId));
    const outcome = await figures.ofAgent(agentId, range);
    if (!outcome.ok) throw invalid([outcome]);
    return outcome.figures;
  }
}

/** What a host says of itself may be long, and anything. */
const META = ["os", "arch", "kernel", "uptime_s", "allow"] as const;
const META_OF_ONE = [...META, "metrics", "services"] as const;

function hostOf({ meta, ...agent }: Agent, known: readonly string[]) {
  const said = Object.fromEntries(known.map((name) => [name, meta?.[name] ?? null]));
  return forReader({ ...agent, ...said }) as Record<string, unknown>;
}

function commandOf({ output, ...command }: Command) {
  return { ...(forReader(command) as object), output: output === null ? null : tail(output, OUTPUT_CHARS_MAX) };
}

function shownFigures({ step_s, from, to, series }: Figures, patterns: readonly string[], withPoints: boolean) {
  const wanted = Object.entries(series).filter(([name]) => patterns.some((pattern) => matchesGlob(pattern, name)));
  const points = wanted.reduce((sum, [, steps]) => sum + steps.length, 0);
  if (withPoints && points > POINTS_MAX) {
    const message = `${wanted.length} series have ${points} points, and ${POINTS_MAX} are shown at most: name fewer, or a longer step_s`;
    throw invalid([{ field: "series", message }]);
  }
  const shown = wanted.map(([name, steps]) => ({
    name: forReader(name),
    ...summaryOf(steps),
    ...(withPoints ? { points: steps } : {}),
  }));
  const [fromText, toText] = [from, to].map((seconds) => new Date(seconds * 1_000).toISOString());
  return { step_s, from: fromText, to: toText, series: shown };
}

function summaryOf(steps: readonly (FigurePoint | null)[]) {
  const heard = steps.filter((one) => one !== null);
  if (heard.length === 0) return { steps: 0, min: null, mean: null, max: null, last: null };
  return {
    steps: heard.length,
    min: Math.min(...heard.map(([, min]) => min)),
    mean: heard.reduce((sum, [, , mean]) => sum + mean, 0) / heard.length,
    max: Math.max(...heard.map(([, , , max]) => max)),
    last: heard.at(-1)?.[2] ?? null,
  };
}
