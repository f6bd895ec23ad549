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

/** One line of an incident's timeline. `kind` is `opened`, `acknowledged`, `ignored`, `resolved`, `superseded`, `command`, `result`. */
export interface TimelineEntry {
  at: Date;
  kind: string;
  actor: string;
  data: Record<string, unknown> | null;
}

/** Which incidents to list. */
export interface IncidentPage {
  limit: number;
  /** Only incidents with a smaller id: the last id of the page before. */
  cursor?: number;
  status?: IncidentStatus;
  agentId?: string;
}

export type StatusChange =
  | { ok: true; incident: Incident }
  | { ok: false; reason: "not_found" | "invalid_transition"; message: string };

/** Incidents as people read and decide them. */
export interface IncidentService {
  /** Newest first. */
  list(page: IncidentPage): Promise<{ incidents: Incident[]; nextCursor?: number }>;
  get(id: number): Promise<(Incident & { timeline: TimelineEntry[] }) | undefined>;
  decide(id: number, status: DecidedStatus, actor: string): Promise<StatusChange>;
}
