/** new → analyzed → acknowledged | ignored → resolved. All but resolved are open for grouping. */
export const INCIDENT_STATUSES = ["new", "analyzed", "acknowledged", "ignored", "resolved"] as const;
export type IncidentStatus = (typeof INCIDENT_STATUSES)[number];

/** What a person may set: any of these from any unresolved status; resolved is final. */
export const DECIDED_STATUSES = ["acknowledged", "ignored", "resolved"] as const;
export type DecidedStatus = (typeof DECIDED_STATUSES)[number];

/** An incident as the API shows it: every column of its table. In lists `raw_error` is cut at 4 KiB. */
export interface Incident {
  id: number;
  agent_id: string;
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
export interface IncidentDecision {
  id: string;
  action: string;
  variant: string | null;
  actor: string;
  actor_name: string;
  outlet: string;
  state: string;
  command_id: string | null;
  outcome: string | null;
  requested_at: Date;
  carried_out_at: Date | null;
  ended_at: Date | null;
}

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
