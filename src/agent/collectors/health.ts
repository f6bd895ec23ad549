/**
 * What a collector can see of what it is to watch, part by part (a log rule's source, say), as it says itself:
 *
 *   begun ── watches ──▶ sees
 *   begun, sees ── fails ──▶ cannot (absent, where the thing was never there on this host)
 *   cannot ── has watched for STEADY_MS ──▶ sees: what breaks off again and again sees little
 *   absent ── watches ──▶ sees
 *
 * The collector cannot see while one of its parts cannot, and is absent when all of them are.
 */
import type { Clock } from "../../lib/clock.ts";
import { stripControls } from "../../lib/controls.ts";
import { cleanText } from "../../protocol/text.ts";
import type { CollectorHealth } from "../model.ts";

/** For so long a part that had failed must be watched before it is believed. */
export const STEADY_MS = 10_000;
const NOT_BEGUN = "it has not begun to watch yet";

/** Of what is said: heartbeats are bounded. */
const WHY_CHARS_MAX = 500;
const BOUND_CHARS_MAX = 200;
const BOUNDS_MAX = 10;

interface Part {
  state: CollectorHealth["state"];
  sinceMs: number;
  why: string;
  isTold: boolean;
  /** It has failed, and is watched since. */
  watchedMs: number | undefined;
}

/** How a part fails. */
export interface FailureOptions {
  /** Where a collector has several. */
  readonly part?: string;
  /** What it watches was never there on this host. */
  readonly isAbsent?: boolean;
  /** An alert of a collector's tells people already. */
  readonly isTold?: boolean;
}

const WHOLE = "";

/** Begins with these parts, of which nothing is known yet. */
export function createHealth(clock: Pick<Clock, "monotonicMs">, parts: readonly string[] = [WHOLE]) {
  const known = new Map<string, Part>(parts.map((part) => [part, begun()]));
  const bounds = new Map<string, string>();

  function begun(): Part {
    return { state: "cannot", sinceMs: clock.monotonicMs(), why: NOT_BEGUN, isTold: false, watchedMs: undefined };
  }

  /** What has been watched for long enough is seen. */
  function settle(part: Part): void {
    if (part.watchedMs === undefined || clock.monotonicMs() - part.watchedMs < STEADY_MS) return;
    Object.assign(part, { state: "sees", sinceMs: part.watchedMs, watchedMs: undefined });
  }

  function healthOf(state: CollectorHealth["state"], some: readonly Part[], startMs: number): CollectorHealth {
    const why = state === "sees" ? "" : some.map((part) => part.why).join("; ");
    return {
      state,
      forMs: clock.monotonicMs() - startMs,
      ...(why === "" ? {} : { why: shortened(why, WHY_CHARS_MAX) }),
      gaveUp: [...bounds.values()].slice(0, BOUNDS_MAX).map((text) => shortened(text, BOUND_CHARS_MAX)),
      isTold: state === "cannot" && some.every(({ isTold }) => isTold),
    };
  }

  return {
    /** It is really watched, not merely begun with. */
    watches(name = WHOLE): void {
      const part = known.get(name) ?? begun();
      known.set(name, part);
      const isNew = part.state === "absent" || part.why === NOT_BEGUN;
      if (part.state === "sees") return;
      if (isNew) Object.assign(part, { state: "sees", sinceMs: clock.monotonicMs(), why: "" });
      else part.watchedMs ??= clock.monotonicMs();
    },
    fails(why: string, { part: name = WHOLE, isAbsent = false, isTold = false }: FailureOptions = {}): void {
      const part = known.get(name) ?? begun();
      known.set(name, part);
      settle(part);
      const state = isAbsent ? "absent" : "cannot";
      const sinceMs = part.state === state ? part.sinceMs : clock.monotonicMs();
      Object.assign(part, { state, sinceMs, why, isTold, watchedMs: undefined });
    },
    /** Nobody counts on this part any more. */
    forget: (name: string): void => void known.delete(name),
    /** What is left out since there is too much of it; undefined once nothing is. */
    gaveUp(bound: string, text: string | undefined): void {
      if (text === undefined) bounds.delete(bound);
      else bounds.set(bound, text);
    },
    now(): CollectorHealth {
      const all = [...known.values()];
      for (const part of all) settle(part);
      const sinces = (some: readonly Part[]) => some.map(({ sinceMs }) => sinceMs);
      const blind = all.filter(({ state }) => state === "cannot");
      if (blind.length > 0) return healthOf("cannot", blind, Math.min(...sinces(blind)));
      const seen = all.filter(({ state }) => state === "sees");
      if (seen.length === 0) return healthOf("absent", all, Math.min(...sinces(all)));
      return healthOf("sees", seen, Math.max(...sinces(seen)));
    },
  };
}

export type Health = ReturnType<typeof createHealth>;

/** Counts what is given up, and says so: `textOf` makes a sentence of the number. */
export function countGivenUp(health: Health, bound: string, textOf: (count: number) => string): () => void {
  let count = 0;
  return () => health.gaveUp(bound, textOf(++count));
}

function shortened(text: string, charsMax: number): string {
  return cleanText(stripControls(cleanText(text)).replaceAll("\n", " ").slice(0, charsMax));
}
