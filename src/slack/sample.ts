import type { View } from "../announcements/model.ts";

/** A message for a trial: it looks like an incident's, says that it is none, and has nothing to press. */
export function sampleView(hostname: string, nowMs: number): View {
  const now = new Date(nowMs);
  return {
    kind: "incident",
    incident: {
      id: 0,
      agentId: hostname,
      hostname,
      type: "sample",
      source: "opspilot sample",
      severity: "info",
      status: "analyzed",
      occurrences: 1,
      createdAt: now,
      lastSeenAt: now,
      resolvedAt: null,
      reason: null,
      message: "This is a sample: nothing is wrong. Incidents will look like this.",
      explanation: {
        by: "heuristic",
        category: "unknown",
        confidence: 1,
        cause: "Somebody asked for a sample, by `opspilot slack test` or `opspilot notify test`.",
        fix: "Nothing is to be done. Where an incident can be decided, buttons stand beneath it.",
        fixCommand: null,
        evidence: [],
      },
      feedback: null,
      earlierFeedback: [],
      why: "somebody wanted to see whether messages arrive",
      flapping: null,
      learnt: null,
      consequences: [],
      consequencesTotal: 0,
      parentId: null,
      previousId: null,
      decisions: [],
      can: { restart: false, logs: false, ignore: false, acknowledge: false, resolve: false },
      url: null,
    },
  };
}
