import type { CommandDelivery } from "../commands/model.ts";
import type { AgentSockets } from "../fleet/model.ts";
import type { FlowControl } from "../ingest/model.ts";
import type { Log } from "../lib/log.ts";
import { encodeServerFrame } from "../protocol/encode.ts";
import { CloseCode, type FrameErrorReason, type ServerFrame } from "../protocol/frames.ts";
import { type GatewayLimits, RETRY_AFTER_S } from "./limits.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { Peer, Socket } from "./socket.ts";

/** Why a socket is not read; each reason is taken back by itself, and the last one gone resumes the socket. */
export const Hold = {
  /** The ingest queue is full. */
  queue: 1,
  /** This agent's share of the queue is full. */
  share: 2,
  /** Its token is being looked up. */
  authentication: 4,
  /** It does not take up our answers. */
  slowReader: 8,
  /** The server stops, and has read what it will read. */
  shutdown: 16,
} as const;

/** The holds that are our doing, during which silence says nothing about the peer. */
const OWN_HOLDS = Hold.queue | Hold.share | Hold.authentication;

/**
 * One agent's socket and what is known of it. A class, for there are many: its methods are shared.
 * unproved → (token proved) → held by `agentId` → closed. Nothing is sent, read or answered once it is closed.
 */
export class Connection {
  readonly id = crypto.randomUUID();
  agentId: string | undefined;
  /** The token that the connection belongs to. */
  token = "";
  trustedUntilMs = 0;
  badFrames = 0;
  isWelcomed = false;
  isClosed = false;
  lastHeardMs: number;
  /** Pings that no pong has answered. */
  awaitedPongs = 0;
  lastPingMs = 0;
  /** Frames whose ack is owed. */
  unsettled = 0;
  /** A look-up is under way, and later frames wait in the backlog. */
  isBusy = false;
  readonly backlog: unknown[] = [];
  backlogBytes = 0;
  /** What the peer had not taken up when we last looked. */
  unsentBytes = 0;
  refused: { reason: FrameErrorReason; message: string; untilMs: number } | undefined;
  /** Settles when the claim of the agent is committed, or given up. */
  claiming: Promise<void> = Promise.resolve();
  /** Told when something happened that a shutdown may wait for. */
  onProgress: (() => void) | undefined;
  #holds = 0;
  #outbox: string[] = [];

  constructor(
    readonly socket: Socket,
    readonly peer: Peer,
    readonly openedAtMs: number,
    readonly buffers: Pick<Buffers, "sendBufferBytesMax" | "unsent">,
  ) {
    this.lastHeardMs = openedAtMs;
  }

  get isHeldByUs(): boolean {
    return (this.#holds & OWN_HOLDS) !== 0;
  }

  hold(reason: number): void {
    const before = this.#holds;
    this.#holds |= reason;
    if (before === 0 && !this.isClosed) this.socket.pause();
  }

  unhold(reason: number): void {
    const before = this.#holds;
    this.#holds &= ~reason;
    if (before !== 0 && this.#holds === 0 && !this.isClosed) this.socket.resume();
  }

  /** Sends now; false when the socket is gone. */
  send(frame: ServerFrame): boolean {
    return this.sendText(encodeServerFrame(frame));
  }

  sendText(text: string): boolean {
    if (this.isClosed) return false;
    if (this.#outbox.length > 0) this.flush();
    return this.#write(text);
  }

  /** Sends at the end of this turn, together with what else comes until then: one system call for a batch's acks. */
  sendSoon(text: string): void {
    if (this.isClosed) return;
    if (this.#outbox.push(text) === 1) queueMicrotask(() => this.flush());
  }

  flush(): void {
    const texts = this.#outbox;
    if (texts.length === 0 || this.isClosed) return;
    this.#outbox = [];
    this.socket.cork(() => {
      for (const text of texts) this.#write(text);
    });
    // What is corked is sent at its end, and only then is it known how much was not.
    this.#look();
  }

  sendError(reason: FrameErrorReason, message: string, id?: string): boolean {
    const frame: ServerFrame = { type: "error", code: reason, message };
    if (id !== undefined) frame.id = id;
    if (reason === "overloaded" || reason === "rate_limited") frame.retry_after_s = RETRY_AFTER_S[reason];
    return this.send(frame);
  }

  ping(nowMs: number): void {
    this.awaitedPongs++;
    this.lastPingMs = nowMs;
    this.socket.ping();
  }

  /** The peer took up some of what waited. */
  drained(): void {
    this.#look();
    if (this.unsentBytes * 2 <= this.buffers.sendBufferBytesMax) this.unhold(Hold.slowReader);
  }

  /** Says why, and closes. Answers that wait are sent before. */
  close(why: keyof typeof CloseCode, text: string): void {
    if (this.isClosed) return;
    this.flush();
    this.isClosed = true;
    // Unread data would turn the close into a reset, which may cost the peer what it has not read yet.
    if (this.#holds !== 0) this.socket.resume();
    this.socket.close(CloseCode[why], text);
  }

  /** Without a word, for a peer that does not answer. */
  terminate(): void {
    this.isClosed = true;
    this.socket.terminate();
  }

  #write(text: string): boolean {
    const status = this.socket.sendText(text);
    if (status === -1) this.#look();
    return status !== 0;
  }

  #look(): void {
    const bytes = this.socket.getBufferedAmount();
    if (bytes === this.unsentBytes || this.isClosed) return;
    if (bytes > this.buffers.sendBufferBytesMax) this.hold(Hold.slowReader);
    this.buffers.unsent(this, bytes);
  }
}

/** This node's sockets: the ports of fleet, commands and ingest, and the gateway's own side. */
export interface Connections extends AgentSockets, CommandDelivery, FlowControl {
  add(connection: Connection): void;
  /** The connection has proved a token of the agent: an older one of the same agent goes. */
  bind(connection: Connection, agentId: string): void;
  /** Forgets a connection that is closed. */
  remove(connection: Connection): void;
  all(): IterableIterator<Connection>;
  /** Those that have proved no token, the oldest first. */
  unproved(): ReadonlySet<Connection>;
  size(): number;
}

/** Made before the services that need its ports, and handed to the gateway after them. */
export function createConnections(): Connections {
  const connections = new Set<Connection>();
  const unproved = new Set<Connection>();
  const byAgent = new Map<string, Connection>();
  const pausedAgents = new Set<string>();
  let isPaused = false;

  return {
    add(connection) {
      connections.add(connection);
      unproved.add(connection);
      if (isPaused) connection.hold(Hold.queue);
    },
    bind(connection, agentId) {
      unproved.delete(connection);
      const older = byAgent.get(agentId);
      byAgent.set(agentId, connection);
      older?.close("superseded", "a newer connection of this agent");
      if (pausedAgents.has(agentId)) connection.hold(Hold.share);
    },
    remove(connection) {
      connections.delete(connection);
      unproved.delete(connection);
      const { agentId } = connection;
      if (agentId !== undefined && byAgent.get(agentId) === connection) byAgent.delete(agentId);
    },
    all: () => connections.values(),
    unproved: () => unproved,
    size: () => connections.size,

    connectionOf: (agentId) => byAgent.get(agentId)?.id,
    agentIds: () => [...byAgent.keys()],
    closeAgent(agentId, why, exceptConnectionId) {
      const connection = byAgent.get(agentId);
      if (!connection || connection.id === exceptConnectionId) return;
      closeFor(connection, why);
    },

    holds: (agentId) => byAgent.has(agentId),
    deliver: (agentId, frame) => byAgent.get(agentId)?.send(frame) ?? false,

    pauseAll() {
      isPaused = true;
      for (const connection of connections) connection.hold(Hold.queue);
    },
    resumeAll() {
      isPaused = false;
      for (const connection of connections) connection.unhold(Hold.queue);
    },
    pauseAgent(agentId) {
      pausedAgents.add(agentId);
      byAgent.get(agentId)?.hold(Hold.share);
    },
    resumeAgent(agentId) {
      pausedAgents.delete(agentId);
      byAgent.get(agentId)?.unhold(Hold.share);
    },
  };
}

function closeFor(connection: Connection, why: Parameters<AgentSockets["closeAgent"]>[1]): void {
  switch (why) {
    case "deleted":
      connection.close("deleted", "this agent was deleted");
      break;
    case "superseded":
      connection.close("superseded", "a newer connection of this agent");
      break;
    case "revoked":
      connection.sendError("unauthorized", "this token was revoked");
      connection.close("unauthorized", "unauthorized");
  }
}

/** Those of one kind are mended down to this part of their bound, so that not every byte more makes a search. */
const MENDED_PART = 3 / 4;

interface BuffersDeps {
  connections: { all(): IterableIterator<Connection> };
  limits: Pick<GatewayLimits, "backlogBytesMax" | "backlogsBytesMax" | "sendBufferBytesMax" | "sendBuffersBytesMax">;
  metrics: Pick<GatewayMetrics, "bufferFull">;
  log: Log;
}

/**
 * The memory that all sockets together take: frames that wait for a look-up of their token, and answers that nobody takes up.
 * Each socket has a bound of its own; this is the bound of the sum. Past it a frame is refused for now, and the sockets that take
 * up least are cut off: what an agent had no ack of it sends again.
 */
export function createBuffers({ connections, limits, metrics, log }: BuffersDeps) {
  let backlogBytes = 0;
  let unsentBytes = 0;

  function cutOffWorst(): void {
    const worst = [...connections.all()]
      .filter(({ unsentBytes }) => unsentBytes > 0)
      .sort((a, b) => b.unsentBytes - a.unsentBytes);
    let cut = 0;
    for (const connection of worst) {
      if (unsentBytes <= limits.sendBuffersBytesMax * MENDED_PART) break;
      connection.terminate();
      setUnsent(connection, 0);
      metrics.bufferFull("send");
      cut++;
    }
    log.warn({ sockets: cut }, "too many answers were not taken up: the sockets with the most are cut off");
  }

  function setUnsent(connection: Connection, bytes: number): void {
    unsentBytes += bytes - connection.unsentBytes;
    connection.unsentBytes = bytes;
  }

  return {
    sendBufferBytesMax: limits.sendBufferBytesMax,
    /** Takes note of what a socket's peer has not taken up. */
    unsent(connection: Connection, bytes: number): void {
      const isMore = bytes > connection.unsentBytes;
      setUnsent(connection, bytes);
      if (isMore && unsentBytes > limits.sendBuffersBytesMax) cutOffWorst();
    },
    /** Room for a frame that must wait; false when there is none. */
    reserve(connection: Connection, bytes: number): boolean {
      if (connection.backlogBytes + bytes > limits.backlogBytesMax) return false;
      if (backlogBytes + bytes > limits.backlogsBytesMax) {
        metrics.bufferFull("backlog");
        return false;
      }
      backlogBytes += bytes;
      connection.backlogBytes += bytes;
      return true;
    },
    /** Gives a frame's room back. */
    free(connection: Connection, bytes: number): void {
      backlogBytes -= bytes;
      connection.backlogBytes -= bytes;
    },
  };
}

export type Buffers = ReturnType<typeof createBuffers>;
