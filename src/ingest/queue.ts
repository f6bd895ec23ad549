import type { AcceptedFrame, FlowControl } from "./model.ts";

/** What a frame costs beside its payload: objects, strings, the closure that answers it. */
const FRAME_OVERHEAD_BYTES = 512;
/** One agent's share of the queue: it is held back alone before it can fill the room of the others. */
const AGENT_SHARE = 1 / 8;

/** The bounded queue between sockets and database: counts bytes, and says when to hold back whom. */
export interface IngestQueue {
  push(frame: AcceptedFrame): void;
  /** The oldest frames of this lane, at most `frames` and about `bytes`; they count until `release`. */
  take(lane: number, limit: { frames: number; bytes: number }): AcceptedFrame[];
  /** Their outcome is final: gives their room back. */
  release(frames: readonly AcceptedFrame[]): void;
  waiting(lane: number): number;
  frames(): number;
  bytes(): number;
  isFull(): boolean;
}

/**
 * Frames are spread over lanes by agent, each lane a first-in first-out list, so that several batches can be under way
 * while the frames of one agent keep their order.
 */
export function createIngestQueue(options: { limitBytes: number; lanes: number; flow: FlowControl }): IngestQueue {
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
    push(frame) {
      const size = frame.sizeBytes + FRAME_OVERHEAD_BYTES;
      const agentBytes = (byAgent.get(frame.agentId) ?? 0) + size;
      totalBytes += size;
      totalFrames++;
      byAgent.set(frame.agentId, agentBytes);
      laneOf(frame.agentId).push(frame);
      hold(frame.agentId, agentBytes);
    },
    take(lane, limit) {
      const waiting = lanes[lane] as AcceptedFrame[];
      let count = 0;
      for (let bytes = 0; count < Math.min(waiting.length, limit.frames) && bytes < limit.bytes; count++) {
        bytes += waiting[count]?.sizeBytes ?? 0;
      }
      return waiting.splice(0, count);
    },
    release(frames) {
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
    waiting: (lane) => (lanes[lane] as AcceptedFrame[]).length,
    frames: () => totalFrames,
    bytes: () => totalBytes,
    isFull: () => full,
  };
}
