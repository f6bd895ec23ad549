import type { FrameErrorReason } from "../protocol/frames.ts";
import type { AlertPayload, ResultPayload } from "../protocol/payloads.ts";

/** What became of a frame: durable, or refused for good. There is no third outcome: until then it is retried. */
export type IngestOutcome = { ok: true } | { ok: false; reason: FrameErrorReason; message: string };

interface Accepted {
  agentId: string;
  /** The frame's id (1.1), which makes a repeat have no second effect. */
  messageId: string | null;
  /** Called once, when the outcome is final. */
  settled?: (outcome: IngestOutcome) => void;
  /** The size that the frame is counted with, in bytes: its decoded payload. */
  sizeBytes: number;
}

export interface AcceptedAlert extends Accepted {
  kind: "alert";
  alert: AlertPayload;
  /** How long before the frame was sent the alert happened, by the agent's own clock; 0 when it did not say or lied. */
  ageMs: number;
}

export interface AcceptedResult extends Accepted {
  kind: "result";
  result: ResultPayload;
}

export type AcceptedFrame = AcceptedAlert | AcceptedResult;

/** From socket to durable rows, in batches. */
export interface IngestService {
  /** Takes a decoded frame. It is never refused: when the queue is over its high-water mark, the flow port says "pause". */
  accept(frame: AcceptedFrame): void;
  /** True while the queue is over its high-water mark because the database is away: new connections are turned away (1013). */
  isStalled(): boolean;
  /** Bytes that wait. */
  queuedBytes(): number;
  start(): void;
  /** Writes what waits until `deadlineMs` from now have passed; resolves with the number of alerts that were lost. */
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
