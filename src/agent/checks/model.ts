import type { Clock } from "../../lib/clock.ts";

/** The certificate of a chain that ends first. */
export interface FirstToEnd {
  /** Who it is, for a person. */
  readonly subject: string;
  /** It is the server's own; else one of those that signed it. */
  readonly isOwn: boolean;
  readonly endMs: number;
}

/** What a check found. */
export interface Finding {
  readonly isWell: boolean;
  /** In words, such as "HTTP 200" or "connection refused (ECONNREFUSED)". */
  readonly text: string;
  /** More that helps to understand a failure, in lines. */
  readonly details?: string;
  readonly certificate?: FirstToEnd;
}

/** A finding, and how long it took to come to it. */
export interface Outcome extends Finding {
  readonly tookMs: number;
}

/** One try: the signal aborts when its time is over, and what it waited for is told then. */
export interface Attempt {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  waitsFor(what: string): void;
}
