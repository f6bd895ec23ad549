import type { Sql } from "postgres";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { assert, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { openBatch } from "./batch-store.ts";
import type { DatabaseClock } from "./database-clock.ts";
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

type Transaction = Parameters<ResultRecorder["record"]>[0];

export interface WriterDeps {
  /** A client with one connection, for this writer alone, so that destroying it harms nobody else. */
  connect: () => Sql;
  alerts: AlertRecorder;
  results: ResultRecorder;
  clock: Clock;
  databaseClock: DatabaseClock;
  log: Log;
  /** Told of every try that failed, and once a batch is written again. */
  onAway: (away: boolean) => void;
  countError: (code: string) => void;
}

/** Writes batches until their outcome is final. */
export interface BatchWriter {
  /** The outcome of each frame, in order, once final. Rejects only when the signal aborts before that. */
  write(frames: readonly AcceptedFrame[], signal: AbortSignal): Promise<IngestOutcome[]>;
  close(): Promise<void>;
}

/**
 * Writes batches, each in one transaction. What can pass is tried again for ever with the same UUIDs, so that a COMMIT
 * whose answer was lost counts once. What the data itself causes (SQLSTATE 22, 23, 54) halves the batch until the culprit
 * is alone; that one is refused, the others are written.
 */
export function createBatchWriter(deps: WriterDeps): BatchWriter {
  const { clock, databaseClock, log } = deps;
  let client = deps.connect();

  async function transact(frames: readonly AcceptedFrame[]): Promise<IngestOutcome[]> {
    const agentIds = frames.map((frame) => frame.agentId);
    const work = client.begin(async (tx) => {
      databaseClock.observe(await openBatch(tx, agentIds), clock.monotonicMs());
      const outcomes = frames.map((): IngestOutcome => ({ ok: true }));
      await recordAlerts(tx, frames);
      await recordResults(tx, frames, outcomes);
      return outcomes;
    });
    const late = (error: unknown) => log.debug({ error }, "an abandoned batch ended");
    return (await withDeadline(work as Promise<IngestOutcome[]>, BATCH_LIMIT_MS, "a batch", late)) as IngestOutcome[];
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

  async function write(frames: readonly AcceptedFrame[], signal: AbortSignal): Promise<IngestOutcome[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        const outcomes = await transact(frames);
        deps.onAway(false);
        return outcomes;
      } catch (error) {
        const code = codeOf(error);
        deps.countError(code);
        if (isCausedByData(error, code)) return halve(frames, code, error, signal);
        await recover(error, attempt, frames.length, signal);
      }
    }
  }

  async function halve(
    frames: readonly AcceptedFrame[],
    code: string,
    error: unknown,
    signal: AbortSignal,
  ): Promise<IngestOutcome[]> {
    if (frames.length === 1) {
      log.error({ code, error: errorMessage(error), agent: frames[0]?.agentId }, "a frame could not be stored");
      return [{ ok: false, reason: "bad_payload", message: `this payload cannot be stored (${code})` }];
    }
    const middle = frames.length >> 1;
    const first = await write(frames.slice(0, middle), signal);
    return [...first, ...(await write(frames.slice(middle), signal))];
  }

  async function recover(error: unknown, attempt: number, frames: number, signal: AbortSignal): Promise<void> {
    deps.onAway(true);
    if (attempt === 0) log.warn({ error: errorMessage(error), frames }, "a batch could not be written, trying again");
    const broken = client;
    client = deps.connect();
    broken.end({ timeout: 0 }).catch((reason) => log.debug({ error: reason }, "a broken connection did not close"));
    await clock.sleep(backoffMs(attempt, RETRY), signal);
    signal.throwIfAborted();
  }

  return { write, close: () => client.end({ timeout: 1 }) };
}

/** PostgreSQL's SQLSTATE, the driver's word for a broken connection, or "internal" for a fault of our own. */
function codeOf(error: unknown): string {
  if (error instanceof DeadlineError) return error.reason;
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "internal";
}

/** 22: data exception, 23: integrity constraint violation, 54: program limit exceeded; or a fault that trying again repeats. */
function isCausedByData(error: unknown, code: string): boolean {
  if (!(error instanceof Error) || error.name !== "PostgresError") return code === "internal";
  return code.startsWith("22") || code.startsWith("23") || code.startsWith("54");
}
