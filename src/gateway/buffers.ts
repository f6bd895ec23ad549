import type { Log } from "../lib/log.ts";
import type { Connection } from "./agent-connection.ts";
import type { GatewayLimits } from "./limits.ts";
import type { GatewayMetrics } from "./metrics.ts";

/** Those of one kind are mended down to this part of their bound, so that not every byte more makes a search. */
const MENDED_PART = 3 / 4;

export interface BuffersDeps {
  connections: { all(): IterableIterator<Connection> };
  limits: Pick<GatewayLimits, "backlogBytesMax" | "backlogsBytesMax" | "sendBufferBytesMax" | "sendBuffersBytesMax">;
  metrics: Pick<GatewayMetrics, "bufferFull">;
  log: Log;
}

/**
 * The memory that all sockets together take: frames that wait for a look-up of their token, and answers that nobody takes up.
 * Each socket has a bound of its own; this is the bound of the sum. Past it a frame is refused for now, and the sockets that take
 * up least are cut off: what an agent had no ack of it sends again.
 */
export function createBuffers({ connections, limits, metrics, log }: BuffersDeps) {
  let backlogBytes = 0;
  let unsentBytes = 0;

  function cutOffWorst(): void {
    const worst = [...connections.all()]
      .filter(({ unsentBytes }) => unsentBytes > 0)
      .sort((a, b) => b.unsentBytes - a.unsentBytes);
    let cut = 0;
    for (const connection of worst) {
      if (unsentBytes <= limits.sendBuffersBytesMax * MENDED_PART) break;
      connection.terminate();
      setUnsent(connection, 0);
      metrics.bufferFull("send");
      cut++;
    }
    log.warn({ sockets: cut }, "too many answers were not taken up: the sockets with the most are cut off");
  }

  function setUnsent(connection: Connection, bytes: number): void {
    unsentBytes += bytes - connection.unsentBytes;
    connection.unsentBytes = bytes;
  }

  return {
    sendBufferBytesMax: limits.sendBufferBytesMax,
    /** Takes note of what a socket's peer has not taken up. */
    unsent(connection: Connection, bytes: number): void {
      const isMore = bytes > connection.unsentBytes;
      setUnsent(connection, bytes);
      if (isMore && unsentBytes > limits.sendBuffersBytesMax) cutOffWorst();
    },
    /** Room for a frame that must wait; false when there is none. */
    reserve(connection: Connection, bytes: number): boolean {
      if (connection.backlogBytes + bytes > limits.backlogBytesMax) return false;
      if (backlogBytes + bytes > limits.backlogsBytesMax) {
        metrics.bufferFull("backlog");
        return false;
      }
      backlogBytes += bytes;
      connection.backlogBytes += bytes;
      return true;
    },
    /** Gives a frame's room back. */
    free(connection: Connection, bytes: number): void {
      backlogBytes -= bytes;
      connection.backlogBytes -= bytes;
    },
  };
}

export type Buffers = ReturnType<typeof createBuffers>;
