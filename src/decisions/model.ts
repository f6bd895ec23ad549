import type { DecisionAction, IgnoreVariant } from "../protocol/actions.ts";

/** A button that was pressed, by somebody who may. */
export interface Press {
  /** Who may press twice, after a crash, chooses the id: there is one decision of it, and the second is told as the first. */
  id?: string;
  incidentId: number;
  action: DecisionAction;
  /** Of ignore only. */
  variant: IgnoreVariant | null;
  /** As events and commands name who did it: "slack:U012AB3CD". */
  actor: string;
  /** As a message names them: "@ana". */
  actorName: string;
  outlet: string;
}

/** What the person is told at once. What comes of it is told later, in the message. */
export type PressOutcome =
  | { ok: true; decisionId: string; text: string }
  | { ok: false; reason: "not_found" | "resolved" | "already_decided" | "not_possible"; text: string };

/** Decisions of people. */
export interface DecisionService {
  /** Stores the decision, which is due at once. Two presses of one button make one decision. */
  press(press: Press): Promise<PressOutcome>;
  /** As the API shows it. */
  get(id: string): Promise<Decision | undefined>;
}

/**
 * How far a decision came.
 *
 *   requested → sent → verifying → verified | failed_again | no_word     (a restart)
 *   requested → sent → done                                             (logs)
 *   requested → done                                                    (ignore, acknowledge, resolve)
 *   refused, failed   the agent, or something on the way, said no
 *   no_answer         the command expired; a result that comes later is noted, and changes nothing else
 */
export const DECISION_STATES = [
  "requested",
  "sent",
  "verifying",
  "verified",
  "failed_again",
  "no_word",
  "done",
  "refused",
  "failed",
  "no_answer",
] as const;
export type DecisionState = (typeof DECISION_STATES)[number];

/** A decision as the API shows it. */
export interface Decision {
  id: string;
  incident_id: number;
  action: DecisionAction;
  variant: IgnoreVariant | null;
  actor: string;
  actor_name: string;
  /** Where it was pressed: "slack", "api". */
  outlet: string;
  state: DecisionState;
  command_id: string | null;
  /** What came of it, in words; null while nothing did. */
  outcome: string | null;
  requested_at: Date;
  carried_out_at: Date | null;
  ended_at: Date | null;
}
