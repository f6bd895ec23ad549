import type { Severity } from "../protocol/frames.ts";
import type { IncidentOrigin } from "./model.ts";

/** An accepted alert with everything that decides where it belongs. */
export interface IncomingAlert {
  uuid: string;
  origin: IncidentOrigin;
  agentId: string;
  messageId: string | null;
  fingerprint: string;
  type: string;
  source: string;
  state: "firing" | "resolved";
  severity: Severity | null;
  exitCode: number | null;
  rawError: string;
  messageChars: number;
  /** Unix milliseconds by the database's clock. */
  occurredAt: number;
  receivedAt: number;
}

/** An open incident as the database has it. */
export interface OpenIncident {
  id: number;
  origin: IncidentOrigin;
  agentId: string;
  type: string;
  source: string;
  fingerprint: string;
  severity: Severity | null;
  lastSeenAt: number;
}

/** The last resolution of one origin, agent, type and source, and the resolved incident that a late alert of `fingerprint` belongs to. */
export interface PastResolution {
  subject: string;
  fingerprint: string;
  occurredAt: number;
  incidentId: number | null;
}

/** What the database knows that decides about a batch. */
export interface GroupingFacts {
  storedUuids: ReadonlySet<string>;
  open: readonly OpenIncident[];
  resolutions: readonly PastResolution[];
}

/** An incident that a row refers to: one that exists, or the n-th that this plan opens. */
export type IncidentRef = { id: number } | { opened: number };

/** An incident that the plan opens; it may be over by the end of the batch. */
export interface OpenedIncident {
  alert: IncomingAlert;
  occurrences: number;
  severity: Severity | null;
  lastSeenAt: number;
  resolvedAt: number | null;
  reason: string | null;
  previous: IncidentRef | null;
  next: IncidentRef | null;
}

/** What happens to an incident that exists. */
export interface ChangedIncident {
  id: number;
  addOccurrences: number;
  severity: Severity | null;
  lastSeenAt: number;
  resolvedAt: number | null;
  reason: string | null;
  next: IncidentRef | null;
}

/** An alert's row. */
export interface PlannedAlert {
  alert: IncomingAlert;
  incident: IncidentRef | null;
  /** The alert's text is the incident's, and not stored again. */
  isFirst: boolean;
}

/** A line of the audit trail. */
export interface PlannedEvent {
  incident: IncidentRef;
  kind: "resolved" | "superseded";
  agentId: string;
  at: number;
}

/** Everything that one batch writes. */
export interface GroupingPlan {
  opened: OpenedIncident[];
  changed: ChangedIncident[];
  alerts: PlannedAlert[];
  events: PlannedEvent[];
}
