import type { DecisionAction, IgnoreVariant } from "../../protocol/actions.ts";

export type Severity = "critical" | "warning" | "info";
export type IncidentStatus = "new" | "analyzed" | "acknowledged" | "ignored" | "resolved";

/** The last decision about an incident, as lists show it. */
export interface ShortDecision {
  id: string;
  action: DecisionAction;
  variant: IgnoreVariant | null;
  state: string;
  actor_name: string;
  outcome: string | null;
  requested_at: string;
  ended_at: string | null;
}

/** An incident as lists and the stream show it. */
export interface ShortIncident {
  id: number;
  revision: number;
  status: IncidentStatus;
  severity: Severity | null;
  type: string;
  source: string;
  origin: string;
  agent_id: string;
  host: string;
  title: string;
  cause: string | null;
  confidence: number | null;
  by: "model" | "heuristic" | null;
  occurrences: number;
  created_at: string;
  last_seen_at: string;
  updated_at: string;
  resolved_at: string | null;
  parent_id: number | null;
  children: number;
  decision: ShortDecision | null;
  silenced: boolean;
}

/** A decision as an incident's story has it. */
export interface Decision extends ShortDecision {
  actor: string;
  outlet: string;
  command_id: string | null;
  carried_out_at: string | null;
}

/** A line of an incident's timeline. */
export interface TimelineEntry {
  at: string;
  kind: string;
  actor: string;
  command_id: string | null;
  data: Record<string, unknown> | null;
}

/** Where people were told, or why not. */
export interface Announcement {
  outlet: string;
  kind: string;
  state: string;
  why: string;
  last_error: string | null;
  created_at: string;
  sent_at: string | null;
}

/** What stands in `analysis` that the page shows; the rest is kept from sight, not refused. */
export interface Analysis {
  category?: string;
  confidence?: number;
  decisive?: string | null;
  by?: "model" | "heuristic";
  model?: { model?: string; fix_command?: string | null; outcome?: string; why?: string } | null;
  heuristic?: { cause?: string; fix?: string; why?: string } | null;
}

/** One incident and its whole story. */
export interface Incident {
  id: number;
  agent_id: string;
  origin: string;
  type: string;
  source: string;
  raw_error: string;
  raw_error_bytes: number;
  message_chars: number;
  ai_analysis: string | null;
  ai_solution: string | null;
  analysis: Analysis | null;
  status: IncidentStatus;
  severity: Severity | null;
  exit_code: number | null;
  occurrences: number;
  created_at: string;
  last_seen_at: string;
  updated_at: string;
  revision: number;
  resolved_at: string | null;
  parent_id: number | null;
  previous_id: number | null;
  next_id: number | null;
  reason: string | null;
  timeline: TimelineEntry[];
  decisions: Decision[];
  announcements: Announcement[];
}

/** How many there are of what. */
export interface Counts {
  total: number;
  by_status: Partial<Record<IncidentStatus, number>>;
  by_severity: Partial<Record<Severity | "none", number>>;
  unacknowledged_critical: number;
  hosts_affected: number;
  hosts: { total: number; online: number; offline: number };
  alerts: { from: string; per_minute: number[] };
  quiet_since: string | null;
}

/** A disk of a host. */
export interface Disk {
  mount: string;
  used_bytes: number;
  total_bytes: number;
}

/** A host's last figures; each may be missing. */
export interface Figures {
  cpu_pct?: number;
  load1?: number;
  mem_used_bytes?: number;
  mem_total_bytes?: number;
  swap_used_bytes?: number;
  disks?: Disk[];
}

/** What a collector says of itself. */
export interface Collector {
  name: string;
  state: "sees" | "cannot" | "absent";
  since: string;
  why: string | null;
  gave_up: string[];
  told: boolean;
}

/** What an agent tells of its host; other keys are shown as they are. */
export interface AgentMeta {
  version?: string;
  os?: string;
  arch?: string;
  kernel?: string;
  uptime_s?: number;
  metrics?: Figures;
  allow?: unknown;
  [key: string]: unknown;
}

/** A host's agent. */
export interface Agent {
  id: string;
  hostname: string | null;
  status: "online" | "offline";
  last_seen_at: string | null;
  meta: AgentMeta | null;
  created_at: string;
  connected_at: string | null;
  collectors: Collector[];
  shared_with: string[];
}

/** What was asked of a host, as the stream tells it. */
export interface CommandNews {
  id: string;
  agent_id: string;
  incident_id: number | null;
  command: string;
  status: string;
  exit_code: number | null;
  duration_ms: number | null;
  finished_at: string | null;
}

/** The same whole. */
export interface Command extends CommandNews {
  params: Record<string, unknown>;
  actor: string;
  created_at: string;
  sent_at: string | null;
  output: string | null;
  error: string | null;
  late: boolean;
}

/** A row of the audit trail over all hosts. */
export interface EventRow {
  id: number | string;
  at: string;
  kind: string;
  actor: string;
  agent_id: string | null;
  host: string | null;
  incident_id: number | null;
  data: Record<string, unknown> | null;
}

/** What is muted. */
export interface Silence {
  id: number;
  agent: string | null;
  type: string | null;
  source: string | null;
  fingerprint: string | null;
  incident_id: number | null;
  ends: "time" | "until_resolved" | "until_worse" | "never";
  until: string | null;
  comment: string | null;
  actor: string;
  created_at: string;
  ended_at: string | null;
}

/** A part of the server, and whether it is set up. */
export interface SetupPart {
  part: string;
  state: "ok" | "off" | "warn" | "fail";
  text: string;
  /** What to do about it. */
  todo: string | null;
}

/** A figure's course: time (Unix seconds), least, mean, most; null where nothing was heard. */
export type Point = [number, number, number, number] | null;
/** Figures over time. */
export interface Series {
  step_s: number;
  from: number;
  to: number;
  series: Record<string, Point[]>;
}

/** Who may do what, and whether this browser may. */
export interface Session {
  access: "open" | "token";
  signed_in: boolean;
  expires_at: string | null;
}

/** What the stream brings. */
export type News =
  | { kind: "hello"; data: { version: string; at: string; access: string } }
  | { kind: "incident"; data: ShortIncident }
  | { kind: "agent"; data: Agent }
  | { kind: "command"; data: CommandNews }
  | { kind: "timeline"; data: EventRow }
  | { kind: "alive"; data: { at: string } }
  | { kind: "reset"; data: unknown }
  /** The page's own: the server is there again. What was missed comes by itself; what could not be loaded is loaded now. */
  | { kind: "back"; data: null };
