import type { Clock } from "../../lib/clock.ts";
import type { Episodes } from "./episodes.ts";

/** How a source that was broken is now. */
export type Verdict =
  /** As before. */
  | { readonly state: "broken" }
  /** `identity` changes with each restart; `how` ends the sentence "nginx.service …". */
  | { readonly state: "well"; readonly identity: string; readonly how: string };

/**
 * Believes a source to be well once it has looked the same, and well, for as long as its episode asks. A restart between two
 * looks shows in its identity.
 */
export function createSteadyWatch(episodes: Episodes, clock: Clock) {
  const candidates = new Map<string, { identity: string; sinceMs: number }>();

  return {
    /** `minHoldMs` where this time, too, must have passed. */
    async look(source: string, verdict: Verdict, minHoldMs = 0): Promise<void> {
      if (verdict.state === "broken") return void candidates.delete(source);
      const candidate = candidates.get(source);
      const nowMs = clock.monotonicMs();
      const isSame = candidate?.identity === verdict.identity;
      if (!isSame) candidates.set(source, { identity: verdict.identity, sinceMs: nowMs });
      if (isSame && nowMs - candidate.sinceMs >= Math.max(episodes.holdMs(source), minHoldMs)) {
        candidates.delete(source);
        await episodes.recover(source, verdict.how);
      }
    },
    /** It broke again. */
    forget(source: string): void {
      candidates.delete(source);
    },
  };
}
