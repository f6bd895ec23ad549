import type { FigureIntake } from "../figures/model.ts";
import type { PresenceService, TokenService } from "../fleet/model.ts";
import type { IngestService } from "../ingest/model.ts";
import type { ClientAddress } from "../lib/addresses.ts";
import { backoffMs, type Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { FailureCounter } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { createAuthentication } from "./authentication.ts";
import { Connection, type Connections, createBuffers, Hold } from "./connections.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { createRouter } from "./router.ts";
import { type Peer, type Socket, type SocketEvents, streamRoutes } from "./socket.ts";

/** With these a client says that it ends, and that all is well: normal closure, going away (RFC 6455, 7.4.1). */
const GOODBYE_CODES: readonly number[] = [1000, 1001];

/** Longest time between two sweeps: what is due sooner is known from the last one. */
const SWEEP_INTERVAL_MS = 30_000;
/** A socket that is silent for this part of HEARTBEAT_TIMEOUT is asked, so none that opens between two sweeps is asked late. */
const PING_AFTER_PART = 1 / 3;
const RETRY = { minMs: 100, maxMs: 5_000 };

/** A peer that is there answers a ping sooner than this; one that does not must not hold up the shutdown. */
const PONG_WAIT_MS = 3_000;

interface GatewayDeps {
  connections: Connections;
  tokens: TokenService;
  presence: PresenceService;
  figures: FigureIntake;
  ingest: IngestService;
  addressOf: ClientAddress;
  /** Counts wrong tokens. */
  failures: FailureCounter;
  clock: Clock;
  loops: Loops;
  log: Log;
  metrics: GatewayMetrics;
  /** No frame and no pong for so long: the socket is dead. */
  heartbeatTimeoutMs: number;
  limits?: Partial<GatewayLimits>;
}

/** The agents' side of the server: socket → connection → router (order, envelope, token, payload, effect). */
export function createGateway(deps: GatewayDeps) {
  const { connections, presence, ingest, clock, log, metrics, heartbeatTimeoutMs } = deps;
  const limits = { ...DEFAULT_LIMITS, ...deps.limits };
  const buffers = createBuffers({ connections, limits, metrics, log });
  const authentication = createAuthentication({
    tokens: deps.tokens,
    failures: deps.failures,
    clock,
    log,
    limits,
    proved,
  });
  const receive = createRouter({ ...deps, ...authentication, limits, buffers });
  let sweeping: Loop | undefined;
  let stopping: Promise<void> | undefined;

  function proved(connection: Connection, agentId: string): void {
    connections.bind(connection, agentId);
    connection.claiming = claim(connection, agentId);
    log.debug({ agent: agentId, connection: connection.id }, "an agent is connected");
  }

  function open(socket: Socket, peer: Peer): void {
    const connection = new Connection(socket, peer, clock.monotonicMs(), buffers);
    socket.data = eventsOf(connection);
    connections.add(connection);
    if (stopping) connection.close("shutdown", "the server is shutting down");
    else if (ingest.isStalled() || !makeRoom(connection)) {
      connection.sendError("overloaded", "no more connections can be taken now, try again");
      connection.close("overloaded", "overloaded");
    }
  }

  /** False when there is none: everybody else is an agent. Who goes may be an agent that was slow, and is not told to stay away. */
  function makeRoom(newcomer: Connection): boolean {
    const graceEndMs = newcomer.openedAtMs - limits.unprovedGraceMs;
    for (const oldest of connections.unproved()) {
      const isFull = connections.size() > limits.connectionsMax;
      const isCrowd = connections.unproved().size > limits.unprovedMax && oldest.openedAtMs <= graceEndMs;
      if (!isFull && !isCrowd) return true;
      if (oldest === newcomer) return !isFull;
      oldest.close("overloaded", "too many without a token");
    }
    return true;
  }

  function eventsOf(connection: Connection): SocketEvents {
    const heard = () => {
      connection.lastHeardMs = clock.monotonicMs();
    };
    return {
      message(_, message) {
        heard();
        receive(connection, message);
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
    if (connection.agentId !== undefined) presence.seen(connection.agentId);
    connection.onProgress?.();
  }

  function closed(connection: Connection, code: number): void {
    // What we closed ourselves says nothing about the agent.
    const isGoodbye = !connection.isClosed && GOODBYE_CODES.includes(code);
    connection.isClosed = true;
    buffers.unsent(connection, 0);
    connections.remove(connection);
    metrics.closed(code);
    if (connection.agentId !== undefined) release(connection, connection.agentId, isGoodbye);
    log.debug({ agent: connection.agentId, connection: connection.id, code }, "a connection is closed");
    connection.onProgress?.();
  }

  /** Tells the fleet that this connection holds the agent, for as long as it takes. */
  async function claim(connection: Connection, agentId: string): Promise<void> {
    for (let attempt = 0; !connection.isClosed; attempt++) {
      try {
        return await presence.claim(agentId, connection.id);
      } catch (error) {
        const fields = { error: errorMessage(error), agent: agentId };
        if (attempt === 0) log.warn(fields, "a connection could not be recorded, trying again");
        await clock.sleep(backoffMs(attempt, RETRY));
      }
    }
  }

  /** A claim that is still under way must be committed before: it would else stay for ever. */
  function release(connection: Connection, agentId: string, isGoodbye: boolean): void {
    connection.claiming
      .then(() => presence.release(agentId, connection.id, isGoodbye))
      .catch((error) => log.error({ error, agent: agentId }, "a connection could not be released"));
  }

  return {
    /** The route, for the root Elysia, whose `websocket` option must be WEBSOCKET_OPTIONS. */
    routes: streamRoutes(deps.addressOf, open),
    start(): void {
      sweeping ??= deps.loops.start({
        name: "sockets",
        everyMs: Math.min(SWEEP_INTERVAL_MS, heartbeatTimeoutMs * PING_AFTER_PART),
        failed: "sockets could not be looked after",
        turn: async () => sweep(connections, clock.monotonicMs(), heartbeatTimeoutMs, limits.unprovedMs),
      });
    },
    /** Turns new sockets away and closes the others, after what they had sent was accepted; by force past the deadline. */
    stop(deadlineMs: number): Promise<void> {
      stopping ??= Promise.all([closeAll(connections, clock, deadlineMs), sweeping?.stop()]).then(() => undefined);
      return stopping;
    },
  };
}

/**
 * Looks at every socket once: strangers whose time is up are closed, the silent are asked (ping), and those that do not
 * answer are cut off. One sweep for all, no timer per connection. Answers after how many milliseconds the next of those that it
 * saw is due.
 */
function sweep(connections: Connections, nowMs: number, heartbeatTimeoutMs: number, unprovedMs: number): number {
  let dueMs = closeStrangers(connections, nowMs, unprovedMs);
  for (const connection of connections.all()) dueMs = Math.min(dueMs, lookAfter(connection, nowMs, heartbeatTimeoutMs));
  return dueMs;
}

function closeStrangers(connections: Connections, nowMs: number, unprovedMs: number): number {
  for (const connection of connections.unproved()) {
    const leftMs = unprovedMs - (nowMs - connection.openedAtMs);
    if (leftMs > 0) return leftMs;
    if (!connection.isHeldByUs) connection.close("unauthorized", "no token in time");
  }
  return unprovedMs;
}

function lookAfter(connection: Connection, nowMs: number, heartbeatTimeoutMs: number): number {
  const pingAfterMs = heartbeatTimeoutMs * PING_AFTER_PART;
  // Nobody hears the pongs of a socket that is not read.
  if (connection.isHeldByUs) connection.lastHeardMs = nowMs;
  const silentMs = nowMs - connection.lastHeardMs;
  if (silentMs >= heartbeatTimeoutMs) {
    connection.terminate();
    return heartbeatTimeoutMs;
  }
  if (silentMs >= pingAfterMs && nowMs - connection.lastPingMs >= pingAfterMs) connection.ping(nowMs);
  const pingMs = pingAfterMs - Math.min(silentMs, nowMs - connection.lastPingMs);
  return Math.min(pingMs, heartbeatTimeoutMs - silentMs);
}

/**
 * Closes every socket, after what it had sent was accepted and answered. The proof is a pong: whatever the peer sent before
 * it answered our ping has come by then. From then on the socket is not read, and once no answer is owed it is closed.
 */
async function closeAll(connections: Connections, clock: Clock, deadlineMs: number): Promise<void> {
  const finished = new AbortController();
  const endings = [...connections.all()].map((connection) => finish(connection, clock.monotonicMs()));
  const all = Promise.all(endings).then(() => finished.abort());
  const pongWaitMs = Math.min(PONG_WAIT_MS, deadlineMs);
  await clock.sleep(pongWaitMs, finished.signal);
  for (const connection of connections.all()) if (isMute(connection)) end(connection);
  await clock.sleep(deadlineMs - pongWaitMs, finished.signal);
  for (const connection of connections.all()) end(connection);
  await all;
}

/** Resolves once the connection is closed. */
function finish(connection: Connection, nowMs: number): Promise<void> {
  return new Promise((resolve) => {
    connection.onProgress = () => {
      if (connection.isClosed) return resolve();
      if (connection.awaitedPongs > 0) return;
      connection.hold(Hold.shutdown);
      if (connection.unsettled === 0 && !connection.isBusy) end(connection);
    };
    connection.ping(nowMs);
  });
}

/** No pong, though the socket was read all the time. */
function isMute(connection: Connection): boolean {
  return connection.awaitedPongs > 0 && connection.unsettled === 0 && !connection.isHeldByUs;
}

function end(connection: Connection): void {
  connection.close("shutdown", "the server is shutting down");
}

export type Gateway = ReturnType<typeof createGateway>;
