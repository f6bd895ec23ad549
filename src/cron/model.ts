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

/** A job as people see it. */
export interface JobView {
  readonly schedule: string;
  /** Null for one that comes by an interval. */
  readonly zone: string | null;
  readonly grace_s: number;
  readonly limit_s: number | null;
  readonly paused: boolean;
  readonly running: boolean;
  readonly trouble: Trouble | null;
  readonly due_at: Date;
  readonly last_ping_at: Date | null;
  readonly last_duration_ms: number | null;
}

/** One ping. */
export interface Ping {
  readonly kind: PingKind;
  /** What it ended with, where it said so. */
  readonly exitCode: number | null;
  /** By which a beginning and its end belong together; null where nobody says. */
  readonly run: string | null;
  readonly durationMs: number | null;
  /** The last lines of what it printed. */
  readonly log: string;
}

/** Jobs and their pings. */
export interface JobService {
  /** Those of these integrations that are jobs. */
  views(integrationIds: readonly string[]): Promise<ReadonlyMap<string, JobView>>;
  /** While it is paused nothing is expected of it, and it is due anew when it goes on. False when there is no such job. */
  pause(integrationId: string, isPaused: boolean, actor: string): Promise<boolean>;
  /** Durable when it resolves, with what people are told of it. Throws an IntakeBusy where it is to be sent again. False when there is no such job. */
  ping(sender: { id: string; name: string }, ping: Ping): Promise<boolean>;
}
