import type { Sql, TransactionSql } from "postgres";
import type { Decision } from "../decisions/model.ts";

/** new → analyzed → acknowledged | ignored → resolved. All but resolved are open for grouping. */
export const INCIDENT_STATUSES = ["new", "analyzed", "acknowledged", "ignored", "resolved"] as const;
export type IncidentStatus = (typeof INCIDENT_STATUSES)[number];

/** What a person may set: any of these from any unresolved status; resolved is final. */
export const DECIDED_STATUSES = ["acknowledged", "ignored", "resolved"] as const;
export type DecidedStatus = (typeof DECIDED_STATUSES)[number];

/** Who says that there is an incident: an agent, or the server itself (an agent that is lost). */
export const INCIDENT_ORIGINS = ["agent", "server"] as const;
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
 *   announced, withheld, announcement_failed, consequence, silence.created, silence.ended
 *   decided                           a person pressed a button: {decision_id, action, variant, name, outlet}
 *   command, result, command.expired  what was asked of the host, and its answer; `command_id` says which
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
export interface IncidentStory extends Incident {
  timeline: TimelineEntry[];
  decisions: IncidentDecision[];
  announcements: IncidentAnnouncement[];
}

/** Which incidents to list. */
export interface IncidentPage {
  limit: number;
  /** Only incidents with a smaller id: the last id of the page before. */
  cursor?: number;
  status?: IncidentStatus;
  agentId?: string;
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
}

export type StatusChange =
  | { ok: true; incident: Incident }
  | { ok: false; reason: "not_found" | "invalid_transition"; message: string };

/** Incidents as people read and decide them. */
export interface IncidentService {
  /** Newest first. */
  list(page: IncidentPage): Promise<{ incidents: Incident[]; nextCursor?: number }>;
  get(id: number): Promise<IncidentStory | undefined>;
  decide(id: number, status: DecidedStatus, actor: string): Promise<StatusChange>;
}
