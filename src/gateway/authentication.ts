import type { Authentication, AuthenticationFailure, TokenService } from "../fleet/model.ts";
import { type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { FailureCounter } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import type { Envelope, FrameErrorReason } from "../protocol/frames.ts";
import type { Connection } from "./connections.ts";
import { ENROLMENT_MS, type GatewayLimits, REFUSAL_MS } from "./limits.ts";

/** What is known of a frame's token; `ask`: only a look-up can tell. */
export type TokenCheck = "accepted" | "ask" | { reason: FrameErrorReason; message: string };

interface AuthenticationDeps {
  tokens: TokenService;
  failures: FailureCounter;
  clock: Clock;
  log: Log;
  limits: GatewayLimits;
  /** The connection has just proved its token. */
  proved: (connection: Connection, agentId: string) => void;
}

const MISMATCH = { reason: "token_mismatch", message: "this connection belongs to another token" } as const;
const NO_TOKEN = {
  reason: "unauthorized",
  message: "no token: put one into the frame or the Authorization header",
} as const;
const NOT_SO_FAST = { reason: "rate_limited", message: "too many wrong tokens from this address" } as const;
const OVERLOADED: Authentication = {
  ok: false,
  reason: "overloaded",
  message: "the token cannot be checked now, try again",
};

/** Whose frame it is. A connection belongs to the first token it proved, and the token is checked again every 30 s. */
export function createAuthentication(deps: AuthenticationDeps) {
  const { tokens, clock, log, limits } = deps;

  /** What is known without waiting. */
  function check(connection: Connection, envelope: Envelope): TokenCheck {
    const token = envelope.token || connection.peer.bearer;
    if (connection.agentId === undefined) return checkStranger(connection, token);
    if (token !== connection.token) return MISMATCH;
    // By the connection's own string, whose hash is known, not by the frame's.
    if (tokens.cached(connection.token) === connection.agentId) return "accepted";
    return clock.monotonicMs() < connection.trustedUntilMs ? "accepted" : "ask";
  }

  function checkStranger(connection: Connection, token: string): TokenCheck {
    if (token === "") return NO_TOKEN;
    const agentId = tokens.cached(token);
    if (agentId !== undefined) {
      prove(connection, token, agentId);
      return "accepted";
    }
    const { refused } = connection;
    return refused && clock.monotonicMs() < refused.untilMs ? refused : "ask";
  }

  /** Asks. A proved connection whose token cannot be checked just now stays trusted: nobody can revoke it meanwhile either. */
  async function ask(connection: Connection, envelope: Envelope): Promise<TokenCheck> {
    const token = envelope.token || connection.peer.bearer;
    if (connection.agentId === undefined && deps.failures.heldFor(connection.peer.address, token) > 0)
      return NOT_SO_FAST;
    const askedAtMs = clock.monotonicMs();
    const answer = await authenticate(token, connection.peer.enrolment);
    if (answer.ok) return accept(connection, token, answer.agentId, askedAtMs);
    if (answer.reason === "unauthorized") return refuse(connection, token, answer);
    if (connection.agentId === undefined) {
      connection.refused = { ...answer, untilMs: clock.monotonicMs() + REFUSAL_MS };
      return answer;
    }
    connection.trustedUntilMs = clock.monotonicMs() + limits.trustMs;
    return "accepted";
  }

  /** A token that is known is never held back, whoever shares its address: only failures count. */
  function refuse(connection: Connection, token: string, answer: AuthenticationFailure): TokenCheck {
    return deps.failures.note(connection.peer.address, token) > 0 ? NOT_SO_FAST : answer;
  }

  function accept(connection: Connection, token: string, agentId: string, askedAtMs: number): TokenCheck {
    if (connection.isClosed) return "accepted";
    if (connection.agentId === undefined) prove(connection, token, agentId);
    if (connection.agentId !== agentId) return MISMATCH;
    connection.trustedUntilMs = askedAtMs + limits.trustMs;
    return "accepted";
  }

  function prove(connection: Connection, token: string, agentId: string): void {
    connection.token = token;
    connection.agentId = agentId;
    connection.refused = undefined;
    deps.proved(connection, agentId);
  }

  async function authenticate(token: string, enrolment: string): Promise<Authentication> {
    const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, "a token could not be checked");
    try {
      const answer = await withDeadline(
        tokens.authenticate(token, enrolment),
        limits.authenticationMs,
        "checking a token",
        failed,
      );
      return "turn" in answer ? await withDeadline(answer.turn, ENROLMENT_MS, "enrolling in turn", failed) : answer;
    } catch (error) {
      failed(error);
      return OVERLOADED;
    }
  }

  return { check, ask };
}
