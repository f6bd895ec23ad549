import type { FigureIntake } from "../figures/model.ts";
import type { PresenceService } from "../fleet/model.ts";
import type { IngestOutcome, IngestService } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { type DecodedPayload, decodeEnvelope, decodePayload } from "../protocol/decode.ts";
import { encodeAck } from "../protocol/encode.ts";
import type { AlertPayload, Envelope, HeartbeatPayload } from "../protocol/frames.ts";
import { ALERT_AGE_SECONDS_MAX } from "../protocol/limits.ts";
import type { TokenCheck } from "./authentication.ts";
import { type Buffers, type Connection, Hold } from "./connections.ts";
import { type GatewayLimits, SKEW_SECONDS } from "./limits.ts";
import type { CountedType, GatewayMetrics } from "./metrics.ts";

interface RouterDeps {
  check: (connection: Connection, envelope: Envelope) => TokenCheck;
  ask: (connection: Connection, envelope: Envelope) => Promise<TokenCheck>;
  presence: PresenceService;
  figures: FigureIntake;
  ingest: IngestService;
  buffers: Buffers;
  clock: Clock;
  log: Log;
  metrics: GatewayMetrics;
  heartbeatTimeoutMs: number;
  limits: GatewayLimits;
}

const BACKLOG_FULL = { reason: "overloaded", message: "the token is still being checked, try again" } as const;

/**
 * Takes one frame after the other, in the order in which they came, though some must wait for a look-up: meanwhile the socket
 * is not read, and what had been read already waits in the backlog. Envelope → token → payload → effect, each only when the
 * one before was good.
 */
export function createRouter(deps: RouterDeps): (connection: Connection, message: unknown) => void {
  const { presence, figures, ingest, buffers, clock, metrics } = deps;
  const heartbeatSeconds = Math.max(1, Math.floor(deps.heartbeatTimeoutMs / 3000));

  function receive(connection: Connection, message: unknown): void {
    if (connection.isClosed) return;
    if (!connection.isBusy) step(connection, message);
    else if (buffers.reserve(connection, sizeOf(message))) connection.backlog.push(message);
    else refuseUnread(connection, message);
  }

  function refuseUnread(connection: Connection, message: unknown): void {
    const decoded = decodeEnvelope(message);
    if (decoded.ok) refuse(connection, decoded.envelope.type, BACKLOG_FULL, decoded.envelope.id);
    else refuse(connection, "unknown", decoded, decoded.id);
  }

  /** A surprise costs the frame, never the process: Elysia would drop it without a word. */
  function step(connection: Connection, message: unknown): void {
    try {
      handle(connection, message);
    } catch (error) {
      surprised(connection, error);
    }
  }

  function handle(connection: Connection, message: unknown): void {
    const decoded = decodeEnvelope(message);
    if (!decoded.ok) {
      refuse(connection, "unknown", decoded, decoded.id);
      if (connection.agentId === undefined) countBadFrame(connection);
      return;
    }
    const { envelope } = decoded;
    const checked = deps.check(connection, envelope);
    if (checked === "ask") lookUp(connection, envelope);
    else conclude(connection, envelope, checked);
  }

  function lookUp(connection: Connection, envelope: Envelope): void {
    connection.isBusy = true;
    connection.hold(Hold.authentication);
    deps
      .ask(connection, envelope)
      .then((checked) => conclude(connection, envelope, checked))
      .catch((error) => surprised(connection, error))
      .finally(() => goOn(connection));
  }

  function goOn(connection: Connection): void {
    connection.isBusy = false;
    while (!connection.isBusy && connection.backlog.length > 0) {
      const message = connection.backlog.shift();
      buffers.free(connection, sizeOf(message));
      if (!connection.isClosed) step(connection, message);
    }
    if (connection.isBusy) return;
    connection.unhold(Hold.authentication);
    connection.onProgress?.();
  }

  function surprised(connection: Connection, error: unknown): void {
    deps.log.error({ error, connection: connection.id, agent: connection.agentId }, "a frame could not be handled");
    connection.close("internal", "internal error");
  }

  function countBadFrame(connection: Connection): void {
    const isEnough = ++connection.badFrames >= deps.limits.badFramesMax;
    if (isEnough) connection.close("unauthorized", "too many bad frames and no token");
  }

  function conclude(connection: Connection, envelope: Envelope, checked: TokenCheck): void {
    if (typeof checked === "object") {
      refuse(connection, envelope.type, checked, envelope.id);
      if (checked.reason === "unauthorized") connection.close("unauthorized", "unauthorized");
    } else if (connection.agentId !== undefined && !connection.isClosed) {
      accept(connection, connection.agentId, envelope);
    }
  }

  function accept(connection: Connection, agentId: string, envelope: Envelope): void {
    if (!connection.isWelcomed && envelope.ver === "1.1") {
      connection.isWelcomed = true;
      connection.send({ type: "welcome", agent_id: agentId, heartbeat_s: heartbeatSeconds });
    }
    const decoded = decodePayload(envelope);
    metrics.frame(envelope.type, decoded.ok ? "ok" : decoded.reason);
    if (decoded.ok) act(connection, agentId, envelope, decoded);
    else connection.sendError(decoded.reason, decoded.message, envelope.id);
  }

  function act(
    connection: Connection,
    agentId: string,
    envelope: Envelope,
    { payload, sizeBytes }: Extract<DecodedPayload, { ok: true }>,
  ): void {
    if (payload.type === "heartbeat") {
      heartbeat(connection, agentId, envelope, payload.heartbeat);
      return;
    }
    presence.seen(agentId);
    const offered = { agentId, messageId: envelope.id ?? null, settled: settling(connection, envelope), sizeBytes };
    if (payload.type === "result") ingest.accept({ kind: "result", ...offered, result: payload.result });
    else {
      const ageMs = ageMsOf(envelope, payload.alert);
      ingest.accept({ kind: "alert", origin: "agent", ...offered, alert: payload.alert, ageMs });
    }
  }

  function heartbeat(connection: Connection, agentId: string, envelope: Envelope, payload: HeartbeatPayload): void {
    const skewSeconds = clock.now() / 1000 - envelope.ts;
    presence.seen(agentId, payload, Math.abs(skewSeconds) > SKEW_SECONDS ? skewSeconds : undefined);
    figures.heard(agentId, payload.metrics);
    if (envelope.id !== undefined) connection.sendText(encodeAck(envelope.id));
  }

  /** What answers the frame once its outcome is final. */
  function settling(connection: Connection, { type, id }: Envelope): (outcome: IngestOutcome) => void {
    connection.unsettled++;
    return (outcome) => {
      connection.unsettled--;
      if (!outcome.ok) refuse(connection, type, outcome, id);
      else if (id !== undefined) connection.sendSoon(encodeAck(id));
      if (connection.unsettled === 0) connection.onProgress?.();
    };
  }

  function refuse(
    connection: Connection,
    type: CountedType,
    { reason, message }: Exclude<TokenCheck, string>,
    id?: string,
  ): void {
    metrics.frame(type, reason);
    connection.sendError(reason, message, id);
  }

  return receive;
}

function sizeOf(message: unknown): number {
  return typeof message === "string" || message instanceof Uint8Array ? message.length : 0;
}

/** How long before it was sent the alert happened, by the agent's own clock, milliseconds; 0 when it does not say or lies. */
function ageMsOf(envelope: Envelope, { at }: AlertPayload): number {
  const ageSeconds = at === undefined ? 0 : envelope.ts - at;
  return ageSeconds >= 0 && ageSeconds <= ALERT_AGE_SECONDS_MAX ? ageSeconds * 1000 : 0;
}
