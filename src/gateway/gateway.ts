import type { PresenceService, TokenService } from "../fleet/model.ts";
import type { IngestService } from "../ingest/model.ts";
import type { ClientAddress } from "../lib/client-address.ts";
import type { Clock } from "../lib/clock.ts";
import { createFailureCounter, FAILURE_LIMITS } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { Connection } from "./agent-connection.ts";
import { createAuthentication } from "./authentication.ts";
import { createBuffers } from "./buffers.ts";
import { createClaims } from "./claims.ts";
import type { Connections } from "./connections.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { createRouter } from "./router.ts";
import { closeAll } from "./shutdown.ts";
import { type Peer, type Socket, type SocketEvents, streamRoutes } from "./socket.ts";
import { createStream } from "./stream.ts";
import { createSweep } from "./sweep.ts";

/** With these a client says that it ends, and that all is well: normal closure, going away (RFC 6455, 7.4.1). */
const GOODBYE_CODES: readonly number[] = [1000, 1001];

/** Longest time between two sweeps: what is due sooner is known from the last one. */
const SWEEP_INTERVAL_MS = 5_000;

export interface GatewayDeps {
  connections: Connections;
  tokens: TokenService;
  presence: PresenceService;
  ingest: IngestService;
  addressOf: ClientAddress;
  clock: Clock;
  loops: Loops;
  log: Log;
  metrics: GatewayMetrics;
  /** No frame and no pong for so long: the socket is dead. */
  heartbeatTimeoutMs: number;
  limits?: Partial<GatewayLimits>;
}

/** The agents' side of the server. */
export interface Gateway {
  /** The route, for the root Elysia, whose `websocket` option must be WEBSOCKET_OPTIONS. */
  routes: ReturnType<typeof streamRoutes>;
  start(): void;
  /** Turns new sockets away and closes the others, after what they had sent was accepted; by force past the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

/** Wires socket → connection → stream (order) → router (envelope, token, payload, effect). */
export function createGateway(deps: GatewayDeps): Gateway {
  const { connections, presence, ingest, clock, log, metrics, heartbeatTimeoutMs } = deps;
  const limits = { ...DEFAULT_LIMITS, ...deps.limits };
  const buffers = createBuffers({ connections, limits, metrics, log });
  const claims = createClaims({ presence, clock, log });
  const authentication = createAuthentication({
    tokens: deps.tokens,
    failures: createFailureCounter(clock, FAILURE_LIMITS),
    clock,
    log,
    limits,
    proved,
  });
  const router = createRouter({
    check: authentication.check,
    presence,
    ingest,
    clock,
    metrics,
    heartbeatSeconds: Math.max(1, Math.floor(heartbeatTimeoutMs / 3000)),
    badFramesMax: limits.badFramesMax,
  });
  const stream = createStream({ router, ask: authentication.ask, buffers, log });
  const sweep = createSweep({ connections, heartbeatTimeoutMs, limits });
  let sweeping: Loop | undefined;
  let stopping: Promise<void> | undefined;

  function proved(connection: Connection, agentId: string): void {
    connections.bind(connection, agentId);
    claims.claim(connection, agentId);
    log.debug({ agent: agentId, connection: connection.id }, "an agent is connected");
  }

  function open(socket: Socket, peer: Peer): void {
    const connection = new Connection(socket, peer, clock.monotonicMs(), buffers);
    socket.data = eventsOf(connection);
    connections.add(connection);
    const isFull = connections.size() > limits.connectionsMax || ingest.isStalled();
    if (stopping) connection.close("shutdown", "the server is shutting down");
    else if (isFull) turnAway(connection);
    else makeRoom();
  }

  function turnAway(connection: Connection): void {
    connection.sendError("overloaded", "no more connections can be taken now, try again");
    connection.close("overloaded", "overloaded");
  }

  function makeRoom(): void {
    const [oldest] = connections.unproved();
    if (connections.unproved().size > limits.unprovedMax) oldest?.close("unauthorized", "too many without a token");
  }

  function eventsOf(connection: Connection): SocketEvents {
    const heard = () => {
      connection.lastHeardMs = clock.monotonicMs();
    };
    return {
      message(_, message) {
        heard();
        stream.receive(connection, message);
      },
      close: (_, code) => closed(connection, code),
      drain() {
        heard();
        connection.drained();
      },
      ping: heard,
      pong() {
        heard();
        ponged(connection);
      },
    };
  }

  function ponged(connection: Connection): void {
    if (connection.awaitedPongs > 0) connection.awaitedPongs--;
    if (connection.agentId !== undefined) presence.seen(connection.agentId, clock.now());
    connection.onProgress?.();
  }

  function closed(connection: Connection, code: number): void {
    // What we closed ourselves says nothing about the agent.
    const isGoodbye = !connection.isClosed && GOODBYE_CODES.includes(code);
    connection.isClosed = true;
    buffers.unsent(connection, 0);
    connections.remove(connection);
    metrics.closed(code);
    if (connection.agentId !== undefined) claims.release(connection, connection.agentId, isGoodbye);
    log.debug({ agent: connection.agentId, connection: connection.id, code }, "a connection is closed");
    connection.onProgress?.();
  }

  return {
    routes: streamRoutes(deps.addressOf, open),
    start() {
      sweeping ??= deps.loops.start({
        name: "sockets",
        everyMs: Math.min(SWEEP_INTERVAL_MS, heartbeatTimeoutMs / 10),
        failed: "sockets could not be looked after",
        turn: async () => sweep(clock.monotonicMs()),
      });
    },
    stop(deadlineMs) {
      stopping ??= Promise.all([closeAll(connections, clock, deadlineMs), sweeping?.stop()]).then(() => undefined);
      return stopping;
    },
  };
}
