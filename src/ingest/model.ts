import type { TransactionSql } from "postgres";
import type { AlertPayload, FrameErrorReason, ResultPayload } from "../protocol/frames.ts";

/** What became of a frame: durable, or refused for good. There is no third outcome: until then it is retried. */
export type IngestOutcome = { ok: true } | { ok: false; reason: FrameErrorReason; message: string };

interface OfferedFrame {
  agentId: string;
  /** The frame's id (1.1), which makes a repeat have no second effect. */
  messageId: string | null;
  /** Whose message ids these are; the agent's, where it is not said. */
  senderId?: string;
  /** Called once, when the outcome is final. */
  settled?: (outcome: IngestOutcome) => void;
  /** The size that the frame is counted with, in bytes: its decoded payload. */
  sizeBytes: number;
}

/** An alert as the gateway hands it over. */
export interface OfferedAlert extends OfferedFrame {
  kind: "alert";
  /** Who says so: the agent that sent the frame, the server itself, or an integration. Never what an alert claims. */
  origin: "agent" | "server" | "integration";
  /**
   * The sender's own name of the problem, with the sender: alerts that have it are the same problem, whatever they say, and its recovery ends
   * nothing else. Undefined where type, source and message tell problems apart.
   */
  key?: string;
  alert: AlertPayload;
  /** How long before the frame was sent the alert happened, by the agent's own clock; 0 when it did not say or lied. */
  ageMs: number;
}

/** A command's result as the gateway hands it over. */
export interface OfferedResult extends OfferedFrame {
  kind: "result";
  result: ResultPayload;
}

/** A frame in the queue. The UUID makes a batch that is written twice count once. */
export type Accepted<F> = F & { uuid: string; acceptedAtMs: number };
export type AcceptedAlert = Accepted<OfferedAlert>;
export type AcceptedResult = Accepted<OfferedResult>;
export type AcceptedFrame = AcceptedAlert | AcceptedResult;

/** A frame of a batch that is being written, and when it was received: the database's clock, Unix milliseconds. */
export interface TimedFrame<F extends AcceptedFrame> {
  frame: F;
  receivedAt: number;
}

/** From socket to durable rows, in batches. */
export interface IngestService {
  /** Takes a decoded frame. It is never refused: when the queue is over its high-water mark, the flow port says "pause". */
  accept(frame: OfferedAlert | OfferedResult): void;
  /** The UUID that a frame with this id gets, so that a repeat is the same row. */
  uuidOf(frame: { origin?: OfferedAlert["origin"]; agentId: string; senderId?: string; messageId: string }): string;
  /** Nothing is stored while held: what comes waits in the queue, as while the database is away. A stop stores it all the same. */
  hold(isHeld: boolean): void;
  isHeld(): boolean;
  /** True while the queue is full because the database is away, or has no room: new connections are turned away (1013). */
  isStalled(): boolean;
  /** Over its high-water mark: who can be told to come again is told so. */
  isFull(): boolean;
  /** Bytes that wait. */
  queuedBytes(): number;
  /** Writes what waits until `deadlineMs` from now have passed; resolves with the number of frames that were lost. */
  stop(deadlineMs: number): Promise<number>;
}

/** Declared here, implemented by the gateway: holding sockets back (TCP back-pressure). */
export interface FlowControl {
  /** Over the whole queue's high-water mark: no socket is read until `resumeAll`. */
  pauseAll(): void;
  resumeAll(): void;
  /** This agent has more than its fair share in the queue. */
  pauseAgent(agentId: string): void;
  resumeAgent(agentId: string): void;
}

/**
 * Declared here, implemented by incidents: alerts to rows, within the batch's transaction, whose locks keep every other
 * writer of these agents' alerts out.
 */
export interface AlertRecorder {
  record(tx: TransactionSql, alerts: readonly TimedFrame<AcceptedAlert>[]): Promise<void>;
}

/** Declared here, implemented by commands: results to rows; one outcome for each, in order. */
export interface ResultRecorder {
  record(tx: TransactionSql, results: readonly AcceptedResult[]): Promise<IngestOutcome[]>;
}
