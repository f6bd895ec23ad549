import { sha256Hex } from "../lib/hash.ts";
import { possibleActions } from "../protocol/actions.ts";
import type { IncidentView, View } from "./model.ts";
import type { IncidentFacts, ViewStore } from "./view-store.ts";

/** Opened this often within an hour: the problem comes and goes. */
const FLAPPING_TIMES = 4;
const FLAPPING_WINDOW_MS = 3_600_000;

/** A view, and of which revision of its incident it is; of a storm, the sum over its incidents. */
export interface BuiltView {
  view: View;
  revision: number;
}

/** Makes what outlets show. */
export function createViews({ store, publicUrl }: { store: ViewStore; publicUrl: string | null }) {
  async function incident(id: number, why: string): Promise<BuiltView | undefined> {
    // First: what changes while the rest is read changes this too, and is shown by the next edit.
    const facts = await store.incident(id);
    if (facts === undefined) return undefined;
    const [times, learnt, consequences, decisions] = await Promise.all([
      store.countOpened(facts),
      store.learnt(facts),
      store.consequences(id),
      store.decisions(id),
    ]);
    const { isDeleted, allow, fingerprint, aiAnalysis, aiSolution, analysis, revision, ...shown } = facts;
    const view: IncidentView = {
      ...shown,
      explanation: explanationOf(facts),
      why,
      flapping: times >= FLAPPING_TIMES ? { times, windowMs: FLAPPING_WINDOW_MS } : null,
      learnt: learnt.tried > 0 ? learnt : null,
      consequences: consequences.map(({ total, ...one }) => one),
      consequencesTotal: consequences[0]?.total ?? 0,
      decisions,
      can: possibleActions({ ...facts, decisions }),
      url: publicUrl === null ? null : `${publicUrl}/app/incidents/${id}`,
    };
    return { view: { kind: "incident", incident: view }, revision };
  }

  async function storm(id: number): Promise<BuiltView | undefined> {
    const facts = await store.storm(id);
    if (facts === undefined) return undefined;
    const url = publicUrl === null ? null : `${publicUrl}/app/incidents`;
    return { view: { kind: "storm", storm: { ...facts.storm, url } }, revision: facts.revision };
  }

  return { incident, storm };
}

export type Views = ReturnType<typeof createViews>;

/** A hash of what is shown: its first half of all but the counters, so that it can be told what changed. */
export function hashOf(view: View): string {
  return half(withoutCounters(view)) + half(view);
}

/** Whether two hashes differ in more than counters; what was never shown does. */
export function isStateChanged(before: string | null, after: string): boolean {
  return before === null || before.slice(0, 32) !== after.slice(0, 32);
}

function half(value: unknown): string {
  return sha256Hex(JSON.stringify(value)).slice(0, 32);
}

function withoutCounters(view: View): unknown {
  if (view.kind === "storm") return { id: view.storm.id, endedAt: view.storm.endedAt };
  const { occurrences, lastSeenAt, ...rest } = view.incident;
  return rest;
}

function explanationOf({ analysis, aiAnalysis, aiSolution }: IncidentFacts): IncidentView["explanation"] {
  if (analysis === null) return null;
  const isModel = analysis.by === "model";
  const model = isModel ? recordOf(analysis.model) : {};
  const decisive = textOf(analysis.decisive);
  return {
    by: isModel ? "model" : "heuristic",
    category: textOf(analysis.category) ?? "unknown",
    confidence: typeof analysis.confidence === "number" ? analysis.confidence : 0,
    cause: textOf(model.cause) ?? aiAnalysis ?? "",
    fix: textOf(model.fix) ?? aiSolution ?? "",
    fixCommand: textOf(model.fix_command),
    evidence: evidenceOf(model.evidence, decisive),
  };
}

function evidenceOf(lines: unknown, decisive: string | null): string[] {
  const texts = Array.isArray(lines) ? lines.filter((line) => typeof line === "string") : [];
  if (texts.length > 0) return texts;
  return decisive === null ? [] : [decisive];
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? { ...value } : {};
