import type { Sql } from "postgres";
import { isDatabaseAway, sqlStateOf } from "../db/away.ts";
import { allSent } from "../db/pipeline.ts";
import { backoffMs, type Clock, DeadlineError, withDeadline } from "../lib/clock.ts";
import { assert, errorCode, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { insertQuarantined, openBatch, readClock } from "./batch-store.ts";
import type { IngestMetrics } from "./metrics.ts";
import type {
  AcceptedAlert,
  AcceptedFrame,
  AcceptedResult,
  AlertRecorder,
  IngestOutcome,
  ResultRecorder,
} from "./model.ts";

/** A batch that takes longer is given up: its connection is destroyed, and it is written again on another. */
const BATCH_LIMIT_MS = 10_000;
const RETRY = { minMs: 50, maxMs: 2_000 };
/** How often a batch is tried that a fault of our own keeps from being written, before its culprit is looked for: about a second. */
const FAULT_TRIES = 5;

/**
 * Why a batch could not be written.
 *   data       PostgreSQL refuses what the frames say
 *   collision  a deadlock or the like: the same works when it is tried again, on the same connection
 *   away       the database cannot be reached, is too slow or has no room: the same works later, on a new connection
 *   own        anything else is a mistake of ours, of which the sender knows nothing
 */
type Fault = "data" | "collision" | "away" | "own";

/**
 * 22: data exception, 23: integrity constraint violation, 54: program limit exceeded. That something is there already (23505) is never
 * the sender's fault: what it sent before is looked for.
 */
const DATA_STATES = /^(22|23(?!505)|54)/;
/** 40: deadlock, serialization failure; 55P03: a lock was not had in time. */
const COLLISION_STATES = /^(40|55P03)/;

const TRYING_AGAIN = "a batch could not be written, trying again";

type Transaction = Parameters<ResultRecorder["record"]>[0];

export interface WriterDeps {
  /** A client with one connection, for this writer alone, so that destroying it harms nobody else. */
  connect: () => Sql;
  alerts: AlertRecorder;
  results: ResultRecorder;
  clock: Clock;
  databaseClock: DatabaseClock;
  log: Log;
  metrics: IngestMetrics;
  /** Writes what is known of these agents and not yet in the database, if there is anything. Never rejects. */
  before: (agentIds: readonly string[]) => Promise<void>;
  /** Told with every try whether the database is away. */
  onAway: (away: boolean) => void;
}

/**
 * Writes batches until their outcome is final, each in one transaction. What can pass is tried again for ever with the same UUIDs, so that a COMMIT
 * whose answer was lost counts once. What the data itself causes halves the batch until the culprit is alone; that one is
 * refused, the others are written. A fault of our own is tried again some times, then halves the batch, too; its culprit goes
 * to the quarantine and is acknowledged, for it may be sound. Where not even that can be written it stays for later.
 */
export function createBatchWriter(deps: WriterDeps) {
  const { clock, databaseClock, log, metrics } = deps;
  let client = deps.connect();

  async function transact(frames: readonly AcceptedFrame[]): Promise<IngestOutcome[]> {
    const agentIds = [...new Set(frames.map((frame) => frame.agentId))];
    const using = client;
    return inTime(async () => {
      await deps.before(agentIds);
      return (await using.begin(async (tx) => {
        const opening = observed(() => openBatch(tx, agentIds));
        if (!databaseClock.isFresh(clock.monotonicMs())) await opening;
        for (let look = 0; look < CLOCK_LOOKS_MAX && databaseClock.isVague(); look++)
          await observed(() => readClock(tx));
        const [, outcomes] = await allSent([opening, record(tx, frames)]);
        return outcomes;
      })) as IngestOutcome[];
    });
  }

  async function observed(look: () => Promise<number>): Promise<void> {
    const askedMs = clock.monotonicMs();
    databaseClock.observe(await look(), askedMs, clock.monotonicMs());
  }

  /** Sent behind what takes the locks, so that it finds what the batch before has written. */
  async function record(tx: Transaction, frames: readonly AcceptedFrame[]): Promise<IngestOutcome[]> {
    const outcomes = frames.map((): IngestOutcome => ({ ok: true }));
    await recordAlerts(tx, frames);
    await recordResults(tx, frames, outcomes);
    return outcomes;
  }

  function inTime<T>(work: () => Promise<T>): Promise<T> {
    const late = (error: unknown) => log.debug({ error }, "an abandoned batch ended");
    return withDeadline(work(), BATCH_LIMIT_MS, "a batch", late);
  }

  async function recordAlerts(tx: Transaction, frames: readonly AcceptedFrame[]): Promise<void> {
    const alerts = frames.filter((frame): frame is AcceptedAlert => frame.kind === "alert");
    if (alerts.length === 0) return;
    await deps.alerts.record(
      tx,
      alerts.map((frame) => ({ frame, receivedAt: databaseClock.at(frame.acceptedAtMs) })),
    );
  }

  async function recordResults(
    tx: Transaction,
    frames: readonly AcceptedFrame[],
    outcomes: IngestOutcome[],
  ): Promise<void> {
    const results = frames.filter((frame): frame is AcceptedResult => frame.kind === "result");
    if (results.length === 0) return;
    const answers = await deps.results.record(tx, results);
    assert(answers.length === results.length, "one outcome for each result");
    let next = 0;
    for (const [at, frame] of frames.entries()) {
      if (frame.kind === "result") outcomes[at] = answers[next++] as IngestOutcome;
    }
  }

  async function write(
    frames: readonly AcceptedFrame[],
    signal: AbortSignal,
    faultTries = FAULT_TRIES,
  ): Promise<IngestOutcome[]> {
    let faults = 0;
    for (let attempt = 0; ; attempt++) {
      try {
        const outcomes = await transact(frames);
        deps.onAway(false);
        return outcomes;
      } catch (error) {
        const fault = faultOf(error);
        metrics.databaseErrors.inc({ code: codeOf(error) });
        deps.onAway(fault === "away");
        if (fault === "own") faults++;
        if (fault === "data" || faults >= faultTries) {
          if (frames.length > 1) return halve(frames, signal);
          const outcome = await setAside(frames[0] as AcceptedFrame, fault, error);
          if (outcome) return [outcome];
        }
        if (attempt === 0) log.warn({ error: errorMessage(error), frames: frames.length }, TRYING_AGAIN);
        if (fault === "away") reconnect();
        if (fault !== "collision" || attempt > 0) await clock.sleep(backoffMs(attempt, RETRY), signal);
        signal.throwIfAborted();
      }
    }
  }

  /** The halves are not tried as patiently: the whole was. */
  async function halve(frames: readonly AcceptedFrame[], signal: AbortSignal): Promise<IngestOutcome[]> {
    const middle = frames.length >> 1;
    const first = await write(frames.slice(0, middle), signal, 1);
    return [...first, ...(await write(frames.slice(middle), signal, 1))];
  }

  /** What becomes of a culprit; undefined when it can only stay for later. */
  async function setAside(frame: AcceptedFrame, fault: Fault, error: unknown): Promise<IngestOutcome | undefined> {
    const { agentId: agent, kind } = frame;
    if (fault === "data") return refuse(agent, error);
    const fields = { error: errorMessage(error), agent, kind };
    const using = client;
    try {
      await inTime(() => insertQuarantined(using, frame, error));
    } catch (second) {
      if (faultOf(second) === "data") return refuse(agent, second);
      log.error({ ...fields, second: errorMessage(second) }, "a frame could neither be stored nor put in quarantine");
      return undefined;
    }
    log.error(fields, "a fault of our own kept a frame from being stored: it is in quarantine");
    metrics.quarantined.inc({ kind });
    return { ok: true };
  }

  function refuse(agent: string, error: unknown): IngestOutcome {
    const code = codeOf(error);
    log.error({ code, error: errorMessage(error), agent }, "a frame could not be stored");
    return { ok: false, reason: "bad_payload", message: `this payload cannot be stored (${code})` };
  }

  function reconnect(): void {
    const broken = client;
    client = deps.connect();
    broken.end({ timeout: 0 }).catch((reason) => log.debug({ error: reason }, "a broken connection did not close"));
  }

  return {
    /** The outcome of each frame, in order, once final. Rejects only when the signal aborts before that. */
    write: (frames: readonly AcceptedFrame[], signal: AbortSignal) => write(frames, signal),
    close: () => client.end({ timeout: 1 }),
  };
}

export type BatchWriter = ReturnType<typeof createBatchWriter>;

function faultOf(error: unknown): Fault {
  if (error instanceof DeadlineError || isDatabaseAway(error)) return "away";
  const state = sqlStateOf(error);
  if (state === undefined) return "own";
  if (DATA_STATES.test(state)) return "data";
  if (COLLISION_STATES.test(state)) return "collision";
  return "own";
}

/** PostgreSQL's SQLSTATE, the driver's word for a broken connection, or "internal" for a fault of our own. */
function codeOf(error: unknown): string {
  if (error instanceof DeadlineError) return error.reason;
  return sqlStateOf(error) ?? errorCode(error, "internal");
}

/** An answer takes longer than this while all is slow; then the next one may tell more. */
const VAGUE_MS = 50;
/** How often the clock alone is asked for then. */
const CLOCK_LOOKS_MAX = 3;
/** So long an observation is good for what is sent before the next one is answered. */
const FRESH_MS = 1_000;
/** Further behind than this, the database's clock was set back, and is followed. */
const SET_BACK_MS = 1_000;

/**
 * Times of this process on the database's clock. Keeps one offset between the clocks, so that what came later is never
 * dated earlier: measuring anew for each batch would shake times by the moment that an answer takes, and a recovery
 * report could seem older than the alert before it. An answer that took long makes the offset too small, never too
 * large, so the largest seen is the best; as long as none has come quickly it may be too small by much, and a recovery after
 * a restart seem older than the alert before it.
 */
export function createDatabaseClock() {
  let offsetMs = Number.NEGATIVE_INFINITY;
  let observedMs = Number.NEGATIVE_INFINITY;
  let mostMs = Number.POSITIVE_INFINITY;
  return {
    /** The database said `nowMs` (Unix milliseconds) while the monotonic clock went from `askedMs` to `answeredMs`. */
    observe(nowMs: number, askedMs: number, answeredMs: number): void {
      observedMs = answeredMs;
      const seenMs = nowMs - answeredMs;
      const isSetBack = seenMs < offsetMs - SET_BACK_MS;
      if (seenMs > offsetMs || isSetBack) offsetMs = seenMs;
      mostMs = isSetBack ? nowMs - askedMs : Math.min(mostMs, nowMs - askedMs);
    },
    /** Whether all answers were so slow that the offset may be too small by much. */
    isVague: () => mostMs - offsetMs > VAGUE_MS,
    /** Whether the database's clock was looked at a moment ago. */
    isFresh: (monotonicMs: number) => monotonicMs - observedMs < FRESH_MS,
    /** When, by the database's clock, the monotonic clock showed `monotonicMs`. */
    at: (monotonicMs: number) => offsetMs + monotonicMs,
  };
}

type DatabaseClock = ReturnType<typeof createDatabaseClock>;
