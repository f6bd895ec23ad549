import { Type } from "@sinclair/typebox";
import type { AnalysisService, AnalysisView } from "../../analysis/model.ts";
import type { DecisionService } from "../../decisions/model.ts";
import type { Agent, AgentService } from "../../fleet/model.ts";
import type { IncidentService, IncidentStory } from "../../incidents/model.ts";
import { DECISION_ACTIONS, type DecisionAction, IGNORE_VARIANTS, possibleActions } from "../../protocol/actions.ts";
import { splitRawError } from "../../protocol/raw-error.ts";
import { Cursor, checkListing, FILTERS, filterOf, LISTING } from "../incident-lists.ts";
import { press } from "../press.ts";
import { existing } from "../problems.ts";
import * as api from "../schemas.ts";
import { forReader, tail } from "./shown.ts";
import { type Caller, type Tool, tool } from "./tool.ts";

const LIST = { default: 20, max: 100 } as const;
const LOGS_CHARS_MAX = 16_000;
/** The last ones: what happened long ago has led to them. */
const TIMELINE_LINES_MAX = 50;
/** The last ones, each with some KiB at most. */
const STORY_ENTRIES_MAX = 20;

const ID = { id: { ...api.IncidentId, description: "the incident's number" } };

/** What these tools need. */
export interface IncidentToolsDeps {
  incidents: IncidentService;
  analysis: AnalysisService;
  decisions: DecisionService;
  agents: AgentService;
}

/** Incidents, and what a person may decide about them. */
export function incidentTools({ incidents, analysis, decisions, agents }: IncidentToolsDeps): Tool[] {
  return [
    tool({
      name: "list_incidents",
      title: "List incidents",
      description:
        "Incidents in short (what broke, on which host, its likely cause, what was decided last): open ones, the most urgent first, unless told otherwise. Start here; then get_incident.",
      role: "viewer",
      effect: "looks",
      takes: {
        ...FILTERS,
        parent_id: Type.Optional({ ...api.IncidentId, description: "only what follows from this incident" }),
        order: LISTING.order,
        limit: Type.Optional(
          Type.Integer({ minimum: 1, maximum: LIST.max, description: `1 to ${LIST.max}; ${LIST.default} if absent` }),
        ),
        cursor: Type.Optional({ ...Cursor, description: "next_cursor of the page before, with the same order" }),
      },
      async run({ parent_id: parentId, limit = LIST.default, cursor, order = "urgent", status = "open", ...filters }) {
        checkListing({ order, cursor });
        const page = { ...filterOf({ ...filters, status }), parentId, limit, cursor, order };
        const { incidents: found, nextCursor } = await incidents.listShort(page);
        return { incidents: forReader(found), next_cursor: nextCursor ?? null };
      },
    }),
    tool({
      name: "get_incident",
      title: "Read an incident",
      description:
        "One incident with its whole story: message and logs, the explanation and its evidence, what a model looked at, the timeline, what people decided and what came of it, when the same was there before and what helped then, and what may be decided now.",
      role: "viewer",
      effect: "looks",
      takes: ID,
      async run({ id }, { role }) {
        const [found, view, history] = await Promise.all([incidents.get(id), analysis.view(id), incidents.history(id)]);
        const incident = existing("incident", found);
        const agent = await agents.get(incident.agent_id);
        const may = role === "viewer" ? [] : OFFERED.filter((action) => possibleOf(incident, agent)[action]);
        const earlier = history ?? { here: [], elsewhere: [] };
        return { ...storyOf(incident, agent), ...explanationOf(view), earlier: forReader(earlier), may_decide: may };
      },
    }),
    tool({
      name: "acknowledge_incident",
      title: "Acknowledge an incident",
      description: "Says that somebody is at work on an incident, for people to see. Nothing happens on the host.",
      role: "operator",
      effect: "decides",
      takes: ID,
      run: ({ id }, caller) => decide({ incidentId: id, action: "acknowledge" }, caller),
    }),
    tool({
      name: "ignore_incident",
      title: "Ignore an incident",
      description:
        "Mutes an incident's problem: people are no longer told of it, until it is resolved unless told otherwise. Only when a person wants it so.",
      role: "operator",
      effect: "decides",
      takes: {
        ...ID,
        variant: Type.Optional({
          ...api.oneOf(IGNORE_VARIANTS),
          description: "until_resolved (if absent), 1h, until_worse, or for_good",
        }),
      },
      run: ({ id, variant }, caller) => decide({ incidentId: id, action: "ignore", variant }, caller),
    }),
    tool({
      name: "restart",
      title: "Restart what an incident is about",
      description:
        "Restarts the service or container of an incident on its host, if the host allows it, and then watches whether that helped. Interrupts whoever uses it: only when a person wants it so. The answer comes at once; what came of it stands in get_incident's decisions, within a minute or so.",
      role: "operator",
      effect: "disturbs",
      takes: ID,
      run: ({ id }, caller) => decide({ incidentId: id, action: "restart" }, caller),
    }),
  ];

  async function decide(
    wish: { incidentId: number; action: DecisionAction; variant?: (typeof IGNORE_VARIANTS)[number] | undefined },
    { actor }: Caller,
  ) {
    const { decision, text } = await press(decisions, { ...wish, actor, outlet: "mcp" });
    return { said: forReader(text), decision: forReader(decision) };
  }
}

/** Actions that have a tool here. */
const OFFERED = DECISION_ACTIONS.filter((one) => one === "acknowledge" || one === "ignore" || one === "restart");

function possibleOf(incident: IncidentStory, agent: Agent | undefined) {
  const decisions = incident.decisions.map(({ action, ended_at }) => ({ action, ended: ended_at !== null }));
  return possibleActions({ ...incident, isDeleted: agent === undefined, allow: agent?.meta?.allow, decisions });
}

function storyOf(incident: IncidentStory, agent: Agent | undefined) {
  const { raw_error: rawError, message_chars: messageChars, timeline, decisions, announcements, ...rest } = incident;
  const { fingerprint: _, raw_error_bytes: __, ...shown } = rest;
  const { message, logs } = splitRawError({ rawError, messageChars });
  return {
    ...(forReader(shown) as Record<string, unknown>),
    host: forReader(agent?.hostname ?? null),
    message: forReader(message),
    logs: tail(logs, LOGS_CHARS_MAX),
    timeline: forReader(timeline.slice(-TIMELINE_LINES_MAX)),
    decisions: forReader(decisions.slice(0, STORY_ENTRIES_MAX)),
    announcements: forReader(announcements.slice(0, STORY_ENTRIES_MAX)),
  };
}

/** Without the questions themselves: they repeat what the incident says. */
function explanationOf(view: AnalysisView | undefined) {
  const calls = (view?.calls ?? []).map(({ system: _, prompt: __, ...call }) => call);
  return {
    asked: forReader(calls.slice(-STORY_ENTRIES_MAX)),
    investigations: forReader((view?.investigations ?? []).slice(-STORY_ENTRIES_MAX)),
  };
}
