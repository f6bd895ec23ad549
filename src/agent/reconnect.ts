import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { CloseCode } from "../protocol/frames.ts";
import type { SessionEnd } from "./session.ts";

/** With its jitter, the wait is one to two seconds at first, and half a minute to a whole one in the end. */
const BACKOFF = { minMs: 2_000, maxMs: 60_000 };
/** A connection that lived for so long after the welcome was a good one, as was one on which the server took something. */
const GOOD_MS = 10_000;
/** A token that is refused may be made good on the server at any time. */
const REFUSED_WAIT_MS = 60_000;
/** Two agents with one token throw each other out: twice within this is no accident. */
const CLONE_WINDOW_MS = 60_000;
/** Long enough for the other one to be of use, and not so long that a mended host stays away. */
const CLONE_WAIT = { minMs: 300_000, maxMs: 600_000 };

/** What is done about the end of a connection, and what a person is told. */
export interface NextTry {
  readonly waitMs: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
}

/** Decides when to try again after a connection, or after the attempt at one. There is no end to it. */
export function createReconnectPolicy(clock: Clock): (end: SessionEnd) => NextTry {
  let attempt = 0;
  let supersededMs = Number.NEGATIVE_INFINITY;

  function usual(end: SessionEnd): NextTry {
    const askedMs = (end.refusal?.retryAfterS ?? 0) * 1000;
    const waitMs = Math.max(backoffMs(attempt++, BACKOFF), askedMs);
    if (end.code === CloseCode.shutdown) return { waitMs, level: "info", message: "the server is shutting down" };
    if (end.code === CloseCode.overloaded)
      return { waitMs, level: "warn", message: "the server takes no connection now" };
    const message = end.wasOpen ? "the connection to the server is lost" : "the server cannot be reached";
    return { waitMs, level: "warn", message };
  }

  function superseded(end: SessionEnd): NextTry {
    const beforeMs = supersededMs;
    supersededMs = clock.monotonicMs();
    if (supersededMs - beforeMs > CLONE_WINDOW_MS) {
      return { ...usual(end), message: "another connection with this agent's token has taken over" };
    }
    return {
      waitMs: backoffMs(1, CLONE_WAIT),
      level: "error",
      message:
        "another agent uses this agent's token: was this host cloned? Give each host a token of its own " +
        "(`opspilot token create` on the server)",
    };
  }

  return (end) => {
    if ((end.welcomeMs ?? 0) >= GOOD_MS || end.acknowledged > 0) attempt = 0;
    if (end.code === CloseCode.superseded) return superseded(end);
    if (isRefusal(end)) return { waitMs: refusedWaitMs(), level: "error", message: REFUSED };
    if (end.refusal?.code === "unsupported_version") {
      return { waitMs: refusedWaitMs(), level: "error", message: "the server is too old for this agent" };
    }
    return usual(end);
  };
}

const REFUSED =
  "the server does not accept this agent's token: make one by `opspilot token create` on the server, and set OPSPILOT_TOKEN";

/** Whole minutes would bring the agents of a fleet back in step. */
function refusedWaitMs(): number {
  return REFUSED_WAIT_MS + Math.random() * (REFUSED_WAIT_MS / 10);
}

function isRefusal({ code, refusal }: SessionEnd): boolean {
  return refusal?.code === "unauthorized" || code === CloseCode.deleted || code === CloseCode.unauthorized;
}
