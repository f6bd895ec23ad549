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
 * answer are cut off. One sweep for all, no timer per connection.
 */
export function createSweep(deps: SweepDeps): (nowMs: number) => void {
  const { connections, heartbeatTimeoutMs, limits } = deps;
  const pingAfterMs = heartbeatTimeoutMs / 3;

  function closeStrangers(nowMs: number): void {
    for (const connection of connections.unproved()) {
      if (nowMs - connection.openedAtMs < limits.unprovedMs) return;
      if (!connection.isHeldByUs) connection.close("unauthorized", "no token in time");
    }
  }

  function lookAfter(connection: Connection, nowMs: number): void {
    // Nobody hears the pongs of a socket that is not read.
    if (connection.isHeldByUs) connection.lastHeardMs = nowMs;
    const silentMs = nowMs - connection.lastHeardMs;
    if (silentMs >= heartbeatTimeoutMs) connection.terminate();
    else if (silentMs >= pingAfterMs && nowMs - connection.lastPingMs >= pingAfterMs) connection.ping(nowMs);
  }

  return (nowMs) => {
    closeStrangers(nowMs);
    for (const connection of connections.all()) lookAfter(connection, nowMs);
  };
}
