import { globOf } from "../lib/text.ts";
import type { IncidentStatus, Severity, ShortIncident } from "./model.ts";

/** Which incidents a list shows; as in the URL. Lists are words with commas between. */
export interface IncidentFilter {
  readonly status: string;
  readonly severity: string;
  readonly type: string;
  readonly host: string;
  readonly q: string;
  readonly agentId: string;
  readonly order: "urgent" | "newest";
}

/** All that are open, most urgent first. */
export const OPEN_FILTER: IncidentFilter = {
  status: "open",
  severity: "",
  type: "",
  host: "",
  q: "",
  agentId: "",
  order: "urgent",
};

/** The filter as the API takes it. */
export function filterQuery(filter: IncidentFilter): URLSearchParams {
  const { agentId, order, ...rest } = filter;
  const pairs = Object.entries({ ...rest, agent_id: agentId, order });
  return new URLSearchParams(pairs.filter(([, value]) => value !== ""));
}

const UNDECIDED: readonly IncidentStatus[] = ["new", "analyzed"];
/** What nobody has graded may be bad. */
const SEVERITY_RANK: Record<Severity | "none", number> = { critical: 4, warning: 3, none: 2, info: 1 };

/** Whether nobody has decided about it yet. */
export function isUndecided({ status }: Pick<ShortIncident, "status">): boolean {
  return UNDECIDED.includes(status);
}

/** As the server orders. Urgent: what nobody has decided about, by severity; then what is acknowledged, then ignored; in each the newest first. */
export function compareIncidents(order: IncidentFilter["order"]): (a: ShortIncident, b: ShortIncident) => number {
  if (order === "newest") return (a, b) => b.id - a.id;
  return (a, b) => urgencyOf(b) - urgencyOf(a) || b.id - a.id;
}

function urgencyOf(incident: ShortIncident): number {
  if (incident.status === "resolved") return -1;
  if (isUndecided(incident)) return 1 + SEVERITY_RANK[incident.severity ?? "none"];
  return incident.status === "acknowledged" ? 1 : 0;
}

/** Where the page after this incident begins: the cursor that the server would have given had its page ended here. */
export function cursorAfter(order: IncidentFilter["order"], incident: ShortIncident): string {
  return order === "newest" || incident.status === "resolved"
    ? String(incident.id)
    : `${urgencyOf(incident)}.${incident.id}`;
}

/** Whether a list with this filter shows an incident: what the stream brings is sorted in without asking the server again. */
export function matcherOf({
  status,
  severity,
  type,
  host,
  q,
  agentId,
}: IncidentFilter): (incident: ShortIncident) => boolean {
  const statuses = wordsOf(status);
  const severities = wordsOf(severity);
  const types = wordsOf(type);
  const hosts = host === "" ? null : globOf(host, "i");
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);

  return (incident) => {
    if (agentId !== "" && incident.agent_id !== agentId) return false;
    if (status === "open" ? incident.status === "resolved" : !isOneOf(statuses, incident.status)) return false;
    if (!isOneOf(severities, incident.severity ?? "none") || !isOneOf(types, incident.type)) return false;
    if (hosts !== null && !hosts.test(incident.host)) return false;
    if (words.length === 0) return true;
    const text = `${incident.title}\n${incident.source}\n${incident.host}\n${incident.cause ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

const wordsOf = (list: string) => new Set(list.split(",").filter(Boolean));
const isOneOf = (words: ReadonlySet<string>, word: string) => words.size === 0 || words.has(word);
