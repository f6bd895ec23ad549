import type { Sql } from "postgres";
import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import { type Notifications, notifyAll } from "../db/notifications.ts";
import { bringBack, findAhead } from "../db/set-back.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { cutPage } from "../lib/page.ts";
import { AGENT_TOKEN_PREFIX, newSecretToken } from "../lib/secret-token.ts";
import { createCollectorStore } from "./collector-store.ts";
import { createEnrolmentStore } from "./enrolment-store.ts";
import { createEnrolments } from "./enrolments.ts";
import type { AgentService, AgentSockets } from "./model.ts";
import { createPresence, LEASE_SECONDS, type Presence } from "./presence.ts";
import { createSightings } from "./sightings.ts";
import { createFleetStore, type FleetStore } from "./store.ts";
import { createTokenService } from "./tokens.ts";
import { createTwinStore } from "./twin-store.ts";

/** It is woken when a clock was put back. */
const BRING_BACK_MS = 3_600_000;
const BRING_BACK_LIMIT_MS = 600_000;
/** Nodes and their database agree to this. */
const AHEAD_SECONDS_MIN = 1;

interface FleetDeps {
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
  const collectorStore = createCollectorStore(database.sql);
  const listeners: ((agentIds: readonly string[]) => void)[] = [];
  const collectorListeners: (() => void)[] = [];
  const returned = (agentIds: readonly string[]) => {
    for (const listener of listeners) listener(agentIds);
  };
  const notices = createNotices(database.sql, nodeId);
  const enrolments = createEnrolmentStore(database.sql, deps.writer);
  const tokens = createTokenService({ store, enrolments, enrollment: config.enrollment, clock, log });
  let aheadS = 0;
  let bringing: Loop | undefined;
  const twinStore = createTwinStore(database.sql);
  const sharingListeners: (() => void)[] = [];
  const sightings = createSightings({
    ...deps,
    store: twinStore,
    sockets: connections,
    shared() {
      for (const listener of sharingListeners) listener();
    },
  });
  const own = createPresence({
    ...deps,
    setBack(seconds) {
      if (seconds < AHEAD_SECONDS_MIN) return;
      aheadS = Math.max(aheadS, seconds);
      bringing?.wake();
    },
    store,
    collectorStore,
    sockets: connections,
    nodeId,
    collectorsChanged() {
      for (const listener of collectorListeners) listener();
    },
    async announceClaims(agentIds) {
      returned(agentIds);
      await notices.claimed(agentIds);
    },
  });
  const presence: Presence = {
    ...own,
    seen(agentId, heartbeat, skewSeconds) {
      own.seen(agentId, heartbeat, skewSeconds);
      if (heartbeat !== undefined) sightings.heard(agentId, heartbeat);
    },
    release(agentId, connectionId, isGoodbye) {
      own.release(agentId, connectionId, isGoodbye);
      sightings.forget(agentId, connectionId);
    },
  };
  const reader = createNoticeReader({ nodeId, sockets: connections, tokens, presence, returned, log });

  /** What is due waits meanwhile; a node that is about to serve brings back what another left. */
  async function bringMomentsBack(): Promise<undefined> {
    if (aheadS < AHEAD_SECONDS_MIN) return;
    log.warn(
      { seconds: Math.round(aheadS) },
      "the database's clock was put back: moments that are yet to come are now",
    );
    await bringBack(database, aheadS, LEASE_SECONDS);
    aheadS = 0;
  }

  return {
    nodeId,
    collectorStore,
    tokens,
    presence,
    agents: createAgentService({ store, revoked: notices.revoked }),
    enrolments: createEnrolments(enrolments),
    deleteOldEnrolments: enrolments.deleteOld,
    /** For whoever shows agents as they change. */
    find: store.find,
    findChanged: store.findChanged,
    /** Whether there is such an agent, and whether some node holds a live socket of it. */
    async whereabouts(agentId: string): Promise<"unknown" | "offline" | "online"> {
      if (connections.connectionOf(agentId) !== undefined) return "online";
      const node = await store.nodeOf(agentId);
      return node === null ? "unknown" : node === undefined ? "offline" : "online";
    },
    /** Tells of agents that have just come to some node. */
    onReturn: (listener: (agentIds: readonly string[]) => void) => void listeners.push(listener),
    /** Tells that what some agent's collectors see has changed, as it has said to this node. */
    onCollectors: (listener: () => void) => void collectorListeners.push(listener),
    twinStore,
    isShared: twinStore.isShared,
    /** Tells that several hosts use one token from now on. */
    onSharing: (listener: () => void) => void sharingListeners.push(listener),
    async start(): Promise<void> {
      aheadS = await findAhead(database.sql, LEASE_SECONDS);
      await bringMomentsBack();
      await presence.start();
      sightings.start();
      bringing = deps.loops.start({
        name: "moments ahead",
        everyMs: BRING_BACK_MS,
        restsFirst: true,
        turnLimitMs: BRING_BACK_LIMIT_MS,
        failed: "moments that are yet to come could not be brought back",
        turn: bringMomentsBack,
      });
      notifications.listen(AGENTS_CHANNEL, reader);
    },
    async stop(): Promise<void> {
      await Promise.all([bringing?.stop(), sightings.stop()]);
      await presence.stop();
    },
  };
}

/** The channel on which nodes tell each other about agents; ids only. */
const AGENTS_CHANNEL = "opspilot_agents";

/** PostgreSQL refuses payloads of 8,000 bytes: 200 ids of 36 characters and their quotes stay below. */
const IDS_PER_NOTICE = 200;

type Notice = { kind: "claimed"; node: string; agents: string[] } | { kind: Revocation; agents: string[] };
/** Why a token is no longer what it was; `rotated`: it stays good for a grace time. */
type Revocation = "deleted" | "revoked" | "rotated";

/** What this node says. */
export function createNotices(sql: Sql, nodeId: string) {
  const say = (notice: Notice) => notifyAll(sql, AGENTS_CHANNEL, JSON.stringify(notice));
  return {
    async claimed(agentIds: readonly string[]): Promise<void> {
      for (let at = 0; at < agentIds.length; at += IDS_PER_NOTICE)
        await say({ kind: "claimed", node: nodeId, agents: agentIds.slice(at, at + IDS_PER_NOTICE) });
    },
    /** The agents' old tokens, and but for a rotation with a grace time their sockets, are no longer good. */
    revoked: (agentId: string, why: Revocation) => say({ kind: why, agents: [agentId] }),
  };
}

/** What this node does when it hears of others: drops what is no longer good. `returned` hears of agents that came to another. */
export function createNoticeReader(deps: {
  nodeId: string;
  sockets: AgentSockets;
  tokens: { forget(agentId: string): void };
  presence: Pick<Presence, "reconcile">;
  returned: (agentIds: readonly string[]) => void;
  log: Log;
}) {
  const failed = (error: unknown) => deps.log.warn({ error: errorMessage(error) }, "a notice could not be followed");

  function onMessage(payload: string): void {
    const notice = JSON.parse(payload) as Notice;
    switch (notice.kind) {
      case "claimed":
        if (notice.node === deps.nodeId) return;
        deps.presence.reconcile(notice.agents).catch(failed);
        deps.returned(notice.agents);
        return;
      case "rotated":
        for (const agentId of notice.agents) deps.tokens.forget(agentId);
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

/** Agents as people manage them. */
export function createAgentService(deps: {
  store: FleetStore;
  revoked: ReturnType<typeof createNotices>["revoked"];
}): AgentService {
  const { store, revoked } = deps;
  return {
    async list({ limit, ...meant }) {
      const { rows: agents, ...next } = cutPage(await store.list(limit + 1, meant), limit);
      return { agents, ...next };
    },
    get: (id) => store.get(id),
    async create({ hostname }, actor) {
      const token = newSecretToken(AGENT_TOKEN_PREFIX);
      const row = { id: crypto.randomUUID(), tokenHash: sha256Hex(token), hostname: hostname ?? null };
      return { agent: await store.create(row, actor), token };
    },
    async remove(id, actor) {
      const agent = await store.revoke(id, null, actor);
      if (!agent) return false;
      await revoked(id, "deleted");
      return true;
    },
    async rotateToken(id, actor, graceMs = 0) {
      const token = newSecretToken(AGENT_TOKEN_PREFIX);
      const agent = await store.revoke(id, sha256Hex(token), actor, graceMs);
      if (!agent) return undefined;
      await revoked(id, graceMs > 0 ? "rotated" : "revoked");
      return { agent, token };
    },
  };
}
