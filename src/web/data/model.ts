import type { AgentView } from "../../http/agents.ts";
import type { CommandView } from "../../http/commands.ts";
import type { CommandNews } from "../../http/event-feed.ts";
import type { FiguresView } from "../../http/figures.ts";
import type { HistoryView } from "../../http/incident-history.ts";
import type { AuditLine, IncidentCounts, ShortIncident } from "../../http/incident-lists.ts";
import type { AnalysisShown, IncidentChanges, IncidentStory } from "../../http/incidents.ts";
import type { SessionView } from "../../http/session.ts";
import type { SetupPart } from "../../http/setup.ts";
import type { SilenceFitView, SilenceView } from "../../http/silences.ts";

export type { AnalysisShown, CommandNews, IncidentChanges, SetupPart, ShortIncident };
export type Counts = IncidentCounts;
export type EventRow = AuditLine;
export type Session = SessionView;
export type Silence = SilenceView;
export type SilenceFit = SilenceFitView;
export type History = HistoryView;
export type PastIncident = History["here"][number];

export type Severity = NonNullable<ShortIncident["severity"]>;
export type IncidentStatus = ShortIncident["status"];
/** The last decision about an incident, as lists show it. */
export type ShortDecision = NonNullable<ShortIncident["decision"]>;

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
export type Incident = Omit<IncidentStory, "analysis"> & { analysis: Analysis | null };
export type Decision = Incident["decisions"][number];
export type Feedback = NonNullable<Incident["feedback"]>;
export type TimelineEntry = Incident["timeline"][number];
export type Announcement = Incident["announcements"][number];

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
export type Agent = Omit<AgentView, "meta"> & { meta: AgentMeta | null };
export type Collector = Agent["collectors"][number];

export type Command = CommandView;

/** Figures over time. */
export type Series = FiguresView;
/** A figure's course: time (Unix seconds), least, mean, most; null where nothing was heard. */
export type Point = Series["series"][string][number];

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
