import type { Connection } from "./agent-connection.ts";
import type { Connections } from "./connections.ts";
import type { GatewayLimits } from "./limits.ts";

export interface SweepDeps {
  connections: Connections;
  heartbeatTimeoutMs: number;
  limits: Pick<GatewayLimits, "unprovedMs">;
}

/**
 * Looks at every socket once: strangers whose time is up are closed, the silent are asked (ping), and those that do not
 * answer are cut off. One sweep for all, no timer per connection. Answers after how many milliseconds the next of those that it
 * saw is due.
 */
export function createSweep(deps: SweepDeps): (nowMs: number) => number {
  const { connections, heartbeatTimeoutMs, limits } = deps;
  const pingAfterMs = heartbeatTimeoutMs / 3;

  function closeStrangers(nowMs: number): number {
    for (const connection of connections.unproved()) {
      const leftMs = limits.unprovedMs - (nowMs - connection.openedAtMs);
      if (leftMs > 0) return leftMs;
      if (!connection.isHeldByUs) connection.close("unauthorized", "no token in time");
    }
    return limits.unprovedMs;
  }

  function lookAfter(connection: Connection, nowMs: number): number {
    // Nobody hears the pongs of a socket that is not read.
    if (connection.isHeldByUs) connection.lastHeardMs = nowMs;
    const silentMs = nowMs - connection.lastHeardMs;
    if (silentMs >= heartbeatTimeoutMs) {
      connection.terminate();
      return heartbeatTimeoutMs;
    }
    if (silentMs >= pingAfterMs && nowMs - connection.lastPingMs >= pingAfterMs) connection.ping(nowMs);
    const pingMs = pingAfterMs - Math.min(silentMs, nowMs - connection.lastPingMs);
    return Math.min(pingMs, heartbeatTimeoutMs - silentMs);
  }

  return (nowMs) => {
    let dueMs = closeStrangers(nowMs);
    for (const connection of connections.all()) dueMs = Math.min(dueMs, lookAfter(connection, nowMs));
    return dueMs;
  };
}
