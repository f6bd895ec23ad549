import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import type { Notifications } from "../db/notifications.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
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
  clock: Clock;
  log: Log;
  version: string;
}

/** All of this node that is about agents: tokens, presence, management. */
export function createFleet({ database, notifications, connections, config, clock, log, version }: FleetDeps) {
  const nodeId = crypto.randomUUID();
  const store = createFleetStore(database.sql, database.orm);
  const notices = createNotices({
    nodeId,
    notify: (channel, payload) => notifications.notify(database.sql, channel, payload),
  });
  const tokens = createTokenService({ store, enrollment: config.enrollment, clock, log });
  const announceClaims = notices.claimed;
  const presence = createPresence({ store, sockets: connections, nodeId, version, clock, log, announceClaims });
  const reader = createNoticeReader({ nodeId, sockets: connections, tokens, presence, log });

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
    async start(): Promise<void> {
      await presence.start();
      notifications.listen(AGENTS_CHANNEL, reader);
    },
    stop: presence.stop,
  };
}
