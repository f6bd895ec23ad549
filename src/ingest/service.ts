import type { Sql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import { hashUuid } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import { createDatabaseClock } from "./database-clock.ts";
import type { IngestMetrics } from "./metrics.ts";
import type {
  AcceptedFrame,
  AlertRecorder,
  FlowControl,
  IngestOutcome,
  IngestService,
  OfferedAlert,
  OfferedResult,
  ResultRecorder,
} from "./model.ts";
import { createIngestQueue } from "./queue.ts";
import { type BatchWriter, createBatchWriter } from "./writer.ts";

/** Batches under way at once: while one waits for the disk, the next is prepared. */
const LANES = 2;
/** Most frames and bytes of text in one statement: enough to spread the cost of a commit, small enough for a quick answer. */
const BATCH = { frames: 500, bytes: 4 * 1024 * 1024 };

export interface IngestDeps {
  /** A database client with one connection. */
  connect: () => Sql;
  alerts: AlertRecorder;
  results: ResultRecorder;
  flow: FlowControl;
  /** Writes what is known of these agents and not yet in the database, if there is anything. Never rejects. */
  before: (agentIds: readonly string[]) => Promise<void>;
  clock: Clock;
  log: Log;
  metrics: IngestMetrics;
  bufferBytes: number;
}

/** Wires queue and lanes. Batches form by themselves: what comes while one is written is the next. */
export function createIngestService(deps: IngestDeps): IngestService {
  const { clock, metrics } = deps;
  const queue = createIngestQueue({ limitBytes: deps.bufferBytes, lanes: LANES, flow: deps.flow });
  const away = new Set<number>();
  const databaseClock = createDatabaseClock();
  const aborting = new AbortController();
  const lanes = Array.from({ length: LANES }, (_, lane) => createLane(lane));
  let isScheduled = false;

  function createLane(lane: number) {
    const writer = createBatchWriter({
      ...deps,
      databaseClock,
      onAway: (isAway) => (isAway ? away.add(lane) : away.delete(lane)),
      countError: (code) => metrics.databaseErrors.inc({ code }),
      countQuarantined: (kind) => metrics.quarantined.inc({ kind }),
    });
    let running: Promise<void> | undefined;
    const drain = async () => {
      while (queue.waiting(lane) > 0 && !aborting.signal.aborted) await writeOne(lane, writer);
    };
    const wake = () => {
      running ??= drain()
        .catch((error) => deps.log.error({ error }, "a lane of ingest stopped"))
        .finally(() => {
          running = undefined;
        });
    };
    return { wake, writer, idle: () => running ?? Promise.resolve() };
  }

  async function writeOne(lane: number, writer: BatchWriter): Promise<void> {
    const frames = queue.take(lane, BATCH);
    const outcomes = await writer.write(frames, aborting.signal).catch((error) => {
      if (aborting.signal.aborted) return undefined;
      throw error;
    });
    if (outcomes === undefined) return;
    queue.release(frames);
    settle(frames, outcomes);
  }

  function settle(frames: readonly AcceptedFrame[], outcomes: readonly IngestOutcome[]): void {
    const nowMs = clock.monotonicMs();
    metrics.batchFrames.observe(frames.length);
    for (const [at, frame] of frames.entries()) {
      metrics.latency.observe((nowMs - frame.acceptedAtMs) / 1000);
      const outcome = outcomes[at];
      if (outcome) frame.settled?.(outcome);
    }
  }

  function wakeLanes(): void {
    isScheduled = false;
    for (const lane of lanes) lane.wake();
  }

  return {
    accept(offered: OfferedAlert | OfferedResult) {
      const { messageId } = offered;
      const uuid = messageId === null ? Bun.randomUUIDv7() : uuidOf({ ...offered, messageId });
      queue.push(Object.assign(offered, { uuid, acceptedAtMs: clock.monotonicMs() }) as AcceptedFrame);
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(wakeLanes);
    },
    uuidOf,
    isStalled: () => queue.isFull() && away.size > 0,
    queuedBytes: () => queue.bytes(),
    async stop(deadlineMs) {
      wakeLanes();
      const deadline = new AbortController();
      const emptied = Promise.all(lanes.map((lane) => lane.idle())).finally(() => deadline.abort());
      await clock.sleep(deadlineMs, deadline.signal);
      aborting.abort();
      await Promise.all(lanes.map((lane) => lane.writer.close()));
      await emptied;
      return reportLost();
    },
  };

  function reportLost(): number {
    const lost = queue.frames();
    if (lost === 0) return 0;
    metrics.lost.inc(lost);
    deps.log.error({ frames: lost }, "stopped before these frames could be written: they are lost");
    return lost;
  }
}

/** No id of an agent holds a NUL, and an agent's id no word: so what agents send is never taken for what the server says. */
function uuidOf({ origin = "agent", agentId, messageId }: Parameters<IngestService["uuidOf"]>[0]): string {
  return hashUuid(origin === "agent" ? `${agentId}\0${messageId}` : `${origin}\0${agentId}\0${messageId}`);
}
