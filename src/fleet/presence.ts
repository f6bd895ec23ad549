/**
 * Who is here. A node claims an agent for the connection that proved its token; the claim committed last holds it. Signs
 * of life are noted in memory and written once a second in one statement. A connection that ends sets `offline`, but
 * only where it still holds the agent. A node renews its lease every 5 s; the agents of one whose lease ran out are
 * offline. Other nodes hear of a claim by NOTIFY and look whether they still hold what they think they hold; they look
 * every 10 s in any case.
 */
import { createBatcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import type { HeartbeatPayload } from "../protocol/payloads.ts";
import { metaOf } from "./meta.ts";
import type { AgentSockets, PresenceService } from "./model.ts";
import type { EndedHolding, FleetStore, Holding, PresenceUpdate } from "./store.ts";

const FLUSH_INTERVAL_MS = 1_000;
const LEASE_INTERVAL_MS = 5_000;
const LEASE_SECONDS = 15;
/** Renewed later than this, the database was away, or this process stood still. */
const LEASE_LATE_SECONDS = 10;
const RECONCILE_INTERVAL_MS = 10_000;
const RELEASE_RETRY_MS = 1_000;
/** Rows in one UPDATE: a fleet larger than this is written in several. */
const WRITE_ROWS_MAX = 5_000;

export interface PresenceDeps {
  store: FleetStore;
  sockets: AgentSockets;
  nodeId: string;
  version: string;
  clock: Clock;
  log: Log;
  /** Tells the other nodes which agents this one has just claimed. */
  announceClaims: (agentIds: readonly string[]) => Promise<void>;
}

/** Presence, and what the composition root does with it. */
export interface Presence extends PresenceService {
  /** Takes the lease, and frees agents that dead nodes left online. Rejects when the database is away. */
  start(): Promise<void>;
  /** Closes sockets here whose agents were deleted, or are held by another connection by now. */
  reconcile(agentIds?: readonly string[]): Promise<void>;
  /** Writes what is known, sets this node's agents offline, and gives the lease back. */
  stop(): Promise<void>;
}

interface Note {
  lastSeenAt: number;
  heartbeat: HeartbeatPayload | undefined;
  heartbeats: number;
  skewSeconds: number;
}

/** Makes the presence of this node. */
export function createPresence(deps: PresenceDeps): Presence {
  const { store, sockets, nodeId, clock, log } = deps;
  const notes = new Map<string, Note>();
  /** Hashes of the meta last written. */
  const written = new Map<string, number | bigint>();
  /** Claims that are committed: only these can be compared with the database. */
  const claimed = new Map<string, string>();
  const releasing = new Map<string, EndedHolding>();
  const running: Running[] = [];
  const claimBatched = createBatcher(claimAll, { max: 500 });
  const releaseSoon = createBatcher(
    async (items: readonly null[]) => {
      await flushReleases();
      return items;
    },
    { max: 10_000 },
  );

  async function claimAll(holdings: readonly Holding[]): Promise<readonly Holding[]> {
    await store.claim(nodeId, holdings);
    for (const { agentId, connectionId } of holdings) claimed.set(agentId, connectionId);
    await deps.announceClaims(holdings.map((holding) => holding.agentId));
    return holdings;
  }

  async function flushReleases(): Promise<void> {
    const batch = [...releasing.values()].slice(0, WRITE_ROWS_MAX);
    if (batch.length === 0) return;
    await store.release(nodeId, batch);
    for (const holding of batch) releasing.delete(holding.connectionId);
  }

  async function flushNotes(): Promise<void> {
    while (notes.size > 0) {
      const batch = [...notes].slice(0, WRITE_ROWS_MAX);
      const updates = batch.map(([agentId, note]) => toUpdate(agentId, note));
      await store.writePresence(updates);
      for (const [agentId, note] of batch) {
        if (notes.get(agentId) === note) notes.delete(agentId);
      }
      for (const update of updates) rememberMeta(update);
    }
  }

  function toUpdate(agentId: string, note: Note): PresenceUpdate {
    const { lastSeenAt, heartbeat, heartbeats, skewSeconds } = note;
    if (!heartbeat) return { agentId, lastSeenAt, hostname: null, meta: null, heartbeats };
    const hostname = heartbeat.hostname ?? null;
    const meta = metaOf(heartbeat, skewSeconds);
    const isKnown = Object.keys(meta).length === 0 || written.get(agentId) === hashOf(meta);
    return { agentId, lastSeenAt, hostname, meta: isKnown ? null : meta, heartbeats };
  }

  function rememberMeta(update: PresenceUpdate): void {
    if (update.meta !== null) written.set(update.agentId, hashOf(update.meta));
  }

  function holdings(agentIds: readonly string[]): Holding[] {
    return agentIds.flatMap((agentId) => {
      const connectionId = sockets.connectionOf(agentId);
      return connectionId !== undefined && claimed.get(agentId) === connectionId ? [{ agentId, connectionId }] : [];
    });
  }

  async function reconcile(agentIds: readonly string[] = sockets.agentIds()): Promise<void> {
    const held = holdings(agentIds);
    if (held.length === 0) return;
    const connectionOf = new Map(held.map((holding) => [holding.agentId, holding.connectionId]));
    for (const lost of await store.findLost(nodeId, held)) {
      // A newer socket may have come while the database was asked.
      if (sockets.connectionOf(lost.agentId) !== connectionOf.get(lost.agentId)) continue;
      sockets.closeAgent(lost.agentId, lost.deleted ? "deleted" : "superseded");
    }
  }

  async function renewLease(): Promise<void> {
    const lease = { leaseSeconds: LEASE_SECONDS, lateSeconds: LEASE_LATE_SECONDS };
    await store.renewLease({ id: nodeId, version: deps.version, ...lease });
    const orphans = await store.releaseOrphans();
    if (orphans > 0) log.info({ agents: orphans }, "agents of a node that is gone are offline");
  }

  const warn = (what: string) => (error: unknown) => log.warn({ error: errorMessage(error) }, what);

  return {
    async claim(agentId, connectionId) {
      await claimBatched({ agentId, connectionId });
    },
    release(agentId, connectionId, isGoodbye = false) {
      written.delete(agentId);
      if (claimed.get(agentId) === connectionId) claimed.delete(agentId);
      releasing.set(connectionId, { agentId, connectionId, isGoodbye });
      releaseSoon(null).catch(warn("agents that left are not yet offline, trying again"));
    },
    seen(agentId, receivedAt, heartbeat, skewSeconds = 0) {
      const note = notes.get(agentId);
      if (note && heartbeat === undefined) note.lastSeenAt = receivedAt;
      else {
        const heartbeats = (note?.heartbeats ?? 0) + (heartbeat === undefined ? 0 : 1);
        notes.set(agentId, {
          lastSeenAt: receivedAt,
          heartbeat: heartbeat ?? note?.heartbeat,
          heartbeats,
          skewSeconds,
        });
      }
    },
    reconcile,
    async start() {
      await renewLease();
      running.push(
        repeat(clock, FLUSH_INTERVAL_MS, flushNotes, warn("heartbeats could not be written, trying again")),
        repeat(clock, RELEASE_RETRY_MS, flushReleases, warn("agents that left are not yet offline, trying again")),
        repeat(clock, LEASE_INTERVAL_MS, renewLease, warn("the node's lease could not be renewed")),
        repeat(clock, RECONCILE_INTERVAL_MS, () => reconcile(), warn("connections could not be compared")),
      );
    },
    async stop() {
      await Promise.all(running.splice(0).map((task) => task.stop()));
      await flushNotes();
      await flushReleases();
      await store.endLease(nodeId);
      await store.releaseOrphans();
    },
  };
}

function hashOf(meta: Record<string, unknown>): number | bigint {
  return Bun.hash(JSON.stringify(meta));
}
