import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import type { Notifications } from "../db/notifications.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Loops } from "../lib/loops.ts";
import { createAgentService } from "./agents.ts";
import type { AgentSockets } from "./model.ts";
import { AGENTS_CHANNEL, createNoticeReader, createNotices } from "./notices.ts";
import { createPresence } from "./presence.ts";
import { createFleetStore } from "./store.ts";
import { createTokenService } from "./tokens.ts";

export interface FleetDeps {
  database: Database;
  notifications: Notifications;
  connections: AgentSockets;
  config: Pick<Config, "enrollment">;
  /** Keeps the audit trail. */
  writer: Pick<IncidentWriter, "note">;
  clock: Clock;
  loops: Loops;
  log: Log;
  version: string;
}

/** All of this node that is about agents: tokens, presence, management. */
export function createFleet(deps: FleetDeps) {
  const { database, notifications, connections, config, clock, log } = deps;
  const nodeId = crypto.randomUUID();
  const store = createFleetStore(database.sql, deps.writer);
  const listeners: ((agentIds: readonly string[]) => void)[] = [];
  const returned = (agentIds: readonly string[]) => {
    for (const listener of listeners) listener(agentIds);
  };
  const notices = createNotices({
    nodeId,
    notify: (channel, payload) => notifications.notify(database.sql, channel, payload),
  });
  const tokens = createTokenService({ store, enrollment: config.enrollment, clock, log });
  const presence = createPresence({
    ...deps,
    store,
    sockets: connections,
    nodeId,
    async announceClaims(agentIds) {
      returned(agentIds);
      await notices.claimed(agentIds);
    },
  });
  const reader = createNoticeReader({ nodeId, sockets: connections, tokens, presence, returned, log });

  return {
    nodeId,
    tokens,
    presence,
    agents: createAgentService({ store, revoked: notices.revoked }),
    /** Whether there is such an agent, and whether some node holds a live socket of it. */
    async whereabouts(agentId: string): Promise<"unknown" | "offline" | "online"> {
      if (connections.connectionOf(agentId) !== undefined) return "online";
      const node = await store.nodeOf(agentId);
      if (node === null) return "unknown";
      return node === undefined ? "offline" : "online";
    },
    /** Tells of agents that have just come to some node. */
    onReturn: (listener: (agentIds: readonly string[]) => void) => void listeners.push(listener),
    async start(): Promise<void> {
      await presence.start();
      notifications.listen(AGENTS_CHANNEL, reader);
    },
    stop: presence.stop,
  };
}
