import { encodeServerFrame } from "../protocol/encode.ts";
import { CloseCode, type FrameErrorReason, type ServerFrame } from "../protocol/frames.ts";
import type { Buffers } from "./buffers.ts";
import { RETRY_AFTER_S } from "./limits.ts";
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
