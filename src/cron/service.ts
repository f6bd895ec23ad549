/**
 * Jobs on the server: what a ping changes, and what time does. A state is kept only where nobody changed it meanwhile, and what people are
 * told goes through the ingest first, with an id made of the state that it follows from: whoever says it again, after a crash or on
 * another node, says it once.
 *
 * What fell due while nobody could hear it (no node ran, or the database was away) gets its grace anew.
 */
import type { TransactionSql } from "postgres";
import type { AlertIntake, BroughtAlert } from "../integrations/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { AlertPayload } from "../protocol/frames.ts";
import { afterAlarm, afterPing, alarmOf, beginning } from "./machine.ts";
import type { JobService, JobSpec, JobView, Ping, Schedule } from "./model.ts";
import type { JobStore, StoredJob } from "./store.ts";

/** Until the other nodes are known, nobody can tell whether jobs were heard meanwhile. */
const KNOWS_OTHERS_MS = 10_000;
const LOOK_EVERY_MS = 15_000;
const LOOK_REST_MS = 500;
/** A look that is so late was kept from looking, as by a database that is away. */
const BLIND_MS = 3 * LOOK_EVERY_MS;
const LOOK_MAX = 200;
/** Pings of one job at one moment: each that comes between is one more try. */
const TRIES_MAX = 10;

/** By which all incidents of a job are the same problem. */
export const JOB_KEY = "job";

interface JobDeps {
  store: JobStore;
  intake: AlertIntake;
  /** Whether an incident of the job is open. */
  isOpen: (id: string) => Promise<boolean>;
  /** Whether no other node lives. */
  isAlone: () => boolean;
  clock: Clock;
  loops: Loops;
  log: Log;
}

/** Makes the jobs of this node. */
export function createJobs({ store, intake, isOpen, isAlone, clock, loops, log }: JobDeps) {
  let loop: Loop | undefined;
  let lookedMs: number | undefined;

  async function tell(job: StoredJob, word: string, alert: AlertPayload, of = String(job.turn)): Promise<void> {
    const sender = { id: job.id, name: job.name, kind: "cron" as const };
    const brought: BroughtAlert = {
      alert,
      messageId: `${of}:${word}`,
      key: JOB_KEY,
      hosts: [],
      ageMs: 0,
      sizeBytes: Buffer.byteLength(alert.message) + Buffer.byteLength(alert.logs ?? ""),
    };
    const [outcome] = await intake.take(sender, [brought]);
    if (outcome?.ok === false)
      log.error({ job: job.name, why: outcome.message }, "what became of a job cannot be told");
  }

  async function look(): Promise<number | undefined> {
    const nowMs = clock.monotonicMs();
    const forgiven = await forgiveUnheard(nowMs);
    if (forgiven > 0)
      log.info({ jobs: forgiven }, "jobs that fell due while nobody could hear them get their grace anew");
    lookedMs = nowMs;
    const { found, nextMs } = await store.due(LOOK_MAX);
    for (const job of found) {
      const alarm = alarmOf(job.spec, job.state);
      if (alarm === null) continue;
      await tell(job, alarm.trouble, alertOf(job, messageOf(job, alarm.trouble)));
      const isKept = await store.keep(job, afterAlarm(job.state, alarm.trouble), {});
      if (!isKept) await takeBack(job);
    }
    return found.length === LOOK_MAX ? 0 : (nextMs ?? undefined);
  }

  /** A ping came while it was told: where all is well by now, that is said once more, after it. */
  async function takeBack({ id }: StoredJob): Promise<void> {
    const [now] = await store.find([id]);
    if (now !== undefined && now.state.trouble === null) await tell(now, "well", recoveryOf(now));
  }

  async function forgiveUnheard(nowMs: number): Promise<number> {
    if (lookedMs === undefined) return isAlone() ? store.forgive(null) : 0;
    const blindMs = nowMs - lookedMs;
    return blindMs > BLIND_MS ? store.forgive(blindMs) : 0;
  }

  async function pingOnce(job: StoredJob, ping: Ping): Promise<boolean> {
    const { kind, run, durationMs, log: lines } = ping;
    if (kind === "start" && run !== null && run === job.endedRun) return true;
    const { state, outcome } = afterPing(job.spec, job.state, kind, job.nowMs);
    const isWell = outcome === "recovered" || (kind === "success" && (await isOpen(job.id)));
    if (outcome === "failed") {
      await tell(
        job,
        outcome,
        { ...alertOf(job, failureOf(job, ping)), ...(lines === "" ? {} : { logs: lines }) },
        run ?? undefined,
      );
    }
    if (isWell) await tell(job, "recovered", recoveryOf(job));
    const took = durationMs ?? (job.state.startedMs === null ? null : job.nowMs - job.state.startedMs);
    const ended = kind === "start" ? {} : { durationMs: took === null ? null : Math.round(took), endedRun: run };
    return store.keep(job, state, { pingMs: job.nowMs, ...ended });
  }

  const service: JobService = {
    async views(ids) {
      const found = await store.find(ids);
      return new Map(found.map((job) => [job.id, viewOf(job)]));
    },
    async pause(id, isPaused, actor) {
      const [job] = await store.find([id]);
      return job !== undefined && store.pause(job, isPaused, beginning(job.spec, job.nowMs), actor);
    },
    async ping({ id }, ping) {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const [job] = await store.find([id]);
        if (job === undefined) return false;
        if (await pingOnce(job, ping)) {
          loop?.wake();
          return true;
        }
      }
      throw new Error("too many pings of one job at once");
    },
  };

  return {
    service,
    /** The first state of a new job, in the transaction that makes its integration. */
    async add(tx: TransactionSql, id: string, spec: JobSpec): Promise<void> {
      await store.add(tx, id, spec, beginning(spec, await store.nowMs(tx)));
    },
    start(): void {
      const startedMs = clock.monotonicMs();
      loop = loops.start({
        name: "cron jobs",
        everyMs: LOOK_EVERY_MS,
        restMs: LOOK_REST_MS,
        turn: async () => {
          const earlyMs = startedMs + KNOWS_OTHERS_MS - clock.monotonicMs();
          return earlyMs > 0 ? earlyMs : look();
        },
        failed: "jobs could not be looked after",
      });
    },
    stop: async () => void (await loop?.stop()),
  };
}

function alertOf({ name }: StoredJob, message: string): AlertPayload {
  return { type: "cron", source: name, message, severity: "warning", state: "firing" };
}

function recoveryOf(job: StoredJob): AlertPayload {
  return { ...alertOf(job, `${job.name} ran well`), state: "resolved" };
}

function failureOf({ name }: StoredJob, { exitCode, durationMs }: Ping): string {
  const how = exitCode === null ? "failed" : `failed with exit status ${exitCode}`;
  return `The job ${name} ${how}${durationMs === null ? "" : ` after ${inWords(durationMs)}`}`;
}

function messageOf({ name, spec, state, lastPingMs }: StoredJob, trouble: "late" | "overdue"): string {
  const heard = lastPingMs === null ? "nothing was ever heard of it" : `last heard of at ${instant(lastPingMs)}`;
  if (trouble === "late") {
    return `The job ${name} did not come: it was due at ${instant(state.dueMs)} (${scheduleText(spec.schedule)}), ${heard}`;
  }
  return `The job ${name} runs too long: since ${instant(state.startedMs ?? 0)} (${scheduleText(spec.schedule)})`;
}

const instant = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");

function scheduleText(schedule: Schedule): string {
  return "cron" in schedule ? `${schedule.cron} ${schedule.zone}` : `every ${inWords(schedule.everyMs)}`;
}

function inWords(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds % 60 === 0 && seconds > 0 ? `${seconds / 60} min` : `${seconds} s`;
}

function viewOf({ spec, state, isPaused, lastPingMs, lastDurationMs }: StoredJob): JobView {
  const { schedule, graceMs, limitMs } = spec;
  return {
    schedule: "cron" in schedule ? schedule.cron : `every ${inWords(schedule.everyMs)}`,
    zone: "cron" in schedule ? schedule.zone : null,
    grace_s: graceMs / 1000,
    limit_s: limitMs === null ? null : limitMs / 1000,
    paused: isPaused,
    running: state.startedMs !== null,
    trouble: state.trouble,
    due_at: new Date(state.dueMs),
    last_ping_at: lastPingMs === null ? null : new Date(lastPingMs),
    last_duration_ms: lastDurationMs,
  };
}
