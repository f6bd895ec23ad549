/** What each queue's jobs carry: ids only, so that a job is as good as the rows it speaks of. */
export interface JobPayloads {
  /** A batch of incidents that have just been opened. */
  "incidents.explain": { ids: number[] };
  /** One incident that a model is asked about. */
  "incidents.ask": { id: number; actor: string | null };
}
export type QueueName = keyof JobPayloads;

/** How a queue's jobs are run. */
export interface QueueLimits {
  /** Jobs that are fetched together. While as many come, the next are fetched without a wait. */
  batch: number;
  /** Whether a batch runs at once, or one job after the other. */
  together: boolean;
  /** Longest run of one job, seconds: one that takes longer is taken to be stuck and is given to another worker. */
  deadlineS: number;
  /** Tries after the first one; with back-off and jitter between them. */
  retries: number;
}
