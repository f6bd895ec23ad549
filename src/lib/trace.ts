/** A step on the way of an alert, from the frame to the message. */
export interface TraceStep {
  readonly name: "alert stored" | "incident explained" | "incident announced";
  /** Of the alert; of an incident that of its first alert: all its steps, on whatever node, are of one trace. */
  readonly alertUuid: string;
  /** By the monotonic clock; it ends now. */
  readonly startMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Tells of steps; costs next to nothing, and never throws. */
export type Trace = (step: TraceStep) => void;
