import type { IncidentView, StormView } from "../../src/announcements/model.ts";

const AT = new Date("2026-01-02T03:04:05Z");

/** An incident with something in every part of its message. */
export function incidentView(changes: Partial<IncidentView> = {}): IncidentView {
  return {
    id: 42,
    agentId: "11111111-1111-4111-8111-111111111111",
    hostname: "web-1",
    type: "service",
    source: "nginx",
    severity: "critical",
    status: "analyzed",
    occurrences: 3,
    createdAt: AT,
    lastSeenAt: AT,
    resolvedAt: null,
    reason: null,
    message: "nginx: bind() to 0.0.0.0:80 failed",
    explanation: {
      by: "model",
      category: "port_conflict",
      confidence: 0.92,
      cause: "Port 80 is taken by apache2.",
      fix: "Stop apache2, then start nginx.",
      fixCommand: "systemctl stop apache2",
      evidence: ["bind() failed (98: Address already in use)"],
    },
    feedback: null,
    earlierFeedback: [],
    why: "a new incident of severity critical",
    flapping: { times: 4, windowMs: 3_600_000 },
    learnt: { cleared: 8, tried: 9 },
    consequences: [{ id: 43, source: "app", message: "cannot reach nginx", reason: "same host, a minute later" }],
    consequencesTotal: 12,
    parentId: null,
    previousId: 41,
    decisions: [
      {
        id: "d-1",
        action: "restart",
        variant: null,
        actorName: "@ana",
        state: "verified",
        outcome: "restarted by @ana, active again after 4 s",
        requestedAt: AT,
        ended: true,
      },
    ],
    can: { restart: true, logs: true, ignore: true, acknowledge: true, resolve: true },
    url: "https://ops.example.com/app/incidents/42",
    ...changes,
  };
}

/** A storm that goes on. */
export function stormView(changes: Partial<StormView> = {}): StormView {
  return {
    id: 7,
    startedAt: AT,
    endedAt: null,
    total: 143,
    open: 140,
    byHost: [{ hostname: "web-1", count: 100 }],
    byCategory: [{ category: "disk_full", count: 143 }],
    newest: [{ id: 43, hostname: "web-1", type: "log", source: "app", message: "no space left", severity: "critical" }],
    url: null,
    ...changes,
  };
}
