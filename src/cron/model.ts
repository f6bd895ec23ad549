/** When a job is due: at these moments of its zone's clock, or so long after it was heard of last. */
export type Schedule = { readonly cron: string; readonly zone: string } | { readonly everyMs: number };

/** What is expected of a job. */
export interface JobSpec {
  readonly schedule: Schedule;
  /** So long after it was due it is not late yet. */
  readonly graceMs: number;
  /** Longest time that a run may take; null: until the job is due again, and the grace. */
  readonly limitMs: number | null;
}

/** What a job says by a ping: that a run begins, or how it has ended. */
export type PingKind = "start" | "success" | "fail";

/** What is wrong with a job: it did not come, it failed, or a run takes too long. */
export type Trouble = "late" | "failed" | "overdue";
