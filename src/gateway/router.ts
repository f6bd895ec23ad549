import type { PresenceService } from "../fleet/model.ts";
import type { IngestOutcome, IngestService } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { type DecodedPayload, decodeEnvelope, decodePayload } from "../protocol/decode.ts";
import { encodeAck } from "../protocol/encode.ts";
import type { AlertPayload, Envelope, HeartbeatPayload, ResultPayload } from "../protocol/frames.ts";
import { ALERT_AGE_SECONDS_MAX } from "../protocol/limits.ts";
import type { TokenCheck } from "./authentication.ts";
import { type Buffers, type Connection, Hold } from "./connections.ts";
import { SKEW_SECONDS } from "./limits.ts";
import type { CountedType, GatewayMetrics } from "./metrics.ts";

interface StreamDeps {
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

interface RouterDeps {
  check: (connection: Connection, envelope: Envelope) => TokenCheck;
  presence: PresenceService;
  ingest: IngestService;
  clock: Clock;
  metrics: GatewayMetrics;
  heartbeatSeconds: number;
  badFramesMax: number;
}

type Refusal = Exclude<TokenCheck, string>;
type Good = Extract<DecodedPayload, { ok: true }>;

/** What one frame does, once it is its turn. */
interface Router {
  /** Does it; or answers the envelope, when first its token must be looked up. */
  handle(connection: Connection, message: unknown): Envelope | undefined;
  /** Goes on with that envelope once it is known whose it is. */
  conclude(connection: Connection, envelope: Envelope, checked: TokenCheck): void;
  refuse(connection: Connection, type: CountedType, refusal: Refusal, id?: string): void;
}

/** Envelope → token → payload → effect, each only when the one before was good. */
export function createRouter(deps: RouterDeps): Router {
  const { presence, ingest, clock, metrics } = deps;

  function handle(connection: Connection, message: unknown): Envelope | undefined {
    const decoded = decodeEnvelope(message);
    if (!decoded.ok) {
      refuse(connection, "unknown", decoded, decoded.id);
      if (connection.agentId === undefined) countBadFrame(connection);
      return undefined;
    }
    const { envelope } = decoded;
    const checked = deps.check(connection, envelope);
    if (checked === "ask") return envelope;
    conclude(connection, envelope, checked);
    return undefined;
  }

  function countBadFrame(connection: Connection): void {
    connection.badFrames++;
    if (connection.badFrames >= deps.badFramesMax) connection.close("unauthorized", "too many bad frames and no token");
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
    if (!connection.isWelcomed && envelope.ver === "1.1") welcome(connection, agentId);
    const decoded = decodePayload(envelope);
    if (!decoded.ok) {
      refuse(connection, envelope.type, decoded, envelope.id);
      return;
    }
    metrics.frame(envelope.type, "ok");
    act(connection, agentId, envelope, decoded);
  }

  function act(connection: Connection, agentId: string, envelope: Envelope, { payload, sizeBytes }: Good): void {
    switch (payload.type) {
      case "heartbeat":
        heartbeat(connection, agentId, envelope, payload.heartbeat);
        break;
      case "alert":
        alert(connection, agentId, envelope, payload.alert, sizeBytes);
        break;
      case "result":
        result(connection, agentId, envelope, payload.result, sizeBytes);
    }
  }

  function welcome(connection: Connection, agentId: string): void {
    connection.isWelcomed = true;
    connection.send({ type: "welcome", agent_id: agentId, heartbeat_s: deps.heartbeatSeconds });
  }

  function heartbeat(connection: Connection, agentId: string, envelope: Envelope, payload: HeartbeatPayload): void {
    const nowMs = clock.now();
    const skewSeconds = nowMs / 1000 - envelope.ts;
    presence.seen(agentId, nowMs, payload, Math.abs(skewSeconds) > SKEW_SECONDS ? skewSeconds : undefined);
    if (envelope.id !== undefined) connection.sendText(encodeAck(envelope.id));
  }

  function alert(
    connection: Connection,
    agentId: string,
    envelope: Envelope,
    payload: AlertPayload,
    sizeBytes: number,
  ) {
    presence.seen(agentId, clock.now());
    const settled = settling(connection, envelope);
    const messageId = envelope.id ?? null;
    ingest.accept({
      kind: "alert",
      origin: "agent",
      agentId,
      messageId,
      alert: payload,
      ageMs: ageMsOf(envelope, payload),
      settled,
      sizeBytes,
    });
  }

  function result(
    connection: Connection,
    agentId: string,
    envelope: Envelope,
    payload: ResultPayload,
    sizeBytes: number,
  ) {
    presence.seen(agentId, clock.now());
    const settled = settling(connection, envelope);
    ingest.accept({ kind: "result", agentId, messageId: envelope.id ?? null, result: payload, settled, sizeBytes });
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

  function refuse(connection: Connection, type: CountedType, { reason, message }: Refusal, id?: string): void {
    metrics.frame(type, reason);
    connection.sendError(reason, message, id);
  }

  return { handle, conclude, refuse };
}

/** How long before it was sent the alert happened, by the agent's own clock, milliseconds; 0 when it does not say or lies. */
function ageMsOf(envelope: Envelope, { at }: AlertPayload): number {
  const ageSeconds = at === undefined ? 0 : envelope.ts - at;
  return ageSeconds >= 0 && ageSeconds <= ALERT_AGE_SECONDS_MAX ? ageSeconds * 1000 : 0;
}
