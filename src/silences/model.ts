import type { TransactionSql } from "postgres";
import type { Muter } from "../incidents/model.ts";
import type { IgnoreVariant } from "../protocol/actions.ts";

/** When a silence ends by itself, beside its time. */
export const SILENCE_ENDS = ["time", "until_resolved", "until_worse", "never"] as const;
export type SilenceEnd = (typeof SILENCE_ENDS)[number];

/** A silence as the API shows it. Patterns are `*` and `?` over the whole text; null matches all. */
export interface Silence {
  id: number;
  /** Over the agent's id or its host name. */
  agent: string | null;
  type: string | null;
  source: string | null;
  fingerprint: string | null;
  incident_id: number | null;
  ends: SilenceEnd;
  until: Date | null;
  comment: string | null;
  actor: string;
  created_at: Date;
  ended_at: Date | null;
}

/** What a person may ask for. */
export interface NewSilence {
  agent: string | null;
  type: string | null;
  source: string | null;
  /** Null: until somebody ends it. */
  until: Date | null;
  comment: string | null;
}

/** Patterns over incidents, as a silence has them. */
export type SilencePatterns = Pick<NewSilence, "agent" | "type" | "source">;

/** What a silence speaks of now, or would. */
export interface SilenceFit {
  /** Open incidents. */
  total: number;
  /** False where more are open than are looked through: then there may be more. */
  is_exact: boolean;
  /** The last few that opened, newest first. */
  newest: { id: number; agent_id: string; host: string; type: string; source: string }[];
}

/** Which silences to list, newest first. */
export interface SilencePage {
  limit: number;
  /** Only silences with a smaller id: the last id of the page before. */
  cursor?: number;
  /** Those that are over, too. */
  ended?: boolean;
}

/** Silences of people and of decisions. */
export interface SilenceService {
  list(page: SilencePage): Promise<{ silences: Silence[]; nextCursor?: number }>;
  /** Undefined when there are so many already that looking through them would hold up what is announced. */
  create(silence: NewSilence, actor: string): Promise<Silence | undefined>;
  /** Ends it; false when there is none that is open. Of what it silenced and still goes on is decided again. */
  end(id: number, actor: string): Promise<boolean>;
  /** Which open incidents fit the patterns, for a look before. */
  fit(patterns: SilencePatterns): Promise<SilenceFit>;
  /** Which open incidents an open silence speaks of; undefined when there is none. */
  fitOf(id: number): Promise<SilenceFit | undefined>;
  /** A decision's: exactly this incident's fingerprint. A second call for the same incident replaces. */
  ignore(tx: TransactionSql, incidentId: number, variant: IgnoreVariant, actor: string): Promise<void>;
  /** Withholds what is silenced. "Until it gets worse" ends here when it did. */
  readonly muter: Muter;
}
