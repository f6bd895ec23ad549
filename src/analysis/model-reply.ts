/** What a model is asked. */
export interface ModelRequest {
  system: string;
  user: string;
}

/** Why there is no text from a model. `bad_request` and `too_large` will be the same next time; the others may pass. */
export const MODEL_FAILURES = [
  "no_key",
  "timeout",
  "network",
  "unauthorized",
  "payment",
  "rate_limited",
  "server_error",
  "bad_request",
  "circuit_open",
  "too_large",
  "empty",
] as const;
export type ModelFailureReason = (typeof MODEL_FAILURES)[number];

/** What a call consumed, as far as the endpoint says. */
export interface ModelUsage {
  promptTokens: number;
  completionTokens: number;
  costUsd: number | null;
}

/** The model's text, not yet looked at. */
export interface ModelText {
  ok: true;
  text: string;
  /** Who answered, which may be more exact than who was asked. */
  model: string;
  usage: ModelUsage;
  tookMs: number;
}

/** A call without an answer. The message is for people: short, on one line, without secrets. */
export interface ModelFailure {
  ok: false;
  reason: ModelFailureReason;
  message: string;
  /** When the endpoint said (or the circuit breaker knows) how long to wait. */
  retryAfterMs?: number;
}

export type ModelReply = ModelText | ModelFailure;
