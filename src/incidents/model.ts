import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import type { Decision } from "../decisions/model.ts";
import type { FeedbackStory } from "../feedback/model.ts";

/** new → analyzed → acknowledged | ignored → resolved. All but resolved are open for grouping. */
export const INCIDENT_STATUSES = ["new", "analyzed", "acknowledged", "ignored", "resolved"] as const;
export type IncidentStatus = (typeof INCIDENT_STATUSES)[number];

/** What a person may set: any of these from any unresolved status; resolved is final. */
export const DECIDED_STATUSES = ["acknowledged", "ignored", "resolved"] as const;
export type DecidedStatus = (typeof DECIDED_STATUSES)[number];

/** Who says that there is an incident: an agent, the server itself (an agent that is lost), or whatever else alerts. */
export const INCIDENT_ORIGINS = ["agent", "server", "integration"] as const;
export type IncidentOrigin = (typeof INCIDENT_ORIGINS)[number];

/** An incident as the API shows it: every column of its table. In lists `raw_error` is cut at 4 KiB. */
export interface Incident {
  id: number;
  agent_id: string;
  origin: IncidentOrigin;
  type: string;
  source: string;
  raw_error: string;
  raw_error_bytes: number;
  message_chars: number;
  ai_analysis: string | null;
  ai_solution: string | null;
  analysis: Record<string, unknown> | null;
  status: IncidentStatus;
  fingerprint: string;
  severity: "info" | "warning" | "critical" | null;
  exit_code: number | null;
  occurrences: number;
  created_at: Date;
  last_seen_at: Date;
  updated_at: Date;
  /** Rises with each change. */
  revision: number;
  resolved_at: Date | null;
  parent_id: number | null;
  previous_id: number | null;
  next_id: number | null;
  reason: string | null;
}

/**
 * One line of an incident's timeline: what happened, when, and who or what did it (`agent`, `system`, or a person's actor). `data`
 * says why. `kind` is
 *
 *   opened, repeated, superseded      alerts, with why they are an incident of their own or belong together
 *   analysis_requested, given_up      explaining
 *   investigation_requested, looked, look_refused, investigation_failed   a model looks for itself; what it asks the host is a command
 *   announced, withheld, announcement_failed, consequence, silence.created, silence.ended
 *   decided                           a person pressed a button: {decision_id, action, variant, name, outlet}
 *   command, result, command.expired  what was asked of the host, and its answer; `command_id` says which
 *   feedback                          what a person said of the explanation: {verdict, category, cause, fix, name, outlet, replaces}
 *   outcome                           what came of a decision: {decision_id, action, state, outcome}
 *   acknowledged, ignored, resolved   the status changed, with the reason where no person did it
 */
export interface TimelineEntry {
  at: Date;
  kind: string;
  actor: string;
  command_id: string | null;
  data: Record<string, unknown> | null;
}

/** What a person decided about an incident, and what came of it. */
export type IncidentDecision = Omit<Decision, "incident_id">;

/** Where people were told of an incident, or why not. */
export interface IncidentAnnouncement {
  outlet: string;
  kind: string;
  state: string;
  why: string;
  last_error: string | null;
  created_at: Date;
  sent_at: Date | null;
}

/** An incident and its whole story. */
export interface IncidentStory extends Incident, FeedbackStory {
  timeline: TimelineEntry[];
  decisions: IncidentDecision[];
  announcements: IncidentAnnouncement[];
}

export type Severity = NonNullable<Incident["severity"]>;

/** What a list shows of an incident: what broke, why, and what was decided, in a tenth of a KiB or so. */
export interface ShortIncident
  extends Pick<
    Incident,
    | "id"
    | "revision"
    | "status"
    | "severity"
    | "type"
    | "source"
    | "origin"
    | "agent_id"
    | "occurrences"
    | "created_at"
    | "last_seen_at"
    | "updated_at"
    | "resolved_at"
    | "parent_id"
  > {
  /** The host's name, or, while it has none, the agent's id. */
  host: string;
  /** The message's first line. */
  title: string;
  /** The explanation's first sentence; null while there is none. */
  cause: string | null;
  confidence: number | null;
  by: "model" | "heuristic" | null;
  /** A person said that this explanation is wrong, of this incident or of one of the same problem before. */
  doubted: boolean;
  /** Open incidents that follow from it. */
  children: number;
  /** The last one. */
  decision: ShortDecision | null;
  /** Open, and nobody is told of it, since somebody wanted it so. */
  silenced: boolean;
}

/** What a list shows of a decision. Times are ISO 8601 in UTC. */
export type ShortDecision = Pick<Decision, "id" | "action" | "variant" | "state" | "actor_name" | "outcome"> & {
  requested_at: string;
  ended_at: string | null;
};

/** A resolved incident of the same problem, and what was done about it. */
export interface PastIncident
  extends Pick<Incident, "id" | "agent_id" | "severity" | "created_at" | "resolved_at" | "occurrences" | "reason"> {
  /** Its name, or the agent's id while it has none. */
  host: string;
  /** The newest first; logs that somebody fetched are none. Times are ISO 8601 in UTC. */
  decisions: (Pick<Decision, "action" | "variant" | "state" | "actor" | "actor_name" | "outcome"> & {
    requested_at: string;
  })[];
}

/** When the same problem was there before, the newest first. */
export interface IncidentHistory {
  /** On the same host. */
  here: PastIncident[];
  /** On others: of the same type, source and cause. */
  elsewhere: PastIncident[];
}

/** Which incidents are meant; what is not said leaves none out. */
export interface IncidentFilter {
  statuses?: readonly IncidentStatus[] | undefined;
  severities?: readonly Severity[] | undefined;
  types?: readonly string[] | undefined;
  agentId?: string | undefined;
  /** What follows from this one. */
  parentId?: number | undefined;
  /** The host's name, or a pattern with `*` and `?` over all of it. */
  host?: string | undefined;
  /** All of these stand in the title, source, host or cause, in whatever case. */
  words?: readonly string[] | undefined;
}

/** Which incidents to list. */
export interface IncidentPage extends IncidentFilter {
  limit: number;
  /** As the page before gave it. */
  cursor?: string | undefined;
  order?: IncidentOrder | undefined;
}

/**
 * newest: by number, the highest first. urgent: open ones that nobody has taken up, by severity (critical, warning, none, info); then
 * acknowledged, then ignored, then resolved ones; the newest of each kind first.
 */
export const INCIDENT_ORDERS = ["newest", "urgent"] as const;
export type IncidentOrder = (typeof INCIDENT_ORDERS)[number];

/** How many incidents there are, and how the hosts fare. */
export interface IncidentCounts {
  total: number;
  /** Resolved ones only where they were asked for. */
  by_status: Record<Exclude<IncidentStatus, "resolved">, number> & { resolved: number | null };
  /** Of open ones. */
  by_severity: Record<Severity | "none", number>;
  unacknowledged_critical: number;
  /** With an open incident. */
  hosts_affected: number;
  hosts: { total: number; online: number; offline: number };
  /** Firing alerts of all hosts in each of the last 60 minutes; `from` is the first one's start. */
  alerts: { from: Date; per_minute: number[] };
  /** When the last open incident of all was resolved; null while one is open, or where there never was one. */
  quiet_since: Date | null;
}

/**
 * A line of the audit trail, with whom it is about. That an incident opened is told by the incident itself: such a line has the
 * incident's number, negative.
 */
export interface AuditLine {
  id: number;
  at: Date;
  kind: string;
  actor: string;
  agent_id: string | null;
  host: string | null;
  incident_id: number | null;
  command_id: string | null;
  data: Record<string, unknown> | null;
}

/** A person's decision, for whatever follows from it. */
export interface Decided {
  incidentId: number;
  status: DecidedStatus;
  actor: string;
}

/** A new status, as it is written. */
export interface StatusSetting extends Decided {
  /** Of a resolution: why, in words; by whom, when it is not said. */
  reason?: string;
  /** For the timeline. */
  data?: Record<string, unknown>;
}

/** A line for a timeline, or, without an incident, for the audit trail. */
export interface Note {
  kind: string;
  actor: string;
  incidentId?: number | null;
  /** The incident's agent when it is not said. */
  agentId?: string | null;
  commandId?: string | null;
  data?: object | null;
}

/** What tells that an incident is silenced. */
export type Silenceable = Pick<
  Candidate,
  "id" | "agentId" | "hostname" | "type" | "source" | "fingerprint" | "severity"
>;

/** What stands in an incident once it is explained; see analysis/model.ts. */
export interface ExplainedIncident {
  id: number;
  aiAnalysis: string;
  aiSolution: string;
  analysis: object;
}

/** An incident and the one that it follows from. */
export interface CauseLink {
  id: number;
  causeId: number;
  /** In words. */
  reason: string;
}

/** An incident of which it is to be decided whether people are notified. */
export interface Candidate {
  id: number;
  origin: IncidentOrigin;
  agentId: string;
  hostname: string | null;
  type: string;
  source: string;
  fingerprint: string;
  severity: "info" | "warning" | "critical" | null;
  status: IncidentStatus;
  /** Of its explanation; null while there is none. */
  category: string | null;
  reason: string | null;
  parentId: number | null;
  previousId: number | null;
}

/** Why nobody is notified of an incident by a message of its own. */
export interface Mute {
  /** In words, for the timeline. */
  why: string;
  /** Seconds after which it is to be asked again, though the incident does not change; else it holds until then. */
  againInS?: number;
  /** The storm in whose message it is told. */
  stormId?: number;
  /** Others are told, now or first: that is no news for the timeline. */
  isRouted?: boolean;
}

/** One reason to withhold messages. */
export interface Muter {
  readonly name: string;
  /** Those of these incidents that it mutes on this outlet. In a transaction of the only node that decides there. */
  mutes(tx: TransactionSql, incidents: readonly Candidate[], outlet: string): Promise<Map<number, Mute>>;
}

/**
 * All that others change in incidents. Each takes many, in the transaction of whoever calls, raises the incidents' revision
 * (`note` does not) and leaves a line in the timeline where people would miss it. Rows are locked in order of id; a transaction that
 * holds rows of incidents calls none of these for other incidents, and none that sets a status for an agent that it has not locked.
 */
export interface IncidentWriter {
  /**
   * Writes explanations; a new incident becomes analyzed. With `isFirst`, only where there is none yet, and what is explained is
   * linked and tied to its cause. Returns whose were.
   */
  explain(
    tx: TransactionSql,
    explained: readonly ExplainedIncident[],
    options: { isFirst: boolean },
  ): Promise<number[]>;
  /** Says in incidents that the heuristics explain why no model's answer stands there. */
  unask(tx: TransactionSql, ids: readonly number[], unasked: { outcome: string; why: string }): Promise<void>;
  /** Links incidents both ways with the last resolved one of their fingerprint, where nothing was linked as they opened. */
  link(tx: TransactionSql, ids: readonly number[]): Promise<void>;
  /** Ties incidents to their causes, once; both change. */
  attach(tx: TransactionSql, links: readonly CauseLink[]): Promise<void>;
  /** Sets the status of unresolved incidents; those that were. Their agents' alerts are kept out until the end of the transaction. */
  setStatus(tx: TransactionSql, settings: readonly StatusSetting[]): Promise<Set<number>>;
  /** Locks these incidents, and what shows them, at once: for a transaction that changes several of them one after the other. */
  hold(tx: TransactionSql, ids: readonly number[]): Promise<void>;
  /** Something that the incidents show has changed elsewhere. */
  touch(tx: TransactionSql, ids: readonly number[]): Promise<void>;
  /** Wakes whoever follows incidents at the commit, where none of them changed. */
  wake(tx: Sql | TransactionSql): Promise<void>;
  /** Lines for timelines and the audit trail, in this order. */
  note(tx: Sql | TransactionSql, notes: readonly Note[]): Promise<void>;
  /** The same as an insert within a statement that tells of them: a line for each of `rows` (kind, actor, agent, incident, command, data, place). */
  lines(query: Sql | TransactionSql, rows: PendingQuery<Row[]>): PendingQuery<Row[]>;
}

/** Why an incident's status did not change. */
export interface StatusRefusal {
  reason: "not_found" | "invalid_transition";
  message: string;
}

export type StatusChange = { ok: true; incident: Incident } | ({ ok: false } & StatusRefusal);

/** What came of a decision about several: those that have the status now, and why others have not. */
export interface StatusChanges {
  changed: number[];
  refused: ({ id: number } & StatusRefusal)[];
}

/** Incidents as people read and decide them. */
export interface IncidentService {
  list(page: IncidentPage): Promise<{ incidents: Incident[]; nextCursor?: string }>;
  /** The same in short. */
  listShort(page: IncidentPage): Promise<{ incidents: ShortIncident[]; nextCursor?: string }>;
  /** Those of these incidents that are there, in short. */
  short(ids: readonly number[]): Promise<ShortIncident[]>;
  /** Of open ones when no status is named. */
  counts(filter: IncidentFilter): Promise<IncidentCounts>;
  /** The newest lines of the audit trail over all hosts. */
  audit(page: { limit: number; before?: string | undefined }): Promise<{ lines: AuditLine[]; nextCursor?: string }>;
  get(id: number): Promise<IncidentStory | undefined>;
  /** The last few times that the same was there before this incident; undefined when there is no such incident. */
  history(id: number): Promise<IncidentHistory | undefined>;
  decide(id: number, status: DecidedStatus, actor: string): Promise<StatusChange>;
  /** The same about several at once, in one transaction: none waits for another's. */
  decideAll(ids: readonly number[], status: DecidedStatus, actor: string): Promise<StatusChanges>;
}
