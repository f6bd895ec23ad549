import type { IncidentView, StormView, View } from "../announcements/model.ts";
import { hashUuid } from "../lib/hash.ts";

/**
 * What a webhook is told. Events only grow: a receiver ignores what it does not know.
 *
 *   incident.announced  people are told of an incident; `incident.status` is resolved where it ended before that
 *   incident.updated    its state, severity, explanation, decisions or consequences changed; a counter alone is no event
 *   incident.resolved   it is over; comes again when something of it changes after that
 *   storm.announced     a storm: many incidents that get no event of their own
 *   storm.updated       the storm's figures, every few seconds
 *   storm.ended         the storm is over; comes again while its incidents end
 */
export type EventName =
  | "incident.announced"
  | "incident.updated"
  | "incident.resolved"
  | "storm.announced"
  | "storm.updated"
  | "storm.ended";

/** An event, as it is sent. */
export interface WebhookEvent {
  name: EventName;
  /** The same for each try; a receiver that has seen it need not look again. */
  delivery: string;
  body: string;
}

/** Makes the event; everything that somebody wrote passes `redact`. */
export function eventOf(view: View, isFirst: boolean, at: Date, redact: (text: string) => string): WebhookEvent {
  const name = nameOf(view, isFirst);
  const delivery = deliveryOf(name, view);
  const subject =
    view.kind === "incident" ? { incident: incidentOf(view.incident, redact) } : { storm: stormOf(view.storm, redact) };
  return { name, delivery, body: JSON.stringify({ event: name, delivery, sent_at: at, ...subject }) };
}

function nameOf(view: View, isFirst: boolean): EventName {
  if (isFirst) return view.kind === "incident" ? "incident.announced" : "storm.announced";
  if (view.kind === "storm") return view.storm.endedAt === null ? "storm.updated" : "storm.ended";
  return view.incident.status === "resolved" ? "incident.resolved" : "incident.updated";
}

/** An incident is announced once, whoever tries again; but it may be in one state twice, and both are news. */
function deliveryOf(name: EventName, view: View): string {
  const id = view.kind === "incident" ? view.incident.id : view.storm.id;
  return name.endsWith(".announced") ? hashUuid(`${name} ${id}`) : crypto.randomUUID();
}

function incidentOf(incident: IncidentView, redact: (text: string) => string) {
  const { explanation, can, agentId, url, ...rest } = incident;
  return {
    id: rest.id,
    agent_id: agentId,
    ...redacted(
      {
        hostname: rest.hostname,
        type: rest.type,
        source: rest.source,
        severity: rest.severity,
        status: rest.status,
        occurrences: rest.occurrences,
        reason: rest.reason,
        why: rest.why,
        message: rest.message,
        explanation: explanation && {
          by: explanation.by,
          category: explanation.category,
          confidence: explanation.confidence,
          cause: explanation.cause,
          fix: explanation.fix,
          fix_command: explanation.fixCommand,
          evidence: explanation.evidence,
        },
        flapping: rest.flapping && { times: rest.flapping.times, window_s: rest.flapping.windowMs / 1000 },
        learnt: rest.learnt,
        consequences: rest.consequences,
        consequences_total: rest.consequencesTotal,
        decisions: rest.decisions.map((one) => ({
          action: one.action,
          variant: one.variant,
          actor: one.actorName,
          state: one.state,
          outcome: one.outcome,
          requested_at: one.requestedAt.toISOString(),
        })),
      },
      redact,
    ),
    parent_id: rest.parentId,
    previous_id: rest.previousId,
    created_at: rest.createdAt,
    last_seen_at: rest.lastSeenAt,
    resolved_at: rest.resolvedAt,
    url,
  };
}

function stormOf(storm: StormView, redact: (text: string) => string) {
  const { byHost, byCategory, newest } = storm;
  return {
    id: storm.id,
    started_at: storm.startedAt,
    ended_at: storm.endedAt,
    total: storm.total,
    open: storm.open,
    ...redacted({ by_host: byHost, by_category: byCategory, newest }, redact),
    url: storm.url,
  };
}

/** The same value with every text in it redacted. */
function redacted<T extends object>(value: T, redact: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, one) => (typeof one === "string" ? redact(one) : one)) as T;
}
