import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { AgentSockets } from "./model.ts";

/** The channel on which nodes tell each other about agents; ids only. */
export const AGENTS_CHANNEL = "opspilot_agents";

/** PostgreSQL refuses payloads of 8,000 bytes: 200 ids of 36 characters and their quotes stay below. */
const IDS_PER_NOTICE = 200;

type Notice = { kind: "claimed"; node: string; agents: string[] } | { kind: "deleted" | "revoked"; agents: string[] };

export interface NoticeDeps {
  nodeId: string;
  notify: (channel: string, payload: string) => Promise<void>;
}

/** What this node says. */
export function createNotices({ nodeId, notify }: NoticeDeps) {
  return {
    async claimed(agentIds: readonly string[]): Promise<void> {
      for (let at = 0; at < agentIds.length; at += IDS_PER_NOTICE) {
        const notice: Notice = { kind: "claimed", node: nodeId, agents: agentIds.slice(at, at + IDS_PER_NOTICE) };
        await notify(AGENTS_CHANNEL, JSON.stringify(notice));
      }
    },
    revoked: (agentId: string, why: "deleted" | "revoked") =>
      notify(AGENTS_CHANNEL, JSON.stringify({ kind: why, agents: [agentId] } satisfies Notice)),
  };
}

/** What a notice from another node acts on. */
export interface NoticeReader {
  nodeId: string;
  sockets: AgentSockets;
  tokens: { forget(agentId: string): void };
  presence: { reconcile(agentIds?: readonly string[]): Promise<void> };
  /** Told of agents that have come to another node. */
  returned: (agentIds: readonly string[]) => void;
  log: Log;
}

/** What this node does when it hears of others: drops what is no longer good. */
export function createNoticeReader(deps: NoticeReader) {
  const failed = (error: unknown) => deps.log.warn({ error: errorMessage(error) }, "a notice could not be followed");

  function onMessage(payload: string): void {
    const notice = JSON.parse(payload) as Notice;
    switch (notice.kind) {
      case "claimed":
        if (notice.node === deps.nodeId) return;
        deps.presence.reconcile(notice.agents).catch(failed);
        deps.returned(notice.agents);
        return;
      case "deleted":
      case "revoked":
        for (const agentId of notice.agents) {
          deps.tokens.forget(agentId);
          deps.sockets.closeAgent(agentId, notice.kind);
        }
    }
  }

  return {
    onMessage,
    /** Notices may have been missed: everything is compared once. */
    onReady: () => void deps.presence.reconcile().catch(failed),
  };
}
