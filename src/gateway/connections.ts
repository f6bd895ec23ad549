import type { CommandDelivery } from "../commands/model.ts";
import type { AgentSockets } from "../fleet/model.ts";
import type { FlowControl } from "../ingest/model.ts";
import { type Connection, Hold } from "./agent-connection.ts";

/** This node's sockets: the ports of fleet, commands and ingest, and the gateway's own side. */
export interface Connections extends AgentSockets, CommandDelivery, FlowControl {
  add(connection: Connection): void;
  /** The connection has proved a token of the agent: an older one of the same agent goes. */
  bind(connection: Connection, agentId: string): void;
  /** Forgets a connection that is closed. */
  remove(connection: Connection): void;
  all(): IterableIterator<Connection>;
  /** Those that have proved no token, the oldest first. */
  unproved(): ReadonlySet<Connection>;
  size(): number;
}

/** Made before the services that need its ports, and handed to the gateway after them. */
export function createConnections(): Connections {
  const connections = new Set<Connection>();
  const unproved = new Set<Connection>();
  const byAgent = new Map<string, Connection>();
  const pausedAgents = new Set<string>();
  let isPaused = false;

  return {
    add(connection) {
      connections.add(connection);
      unproved.add(connection);
      if (isPaused) connection.hold(Hold.queue);
    },
    bind(connection, agentId) {
      unproved.delete(connection);
      const older = byAgent.get(agentId);
      byAgent.set(agentId, connection);
      older?.close("superseded", "a newer connection of this agent");
      if (pausedAgents.has(agentId)) connection.hold(Hold.share);
    },
    remove(connection) {
      connections.delete(connection);
      unproved.delete(connection);
      const { agentId } = connection;
      if (agentId !== undefined && byAgent.get(agentId) === connection) byAgent.delete(agentId);
    },
    all: () => connections.values(),
    unproved: () => unproved,
    size: () => connections.size,

    connectionOf: (agentId) => byAgent.get(agentId)?.id,
    agentIds: () => [...byAgent.keys()],
    closeAgent(agentId, why, exceptConnectionId) {
      const connection = byAgent.get(agentId);
      if (!connection || connection.id === exceptConnectionId) return;
      closeFor(connection, why);
    },

    holds: (agentId) => byAgent.has(agentId),
    deliver: (agentId, frame) => byAgent.get(agentId)?.send(frame) ?? false,

    pauseAll() {
      isPaused = true;
      for (const connection of connections) connection.hold(Hold.queue);
    },
    resumeAll() {
      isPaused = false;
      for (const connection of connections) connection.unhold(Hold.queue);
    },
    pauseAgent(agentId) {
      pausedAgents.add(agentId);
      byAgent.get(agentId)?.hold(Hold.share);
    },
    resumeAgent(agentId) {
      pausedAgents.delete(agentId);
      byAgent.get(agentId)?.unhold(Hold.share);
    },
  };
}

function closeFor(connection: Connection, why: Parameters<AgentSockets["closeAgent"]>[1]): void {
  switch (why) {
    case "deleted":
      connection.close("deleted", "this agent was deleted");
      break;
    case "superseded":
      connection.close("superseded", "a newer connection of this agent");
      break;
    case "revoked":
      connection.sendError("unauthorized", "this token was revoked");
      connection.close("unauthorized", "unauthorized");
  }
}
