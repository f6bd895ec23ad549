/**
 * Which incident an alert belongs to, decided for a whole batch at once and without a database: facts in, plan out.
 *
 *   firing    joins the open incident of its fingerprint while that one's last alert is younger than the window;
 *             otherwise it opens a new one, and the older open one is resolved as superseded. The new one and the last
 *             of its fingerprint are linked both ways; one that was resolved before the batch is found afterwards (write-store.ts).
 *             What has its sender's own name joins the open one at any time.
 *   resolved  closes the open incidents of its agent, type and source whose last alert occurred no later; with none
 *             open it is stored and opens nothing.
 *   flapping  an incident that opens within the window of the opening of the one before it, which its agent had reported as over:
 *             the third change. From there on it is one incident: a resolution only counts once it has held for the window
 *             (ageing.ts), and what fires before that joins.
 *   late      a firing alert that occurred before a resolution of its agent, type and source, but arrives after it,
 *             becomes a row of the resolved incident and changes nothing.
 *
 * Alerts are taken in the order in which they came; all comparisons are by `occurredAt`, but for what the server says itself, and for what
 * has its sender's own name: the end of something comes after its beginning, whichever seems older by two clocks. A repeat (a UUID that is stored,
 * or stood earlier in the batch) has no effect.
 */
import type { Severity } from "../protocol/frames.ts";
import { isKeyed } from "./keyed.ts";
import type { IncidentOrigin } from "./model.ts";

/** An accepted alert with everything that decides where it belongs. */
export interface IncomingAlert {
  uuid: string;
  origin: IncidentOrigin;
  agentId: string;
  messageId: string | null;
  fingerprint: string;
  /** The sender names its problems: the fingerprint is that name's, and what it says comes in the order in which it is said. */
  isKeyed?: boolean;
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
  openedAt?: number;
  isFlapping?: boolean;
}

/** The last incident of a fingerprint that has none open, where its agent reported it as over. */
export interface EndedIncident {
  fingerprint: string;
  openedAt: number;
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
  ended?: readonly EndedIncident[];
}

/** An incident that a row refers to: one that exists, or the n-th that this plan opens. */
export type IncidentRef = { id: number } | { opened: number };

/** An incident that the plan opens; it may be over by the end of the batch. */
interface OpenedIncident {
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
interface ChangedIncident {
  id: number;
  addOccurrences: number;
  severity: Severity | null;
  lastSeenAt: number;
  resolvedAt: number | null;
  reason: string | null;
  next: IncidentRef | null;
}

/** An alert's row. */
interface PlannedAlert {
  alert: IncomingAlert;
  incident: IncidentRef | null;
  /** The alert's text is the incident's, and not stored again. */
  isFirst: boolean;
}

/** A line of the audit trail. */
interface PlannedEvent {
  incident: IncidentRef;
  kind: "resolved" | "superseded" | "flapping";
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

/** Why an incident is resolved, as `incidents.reason` says it. */
const SUPERSEDED = "superseded";
/** Why an incident is resolved that its agent reported as over. */
export const RESOLVED_BY_AGENT = "resolved by the agent";
const ARRIVED_LATE = "occurred before the agent's recovery report, arrived after it";

const SEVERITY_RANK: Record<Severity, number> = { info: 1, warning: 2, critical: 3 };

/** One origin, agent, type and source: what a resolution speaks of. An agent's report ends nothing that the server says itself. */
export function subjectOf(alert: { origin: string; agentId: string; type: string; source: string }): string {
  return `${alert.origin}\0${alert.agentId}\0${alert.type}\0${alert.source}`;
}

/** An incident while the batch is gone through: what it is, and the part of the plan that it writes to. */
interface Live {
  ref: IncidentRef;
  agentId: string;
  subject: string;
  fingerprint: string;
  openedAt: number;
  isFlapping: boolean;
  row: OpenedIncident | ChangedIncident;
}

/** A resolution, and the incidents that late alerts become rows of: the one of their fingerprint, else the last one. */
interface Resolution {
  occurredAt: number;
  byFingerprint: Map<string, IncidentRef>;
  last: IncidentRef | null;
}

/** Decides the whole batch. */
export function planGrouping(alerts: readonly IncomingAlert[], facts: GroupingFacts, windowMs: number): GroupingPlan {
  const batch = createBatch(facts, windowMs);
  for (const alert of alerts) {
    if (!batch.isNew(alert)) continue;
    if (alert.state === "resolved") batch.resolve(alert);
    else batch.fire(alert);
  }
  return batch.plan();
}

function createBatch(facts: GroupingFacts, windowMs: number) {
  const plan: GroupingPlan = { opened: [], changed: [], alerts: [], events: [] };
  const changed = new Map<number, ChangedIncident>();
  const seen = new Set<string>();
  const open = new Map<string, Live>();
  /** By fingerprint: those that a recovery closed in this batch, which the database still has as open. */
  const closed = new Map<string, Live>();
  const resolutions = new Map<string, Resolution>();
  const ended = new Map(facts.ended?.map((one) => [one.fingerprint, one]));
  for (const incident of facts.open) open.set(incident.fingerprint, fromRow(incident));
  for (const past of facts.resolutions) {
    const resolution = resolutionOf(past.subject, past.occurredAt);
    if (past.incidentId !== null) attach(resolution, past.fingerprint, { id: past.incidentId });
  }

  function fromRow(incident: OpenIncident): Live {
    const { id, severity, lastSeenAt } = incident;
    const row: ChangedIncident = {
      id,
      addOccurrences: 0,
      severity,
      lastSeenAt,
      resolvedAt: null,
      reason: null,
      next: null,
    };
    const { agentId, fingerprint, openedAt = Number.NEGATIVE_INFINITY, isFlapping = false } = incident;
    return { ref: { id }, agentId, subject: subjectOf(incident), fingerprint, openedAt, isFlapping, row };
  }

  function touch(live: Live): void {
    if ("id" in live.ref) changed.set(live.ref.id, live.row as ChangedIncident);
  }

  function isNew(alert: IncomingAlert): boolean {
    if (seen.has(alert.uuid) || facts.storedUuids.has(alert.uuid)) return false;
    seen.add(alert.uuid);
    return true;
  }

  function fire(alert: IncomingAlert): void {
    const resolution = resolutions.get(subjectOf(alert));
    const current = open.get(alert.fingerprint);
    if (resolution && isByTime(alert) && alert.occurredAt < resolution.occurredAt) fireLate(alert, resolution);
    else if (current && (alert.isKeyed || alert.occurredAt < current.row.lastSeenAt + windowMs)) join(alert, current);
    else fireNew(alert, current);
  }

  function fireNew(alert: IncomingAlert, current: Live | undefined): void {
    const last = current ?? closed.get(alert.fingerprint);
    const incident = openNew(alert, last?.ref ?? null);
    if (last) last.row.next = incident.ref;
    if (!current) markFlapping(alert, incident);
    if (current) close(current, alert.occurredAt, SUPERSEDED, "superseded");
    open.set(alert.fingerprint, incident);
  }

  /** The server damps what it says itself. */
  function markFlapping(alert: IncomingAlert, incident: Live): void {
    const before = closed.get(alert.fingerprint) ?? ended.get(alert.fingerprint);
    if (before === undefined || alert.origin === "server" || alert.occurredAt > before.openedAt + windowMs) return;
    incident.isFlapping = true;
    plan.events.push({ incident: incident.ref, kind: "flapping", agentId: alert.agentId, at: alert.occurredAt });
  }

  function fireLate(alert: IncomingAlert, resolution: Resolution): void {
    const incident = resolution.byFingerprint.get(alert.fingerprint) ?? resolution.last;
    if (incident) {
      plan.alerts.push({ alert, incident, isFirst: false });
      return;
    }
    const { row, ref } = openNew(alert, null);
    row.resolvedAt = resolution.occurredAt;
    row.reason = ARRIVED_LATE;
    attach(resolution, alert.fingerprint, ref);
  }

  function join(alert: IncomingAlert, incident: Live): void {
    const { row } = incident;
    if ("addOccurrences" in row) row.addOccurrences++;
    else row.occurrences++;
    row.lastSeenAt = Math.max(row.lastSeenAt, alert.occurredAt);
    row.severity = worse(row.severity, alert.severity);
    touch(incident);
    plan.alerts.push({ alert, incident: incident.ref, isFirst: false });
  }

  function openNew(alert: IncomingAlert, previous: IncidentRef | null): Live {
    const row: OpenedIncident = {
      alert,
      occurrences: 1,
      severity: alert.severity,
      lastSeenAt: alert.occurredAt,
      resolvedAt: null,
      reason: null,
      previous,
      next: null,
    };
    const ref = { opened: plan.opened.push(row) };
    plan.alerts.push({ alert, incident: ref, isFirst: true });
    const { agentId, fingerprint, occurredAt: openedAt } = alert;
    return { ref, agentId, subject: subjectOf(alert), fingerprint, openedAt, isFlapping: false, row };
  }

  function resolve(alert: IncomingAlert): void {
    const subject = subjectOf(alert);
    const isMeant = (live: Live) =>
      alert.isKeyed ? live.fingerprint === alert.fingerprint : live.subject === subject && !hasOwnName(alert, live);
    const closing = [...open.values()].filter(
      (live) => isMeant(live) && !(isByTime(alert) && live.row.lastSeenAt > alert.occurredAt),
    );
    for (const live of closing) {
      // Its message says that it is well for now.
      touch(live);
      if (live.isFlapping) continue;
      close(live, Math.max(alert.occurredAt, live.row.lastSeenAt), RESOLVED_BY_AGENT, "resolved");
      open.delete(live.fingerprint);
      closed.set(live.fingerprint, live);
    }
    const resolution = resolutionOf(subject, alert.occurredAt);
    for (const live of closing) attach(resolution, live.fingerprint, live.ref);
    plan.alerts.push({ alert, incident: closing.at(-1)?.ref ?? null, isFirst: false });
  }

  function close(live: Live, at: number, reason: string, kind: PlannedEvent["kind"]): void {
    live.row.resolvedAt = at;
    live.row.reason = reason;
    touch(live);
    plan.events.push({ incident: live.ref, kind, agentId: live.agentId, at });
  }

  function resolutionOf(subject: string, occurredAt: number): Resolution {
    const known = resolutions.get(subject) ?? { occurredAt, byFingerprint: new Map(), last: null };
    known.occurredAt = Math.max(known.occurredAt, occurredAt);
    resolutions.set(subject, known);
    return known;
  }

  return { isNew, fire, resolve, plan: () => ({ ...plan, changed: [...changed.values()] }) };
}

/** Whether the times say what came first; else the order does in which it is said. */
function isByTime({ origin, isKeyed }: IncomingAlert): boolean {
  return origin !== "server" && !isKeyed;
}

/** Whether the sender of the incident has a name for it, as the alert's has none. */
function hasOwnName({ origin }: IncomingAlert, { fingerprint }: Live): boolean {
  return origin === "integration" && isKeyed(fingerprint);
}

function attach(resolution: Resolution, fingerprint: string, incident: IncidentRef): void {
  resolution.byFingerprint.set(fingerprint, incident);
  resolution.last = incident;
}

function worse(a: Severity | null, b: Severity | null): Severity | null {
  if (a === null || b === null) return a ?? b;
  return SEVERITY_RANK[b] > SEVERITY_RANK[a] ? b : a;
}
