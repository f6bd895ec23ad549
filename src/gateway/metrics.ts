import { Counter, Gauge, type Registry } from "prom-client";
import { FRAME_ERRORS, type FrameErrorReason, type FrameType } from "../protocol/frames.ts";

/** Frames whose envelope could not be read have no type. */
export type CountedType = FrameType | "unknown";
type FrameOutcome = "ok" | FrameErrorReason;

const TYPES: readonly CountedType[] = ["heartbeat", "alert", "result", "unknown"];

/**
 * The figures of the gateway. Frames are counted in plain numbers and handed over when somebody asks: a labelled counter of
 * prom-client hashes its labels each time, which costs as much as decoding a heartbeat.
 */
export function createGatewayMetrics(registry: Registry, connections: { size(): number }) {
  const registers = [registry];
  const counts = new Map(TYPES.map((type) => [type, zeroes()]));
  new Gauge({
    name: "opspilot_connections",
    help: "Sockets of agents that are open on this node",
    registers,
    collect() {
      this.set(connections.size());
    },
  });
  new Counter({
    name: "opspilot_frames_total",
    help: "Frames that agents sent, by type and by what became of them; one that is refused after it was queued counts in both",
    labelNames: ["type", "outcome"] as const,
    registers,
    collect() {
      this.reset();
      for (const [type, byOutcome] of counts) {
        for (const [outcome, count] of Object.entries(byOutcome)) if (count > 0) this.inc({ type, outcome }, count);
      }
    },
  });
  const closed = new Counter({
    name: "opspilot_connections_closed_total",
    help: "Sockets of agents that were closed, by WebSocket close code",
    labelNames: ["code"] as const,
    registers,
  });
  const full = new Counter({
    name: "opspilot_socket_buffers_full_total",
    help: "Sockets that were cut off (send), and frames that were refused (backlog), since all sockets together took too much memory",
    labelNames: ["buffer"] as const,
    registers,
  });
  return {
    frame(type: CountedType, outcome: FrameOutcome): void {
      const byOutcome = counts.get(type);
      if (byOutcome) byOutcome[outcome]++;
    },
    bufferFull: (buffer: "send" | "backlog"): void => full.inc({ buffer }),
    closed: (code: number): void => closed.inc({ code: isListed(code) ? code : "other" }),
  };
}

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

function zeroes(): Record<FrameOutcome, number> {
  return Object.fromEntries(["ok", ...FRAME_ERRORS].map((outcome) => [outcome, 0])) as Record<FrameOutcome, number>;
}

/** A peer may close with any code of 3000 to 4999: each would be a time series of its own. */
function isListed(code: number): boolean {
  return code <= 1015 || code === 4401 || code === 4409;
}
