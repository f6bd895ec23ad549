import type { Metrics } from "../protocol/frames.ts";

/** How fine figures are kept, in seconds, finest first. */
export const FIGURE_STEPS_S = [60, 300, 3_600] as const;
export type FigureStepS = (typeof FIGURE_STEPS_S)[number];

/** Steps of one answer: more than a chart can show. */
export const POINTS_MAX = 2_000;

/** One step of a series: where it begins (Unix seconds), the least, the mean and the most. */
export type FigurePoint = [t: number, min: number, mean: number, max: number];

/** A host's figures over time, as the API shows them. */
export interface Figures {
  step_s: FigureStepS;
  /** Unix seconds, both on a step; `to` is the end of the last one. */
  from: number;
  to: number;
  /** By name, one entry for each step; null where nothing was heard. */
  series: Record<string, (FigurePoint | null)[]>;
}

/** Which figures of a host: times in Unix seconds. */
export interface FigureRange {
  /** Three hours before the end when not said. */
  fromS?: number | undefined;
  /** Now when not said, or when it is later. */
  toS?: number | undefined;
  /** The finest that is kept for as long as `from` is past when not said. */
  stepS?: FigureStepS | undefined;
}

export type FiguresOutcome = { ok: true; figures: Figures } | { ok: false; field: "from" | "step"; message: string };

/** What hosts measured, as people see it. */
export interface FigureService {
  /** Of a host that the caller knows to be there. */
  ofAgent(agentId: string, range: FigureRange): Promise<FiguresOutcome>;
  /** By minutes, from 30 before its first alert to 30 after; undefined when there is no such incident. */
  ofIncident(incidentId: number): Promise<Figures | undefined>;
}

/** Where heartbeats leave their figures. */
export interface FigureIntake {
  /** Notes what a host has just measured; written with all others of that minute. */
  heard(agentId: string, metrics: Partial<Metrics> | undefined): void;
}
