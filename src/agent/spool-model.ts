import type { SpoolFrame } from "./spool-record.ts";

/** What a heartbeat and a person want to know. */
export interface SpoolStatus {
  /** Frames that the server has not acknowledged. */
  readonly waiting: number;
  /** On disk. */
  readonly bytes: number;
  /** Given up since the start of this process: repeats of what is still told, others, and what the disk had damaged. */
  readonly droppedRepeats: number;
  readonly droppedOthers: number;
  readonly damaged: number;
  /** In memory alone: the disk does not take them. */
  readonly unwritten: number;
}

/**
 * What is to reach the server, on disk until it has: waiting → in flight → done, in order of age. What was in flight when
 * a connection ended waits again. After a crash some that were done are sent once more, which the server knows by their ids.
 */
export interface Spool {
  /** On disk when it resolves, or, where the disk is full, in memory. Never rejects. */
  add(frame: SpoolFrame): Promise<void>;
  /** Whether a frame of this id is here. */
  has(id: string): boolean;
  /** The oldest that waits; it is in flight from then on. */
  take(): SpoolFrame | undefined;
  /** The server has it, or never will: it is not kept any longer. */
  done(id: string): void;
  /** The frame, which is in flight, waits again, behind all others. */
  defer(id: string): void;
  /** All that is in flight waits again. */
  putBack(): void;
  status(): SpoolStatus;
  /** Writes what the disk refused before. To be called now and then. */
  retry(): Promise<void>;
  /** Writes what there is, and leaves on disk only what still waits. */
  close(): Promise<void>;
}
