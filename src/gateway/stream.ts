import type { Log } from "../lib/log.ts";
import { decodeEnvelope } from "../protocol/decode-envelope.ts";
import type { Envelope } from "../protocol/frames.ts";
import { type Connection, Hold } from "./agent-connection.ts";
import type { TokenCheck } from "./authentication.ts";
import type { Buffers } from "./buffers.ts";
import type { Router } from "./router.ts";

export interface StreamDeps {
  router: Router;
  ask: (connection: Connection, envelope: Envelope) => Promise<TokenCheck>;
  buffers: Buffers;
  log: Log;
}

const BACKLOG_FULL = { reason: "overloaded", message: "the token is still being checked, try again" } as const;

/**
 * One frame after the other, in the order in which they came, though some must wait for a look-up: meanwhile the socket
 * is not read, and what had been read already waits in the backlog.
 */
export function createStream(deps: StreamDeps) {
  const { router, log } = deps;

  function receive(connection: Connection, message: unknown): void {
    if (connection.isClosed) return;
    if (connection.isBusy) postpone(connection, message);
    else step(connection, message);
  }

  function postpone(connection: Connection, message: unknown): void {
    if (deps.buffers.reserve(connection, sizeOf(message))) connection.backlog.push(message);
    else refuseUnread(connection, message);
  }

  function refuseUnread(connection: Connection, message: unknown): void {
    const decoded = decodeEnvelope(message);
    if (decoded.ok) router.refuse(connection, decoded.envelope.type, BACKLOG_FULL, decoded.envelope.id);
    else router.refuse(connection, "unknown", decoded, decoded.id);
  }

  /** A surprise costs the frame, never the process: Elysia would drop it without a word. */
  function step(connection: Connection, message: unknown): void {
    try {
      const envelope = router.handle(connection, message);
      if (envelope !== undefined) wait(connection, envelope);
    } catch (error) {
      surprised(connection, error);
    }
  }

  function wait(connection: Connection, envelope: Envelope): void {
    connection.isBusy = true;
    connection.hold(Hold.authentication);
    deps
      .ask(connection, envelope)
      .then((checked) => router.conclude(connection, envelope, checked))
      .catch((error) => surprised(connection, error))
      .finally(() => goOn(connection));
  }

  function goOn(connection: Connection): void {
    connection.isBusy = false;
    while (!connection.isBusy && connection.backlog.length > 0) {
      const message = connection.backlog.shift();
      deps.buffers.free(connection, sizeOf(message));
      if (!connection.isClosed) step(connection, message);
    }
    if (connection.isBusy) return;
    connection.unhold(Hold.authentication);
    connection.onProgress?.();
  }

  function surprised(connection: Connection, error: unknown): void {
    log.error({ error, connection: connection.id, agent: connection.agentId }, "a frame could not be handled");
    connection.close("internal", "internal error");
  }

  return { receive };
}

function sizeOf(message: unknown): number {
  return typeof message === "string" ? message.length : message instanceof Uint8Array ? message.length : 0;
}
