import type { Clock } from "../../lib/clock.ts";
import type { Trial } from "./trial.ts";

/** Longer than the update itself waits, which then puts the former version back by itself. */
const WELCOME_LIMIT_MS = 75_000;

/**
 * Resolves, with what to tell, when a version on trial had no welcome of the server in time: it has to end then, and the next start of
 * the service puts the former version back, also where the update was killed. Never resolves where nothing is on trial.
 */
export async function trialFailed(trial: Trial | undefined, welcomed: AbortSignal, clock: Clock): Promise<Error> {
  if (trial !== undefined) await clock.sleep(WELCOME_LIMIT_MS, welcomed);
  if (trial === undefined || welcomed.aborted) return never();
  const seconds = WELCOME_LIMIT_MS / 1000;
  return new Error(
    `version ${trial.to} is on trial, and has not reached the server within ${seconds} s: ${trial.from} comes back`,
  );
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
