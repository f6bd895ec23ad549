import type { Category, Evidence } from "../analysis/model.ts";
import type { Verdict } from "../protocol/feedback.ts";

/** What a person says of an incident's explanation. */
export interface GivenFeedback {
  incidentId: number;
  verdict: Verdict;
  /** In the person's own words, in place of the explanation's. */
  cause?: string | undefined;
  /** Of the person's own cause. */
  category?: Category | undefined;
  /** What helped, in place of the explanation's suggestion. */
  fix?: string | undefined;
  actor: string;
  /** As a message names them: "@ana". */
  actorName: string;
  outlet: string;
}

/** A person's word on an incident, as the API shows it. */
export interface Feedback {
  incident_id: number;
  verdict: Verdict;
  /** What is so, as far as the person knows: the explanation that was right, or the person's own words. */
  category: Category | null;
  cause: string | null;
  fix: string | null;
  /** What of people's decisions held then, in words; null where none did. */
  outcome: string | null;
  /** What the incident showed as it was said; null where nothing explained it. */
  shown_category: Category | null;
  shown_cause: string | null;
  actor: string;
  actor_name: string;
  outlet: string;
  given_at: Date;
}

/** The word on an incident, and those on earlier incidents of the same problem, newest first. */
export interface FeedbackStory {
  feedback: Feedback | null;
  earlier_feedback: Feedback[];
}

/** `field` is the part of what was given that does not fit the incident. */
export type FeedbackOutcome =
  | { ok: true; feedback: Feedback }
  | { ok: false; reason: "not_found" }
  | { ok: false; reason: "invalid"; field: "verdict" | "cause" | "category"; message: string };

/** What people say of explanations. */
export interface FeedbackService {
  /** Keeps the word; a second one on the same incident replaces the first. The same word again changes nothing. */
  give(given: GivenFeedback): Promise<FeedbackOutcome>;
  about(incidentId: number): Promise<FeedbackStory>;
}

/** An incident of which a person said what it was, or what it was not: by these, explanations are measured. */
export interface FeedbackCase {
  incidentId: number;
  evidence: Evidence;
  /** What it was; null where that is not known. */
  expected: Category | null;
  /** What it was said not to be; null where that is not known. */
  refuted: Category | null;
}
