import type { Clock } from "../lib/clock.ts";
import { type Connection, Hold } from "./agent-connection.ts";
import type { Connections } from "./connections.ts";

/** A peer that is there answers a ping sooner than this; one that does not must not hold up the shutdown. */
const PONG_WAIT_MS = 3_000;

/**
 * Closes every socket, after what it had sent was accepted and answered. The proof is a pong: whatever the peer sent before
 * it answered our ping has come by then. From then on the socket is not read, and once no answer is owed it is closed.
 */
export async function closeAll(connections: Connections, clock: Clock, deadlineMs: number): Promise<void> {
  const finished = new AbortController();
  const endings = [...connections.all()].map((connection) => finish(connection, clock.monotonicMs()));
  const all = Promise.all(endings).then(() => finished.abort());
  const pongWaitMs = Math.min(PONG_WAIT_MS, deadlineMs);
  await clock.sleep(pongWaitMs, finished.signal);
  for (const connection of connections.all()) if (isMute(connection)) end(connection);
  await clock.sleep(deadlineMs - pongWaitMs, finished.signal);
  for (const connection of connections.all()) end(connection);
  await all;
}

/** Resolves once the connection is closed. */
function finish(connection: Connection, nowMs: number): Promise<void> {
  return new Promise((resolve) => {
    connection.onProgress = () => {
      if (connection.isClosed) return resolve();
      if (connection.awaitedPongs > 0) return;
      connection.hold(Hold.shutdown);
      if (connection.unsettled === 0 && !connection.isBusy) end(connection);
    };
    connection.ping(nowMs);
  });
}

/** No pong, though the socket was read all the time. */
function isMute(connection: Connection): boolean {
  return connection.awaitedPongs > 0 && connection.unsettled === 0 && !connection.isHeldByUs;
}

function end(connection: Connection): void {
  connection.close("shutdown", "the server is shutting down");
}
