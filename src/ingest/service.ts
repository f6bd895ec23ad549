import { hashUuid } from "../lib/hash.ts";
import type {
  AcceptedAlert,
  AcceptedFrame,
  FlowControl,
  IngestOutcome,
  IngestService,
  OfferedAlert,
  OfferedResult,
} from "./model.ts";
import { type BatchWriter, createBatchWriter, createDatabaseClock, type WriterDeps } from "./writer.ts";

/** Batches under way at once: while one waits for the disk, the next is prepared. */
const LANES = 2;
/** Most frames and bytes of text in one statement: enough to spread the cost of a commit, small enough for a quick answer. */
const BATCH = { frames: 500, bytes: 4 * 1024 * 1024 };

export interface IngestDeps extends Omit<WriterDeps, "databaseClock" | "onAway"> {
  flow: FlowControl;
  bufferBytes: number;
  /** Hears of each alert that is durable. */
  stored?: ((alert: AcceptedAlert) => void) | undefined;
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
  let isStopping = false;
  let isHeld = false;

  function createLane(lane: number) {
    const writer = createBatchWriter({
      ...deps,
      databaseClock,
      onAway: (isAway) => (isAway ? away.add(lane) : away.delete(lane)),
    });
    let running: Promise<void> | undefined;
    const drain = async () => {
      while (queue.waiting(lane) > 0 && !isHeld && !aborting.signal.aborted) await writeOne(lane, writer);
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
      if (outcome?.ok && frame.kind === "alert") deps.stored?.(frame);
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
    hold(held) {
      // What is left is written, whatever a look at the disk that is late says.
      if (isStopping) return;
      isHeld = held;
      if (!held) wakeLanes();
    },
    isHeld: () => isHeld,
    isStalled: () => queue.isFull() && (isHeld || away.size > 0),
    isFull: queue.isFull,
    queuedBytes: () => queue.bytes(),
    async stop(deadlineMs) {
      isStopping = true;
      isHeld = false;
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

/** A UUID that begins with when it was made. */
const TIMED_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
/** Its time, of which a uuid has as much. */
const TIME_CHARS = "00000000-0000".length;

/**
 * No id of an agent holds a NUL, and an agent's id no word: so what agents send is never taken for what the server says. With an id that
 * begins with a time the uuid does, too: what comes together stands together in the index of all alerts. Spread over all of it, each
 * alert would change a page of its own, to be written whole after each checkpoint: with millions of alerts half of what an alert costs.
 */
export function uuidOf(frame: Parameters<IngestService["uuidOf"]>[0]): string {
  const { origin = "agent", agentId, senderId = agentId, messageId } = frame;
  const hash = hashUuid(origin === "agent" ? `${agentId}\0${messageId}` : `${origin}\0${senderId}\0${messageId}`);
  if (!TIMED_ID.test(messageId)) return hash;
  return messageId.slice(0, TIME_CHARS).toLowerCase() + hash.slice(TIME_CHARS);
}

/** What a frame costs beside its payload: objects, strings, the closure that answers it. */
const FRAME_OVERHEAD_BYTES = 512;
/** One agent's share of the queue: it is held back alone before it can fill the room of the others. */
const AGENT_SHARE = 1 / 8;

/**
 * The bounded queue between sockets and database: counts bytes, and says when to hold back whom. Frames are spread over
 * lanes by agent, each lane a first-in first-out list, so that several batches can be under way while the frames of one
 * agent keep their order.
 */
export function createIngestQueue(options: { limitBytes: number; lanes: number; flow: FlowControl }) {
  const { limitBytes, flow } = options;
  const lanes = Array.from({ length: options.lanes }, (): AcceptedFrame[] => []);
  const byAgent = new Map<string, number>();
  const pausedAgents = new Set<string>();
  const shareBytes = limitBytes * AGENT_SHARE;
  let totalBytes = 0;
  let totalFrames = 0;
  let full = false;

  function laneOf(agentId: string): AcceptedFrame[] {
    const at = agentId.charCodeAt(agentId.length - 1) + agentId.charCodeAt(agentId.length - 2);
    return lanes[at % lanes.length] as AcceptedFrame[];
  }

  function hold(agentId: string, agentBytes: number): void {
    if (!full && totalBytes >= limitBytes) {
      full = true;
      flow.pauseAll();
    }
    if (agentBytes >= shareBytes && !pausedAgents.has(agentId)) {
      pausedAgents.add(agentId);
      flow.pauseAgent(agentId);
    }
  }

  function letGo(agentId: string, agentBytes: number): void {
    if (full && totalBytes <= limitBytes / 2) {
      full = false;
      flow.resumeAll();
    }
    if (agentBytes <= shareBytes / 2 && pausedAgents.delete(agentId)) flow.resumeAgent(agentId);
  }

  return {
    push(frame: AcceptedFrame): void {
      const size = frame.sizeBytes + FRAME_OVERHEAD_BYTES;
      const agentBytes = (byAgent.get(frame.agentId) ?? 0) + size;
      totalBytes += size;
      totalFrames++;
      byAgent.set(frame.agentId, agentBytes);
      laneOf(frame.agentId).push(frame);
      hold(frame.agentId, agentBytes);
    },
    /** The oldest frames of this lane, at most `frames` and about `bytes`; they count until `release`. */
    take(lane: number, limit: { frames: number; bytes: number }): AcceptedFrame[] {
      const waiting = lanes[lane] as AcceptedFrame[];
      let count = 0;
      for (let bytes = 0; count < Math.min(waiting.length, limit.frames) && bytes < limit.bytes; count++) {
        bytes += waiting[count]?.sizeBytes ?? 0;
      }
      return waiting.splice(0, count);
    },
    /** Their outcome is final: gives their room back. */
    release(frames: readonly AcceptedFrame[]): void {
      for (const frame of frames) {
        const size = frame.sizeBytes + FRAME_OVERHEAD_BYTES;
        const agentBytes = (byAgent.get(frame.agentId) ?? 0) - size;
        totalBytes -= size;
        totalFrames--;
        if (agentBytes > 0) byAgent.set(frame.agentId, agentBytes);
        else byAgent.delete(frame.agentId);
        letGo(frame.agentId, agentBytes);
      }
    },
    waiting: (lane: number) => (lanes[lane] as AcceptedFrame[]).length,
    frames: () => totalFrames,
    bytes: () => totalBytes,
    isFull: () => full,
  };
}
