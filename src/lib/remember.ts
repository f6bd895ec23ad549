import type { Clock } from "./clock.ts";

/**
 * Asks once in `holdMs` at most, however many want to know: who comes meanwhile has the same answer, or waits for it. A failure is
 * not remembered.
 */
export function remember<T>(
  clock: Pick<Clock, "monotonicMs">,
  holdMs: number,
  ask: () => Promise<T>,
): () => Promise<T> {
  let known: { answer: T; untilMs: number } | undefined;
  let asking: Promise<T> | undefined;

  async function look(): Promise<T> {
    const answer = await ask();
    known = { answer, untilMs: clock.monotonicMs() + holdMs };
    return answer;
  }

  return async () => {
    if (known && clock.monotonicMs() < known.untilMs) return known.answer;
    asking ??= look().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}
