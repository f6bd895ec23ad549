/**
 * Who is here. A node claims an agent for the connection that proved its token; the claim committed last holds it. Signs
 * of life are noted in memory and written together, once a second at most. What a heartbeat says that incidents show (the host's
 * name, what may be done there) is written before an alert that came after it. A connection that ends sets `offline`, but only
 * where it still holds the agent. A node renews its lease every 5 s (10 s while it is alone); the agents of one whose lease ran
 * out are offline, and it takes them back when it renews it after all; where the database was away, so that none could be renewed, they
 * stay as they were for the length of a lease. Other nodes hear of a claim by NOTIFY and look whether they
 * still hold what they think they hold; once a minute, in any case, each compares a sum with the database, and everything where
 * the sums differ.
 */
import { createBatcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { CollectorReport, HeartbeatPayload } from "../protocol/frames.ts";
import { META_BYTES_MAX } from "../protocol/limits.ts";
import type { CollectorStore } from "./collector-store.ts";
import type { AgentSockets, PresenceService } from "./model.ts";
import type { EndedHolding, FleetStore, Holding, PresenceUpdate } from "./store.ts";

/** Least time between two writes of signs of life. */
const WRITE_REST_MS = 1_000;
/** It is woken when there is something to write. */
const WRITE_INTERVAL_MS = 60_000;
/** What could not be written is tried again after this at the latest. */
const WRITE_RETRY_MS = 5_000;
const LEASE_INTERVAL_MS = 5_000;
/** While no other node would take over what this one holds. */
const LONELY_LEASE_INTERVAL_MS = 10_000;
/** So long a node is taken to live after it was last heard of. */
export const LEASE_SECONDS = 15;
/** Renewed so much later than it was to be, the database was away, or this process stood still. */
const LEASE_LATE_MS = 5_000;
/** A node that is gone is found when its lease has run out, and not at the next renewal. */
const LAPSE_GRACE_MS = 50;
const RECONCILE_INTERVAL_MS = 60_000;
/** Agents in one statement: a larger fleet is written, and compared, in several. */
const ROWS_MAX = 1_000;
/** A clock that is further off than this is shown. */
const SKEW_SHOWN_SECONDS = 300;

interface PresenceDeps {
  store: FleetStore;
  collectorStore: Pick<CollectorStore, "write">;
  sockets: AgentSockets;
  nodeId: string;
  version: string;
  clock: Pick<Clock, "monotonicMs">;
  loops: Loops;
  log: Log;
  /** So far ahead were leases that had been given: more than a moment, and the database's clock was put back. */
  setBack: (seconds: number) => void;
  /** Some agent's collectors see something else than before. */
  collectorsChanged: () => void;
  /** Tells the other nodes which agents this one has just claimed. */
  announceClaims: (agentIds: readonly string[]) => Promise<void>;
}

/** Presence, and what the composition root does with it. */
export interface Presence extends PresenceService {
  /** Takes the lease, and frees agents that dead nodes left online. Rejects when the database is away. */
  start(): Promise<void>;
  /** Whether no other node lives, as far as the last renewal of the lease knew. */
  isAlone(): boolean;
  /** Closes sockets here whose agents were deleted, or are held by another connection by now. */
  reconcile(agentIds?: readonly string[]): Promise<void>;
  /** Writes what is known, sets this node's agents offline, and gives the lease back. */
  stop(): Promise<void>;
}

type Hash = number | bigint;

/** What was heard of an agent and is not yet written. */
interface Note {
  /** By the monotonic clock. */
  heardAtMs: number;
  heartbeat: HeartbeatPayload | undefined;
  /** Of what the heartbeat says that incidents show. */
  introduction: Hash | undefined;
  heartbeats: number;
  /** A write of some of these heartbeats failed, and may have been committed all the same. */
  isUncertain: boolean;
  skewSeconds: number;
}

const BLANK = {
  heardAtMs: 0,
  heartbeat: undefined,
  introduction: undefined,
  heartbeats: 0,
  isUncertain: false,
  skewSeconds: 0,
};

/** Makes the presence of this node. */
export function createPresence(deps: PresenceDeps): Presence {
  const { store, sockets, nodeId, loops, log } = deps;
  const notes = new Map<string, Note>();
  /** Hashes of what stands in the rows of agents that this node holds. */
  const written = new Map<string, { meta: Hash; introduction: Hash | undefined; collectors: Hash | undefined }>();
  /** Agents whose introduction is noted, or under way, and not yet committed. */
  const unintroduced = new Set<string>();
  /** Claims that are committed: only these can be compared with the database. */
  const claimed = new Map<string, string>();
  const releasing = new Map<string, EndedHolding>();
  const running: Loop[] = [];
  let writing: Loop | undefined;
  let leaseRestMs = LEASE_INTERVAL_MS;
  let lastWrite: Promise<unknown> = Promise.resolve();
  const claimBatched = createBatcher(claimAll, { max: 500 });
  const releaseSoon = createBatcher(releaseAll, { max: 10_000 });

  async function claimAll(holdings: readonly Holding[]): Promise<readonly Holding[]> {
    await store.claim(nodeId, holdings);
    for (const { agentId, connectionId } of holdings) claimed.set(agentId, connectionId);
    await deps.announceClaims(holdings.map((holding) => holding.agentId));
    return holdings;
  }

  function release(ended: EndedHolding): void {
    releasing.set(ended.connectionId, ended);
    void releaseSoon(null);
  }

  /** All of a fleet may leave at once: a failure is told once, not for each. */
  async function releaseAll(items: readonly null[]): Promise<readonly null[]> {
    await writeReleases().catch((error) => {
      log.warn({ error: errorMessage(error) }, "agents that left are not yet offline, trying again");
      writing?.wake();
    });
    return items;
  }

  async function writeReleases(): Promise<void> {
    while (releasing.size > 0) {
      const batch = [...releasing.values()].slice(0, ROWS_MAX);
      await store.release(nodeId, batch);
      for (const holding of batch) releasing.delete(holding.connectionId);
    }
  }

  /** Writes what is noted of these agents by then, one write after the other: of two of one agent the later one stays. */
  function writeNotes(agentIds: () => readonly string[]): Promise<void> {
    const done = lastWrite.then(async () => {
      const ids = agentIds();
      for (let at = 0; at < ids.length; at += ROWS_MAX) await writeChunk(ids.slice(at, at + ROWS_MAX));
    });
    lastWrite = Promise.allSettled([done]);
    return done;
  }

  /** Takes the notes out first: what is heard meanwhile makes new ones. */
  async function writeChunk(agentIds: readonly string[]): Promise<void> {
    const taken = agentIds.flatMap((agentId) => {
      const note = notes.get(agentId);
      return note ? [{ agentId, note, connectionId: sockets.connectionOf(agentId), meta: metaIn(note) }] : [];
    });
    if (taken.length === 0) return;
    for (const { agentId } of taken) notes.delete(agentId);
    try {
      await store.writePresence(taken.map(toUpdate));
      await writeCollectors(taken);
    } catch (error) {
      for (const { agentId, note } of taken) putBack(agentId, note);
      throw error;
    }
    for (const one of taken) remember(one);
  }

  interface Taken {
    agentId: string;
    note: Note;
    connectionId: string | undefined;
    meta: Record<string, unknown> | null;
  }

  /** Only what changed is written. A heartbeat that may have been counted is not counted again; two make two in any case. */
  function toUpdate({ agentId, note, meta }: Taken): PresenceUpdate {
    const known = written.get(agentId);
    const isIntroduced = known !== undefined && known.introduction === note.introduction;
    return {
      agentId,
      ageMs: deps.clock.monotonicMs() - note.heardAtMs,
      hostname: isIntroduced ? null : (note.heartbeat?.hostname ?? null),
      meta: meta === null || known?.meta === hashOf(meta) ? null : meta,
      heartbeats: note.isUncertain && note.heartbeats < 2 ? 0 : note.heartbeats,
      isNews: note.heartbeat !== undefined && !isIntroduced,
    };
  }

  /** Few agents at a time have anything new to say of these. */
  async function writeCollectors(taken: readonly Taken[]): Promise<void> {
    const updates = taken.flatMap(({ agentId, note }) => {
      const reports = note.heartbeat?.collectors;
      if (reports === undefined || written.get(agentId)?.collectors === viewOf(reports)) return [];
      return [{ agentId, ageMs: deps.clock.monotonicMs() - note.heardAtMs, reports }];
    });
    if (updates.length === 0) return;
    await deps.collectorStore.write(updates);
    deps.collectorsChanged();
  }

  function putBack(agentId: string, note: Note): void {
    const newer = notes.get(agentId);
    const heartbeats = note.heartbeats + (newer?.heartbeats ?? 0);
    const latest = newer?.heartbeat ? newer : note;
    const { heardAtMs } = newer ?? note;
    notes.set(agentId, { ...latest, heardAtMs, heartbeats, isUncertain: note.isUncertain || note.heartbeats > 0 });
  }

  /** Not of an agent that has left meanwhile: another node may write something else before it is back. */
  function remember({ agentId, note, connectionId, meta }: Taken): void {
    const { introduction } = note;
    if ((notes.get(agentId)?.introduction ?? introduction) === introduction) unintroduced.delete(agentId);
    if (!note.heartbeat || connectionId === undefined || sockets.connectionOf(agentId) !== connectionId) return;
    const reports = note.heartbeat.collectors;
    const collectors = reports === undefined ? written.get(agentId)?.collectors : viewOf(reports);
    written.set(agentId, { meta: hashOf(meta ?? {}), introduction, collectors });
  }

  function holdings(agentIds: readonly string[]): Holding[] {
    return agentIds.flatMap((agentId) => {
      const connectionId = sockets.connectionOf(agentId);
      return connectionId !== undefined && claimed.get(agentId) === connectionId ? [{ agentId, connectionId }] : [];
    });
  }

  async function reconcile(agentIds?: readonly string[]): Promise<void> {
    const held = holdings(agentIds ?? sockets.agentIds());
    if (held.length === 0 || (agentIds === undefined && (await isAsTheDatabaseSays(held)))) return;
    for (let at = 0; at < held.length; at += ROWS_MAX) await compare(held.slice(at, at + ROWS_MAX));
  }

  async function isAsTheDatabaseSays(held: readonly Holding[]): Promise<boolean> {
    const { count, sum } = await store.sumHeld(nodeId);
    return count === held.length && sum === held.reduce((total, one) => total + firstBits(one.connectionId), 0);
  }

  async function compare(held: readonly Holding[]): Promise<void> {
    const heldBy = new Map(held.map((holding) => [holding.agentId, holding]));
    const lost = await store.findLost(nodeId, held);
    const freed = lost.flatMap(({ agentId, why }) => (why === "freed" ? [heldBy.get(agentId) as Holding] : []));
    for (const { agentId, why } of lost) {
      // A newer socket may have come while the database was asked.
      if (why !== "freed" && sockets.connectionOf(agentId) === heldBy.get(agentId)?.connectionId)
        sockets.closeAgent(agentId, why);
    }
    if (freed.length > 0) await takeBack(freed);
  }

  /** While this node stood still its lease ran out, and others set its agents offline; their sockets live on here. */
  async function takeBack(freed: readonly Holding[]): Promise<void> {
    await store.claim(nodeId, freed, { onlyFree: true });
    for (const one of freed)
      if (sockets.connectionOf(one.agentId) !== one.connectionId) release({ ...one, isGoodbye: false });
  }

  /** Milliseconds until it is to be renewed. */
  async function renewLease(): Promise<number> {
    const lease = { leaseSeconds: LEASE_SECONDS, lateSeconds: (leaseRestMs + LEASE_LATE_MS) / 1_000 };
    const renewed = await store.renewLease({ id: nodeId, version: deps.version, ...lease });
    const { orphans, others, nextLapseMs, aheadS, hasLapsed } = renewed;
    leaseRestMs = others > 0 ? LEASE_INTERVAL_MS : LONELY_LEASE_INTERVAL_MS;
    deps.setBack(aheadS);
    if (orphans > 0) log.info({ agents: orphans }, "agents of a node that is gone are offline");
    if (hasLapsed) await reconcile();
    return Math.min(leaseRestMs, nextLapseMs + LAPSE_GRACE_MS);
  }

  return {
    async claim(agentId, connectionId) {
      await claimBatched({ agentId, connectionId });
    },
    release(agentId, connectionId, isGoodbye = false) {
      written.delete(agentId);
      if (claimed.get(agentId) === connectionId) claimed.delete(agentId);
      release({ agentId, connectionId, isGoodbye });
    },
    seen(agentId, heartbeat, skewSeconds = 0) {
      if (notes.size === 0) writing?.wake();
      const note = notes.get(agentId) ?? { ...BLANK };
      note.heardAtMs = deps.clock.monotonicMs();
      if (heartbeat !== undefined) {
        Object.assign(note, { heartbeat, skewSeconds, introduction: introductionOf(heartbeat) });
        note.heartbeats++;
        if (written.get(agentId)?.introduction !== note.introduction) unintroduced.add(agentId);
      }
      notes.set(agentId, note);
    },
    async introduce(agentIds) {
      if (unintroduced.size === 0 || !agentIds.some((agentId) => unintroduced.has(agentId))) return;
      const fresh = () => agentIds.filter((agentId) => unintroduced.has(agentId));
      await writeNotes(fresh).catch((error) => {
        log.debug({ error: errorMessage(error) }, "agents are not yet introduced");
        writing?.wake();
      });
    },
    isAlone: () => leaseRestMs === LONELY_LEASE_INTERVAL_MS,
    reconcile,
    async start() {
      let firstRestMs: number | undefined = await renewLease();
      writing = loops.start({
        name: "presence",
        everyMs: WRITE_INTERVAL_MS,
        retryMsMax: WRITE_RETRY_MS,
        restMs: WRITE_REST_MS,
        restsFirst: true,
        failed: "presence could not be written, trying again",
        turn: async () => {
          await writeReleases();
          await writeNotes(() => [...notes.keys()]);
          return notes.size > 0 ? 0 : undefined;
        },
      });
      const lease = loops.start({
        name: "lease",
        everyMs: LONELY_LEASE_INTERVAL_MS,
        failed: "the node's lease could not be renewed",
        turn: async () => {
          const restMs = firstRestMs ?? (await renewLease());
          firstRestMs = undefined;
          return restMs;
        },
      });
      const comparing = loops.start({
        name: "connections",
        everyMs: RECONCILE_INTERVAL_MS,
        restsFirst: true,
        failed: "connections could not be compared",
        turn: async () => void (await reconcile()),
      });
      running.push(writing, lease, comparing);
    },
    async stop() {
      await Promise.all(running.splice(0).map((loop) => loop.stop()));
      await writeNotes(() => [...notes.keys()]);
      await writeReleases();
      await store.endLease(nodeId);
    },
  };
}

/** Null where the heartbeat says nothing beside the host's name. */
function metaIn({ heartbeat, skewSeconds }: Note): Record<string, unknown> | null {
  const meta = heartbeat === undefined ? {} : metaOf(heartbeat, skewSeconds);
  return Object.keys(meta).length === 0 ? null : meta;
}

/**
 * What `agents.meta` keeps of a heartbeat: everything but the host's name and its collectors. Unknown keys that make it longer than 16 KiB
 * of JSON are left out, the last ones first, and `truncated` says so.
 */
function metaOf(heartbeat: HeartbeatPayload, skewSeconds: number): Record<string, unknown> {
  const meta: Record<string, unknown> = {};
  let bytes = 2;
  for (const [key, value] of Object.entries(heartbeat)) {
    if (key === "hostname" || key === "collectors" || value === undefined) continue;
    bytes += Buffer.byteLength(JSON.stringify({ [key]: value }));
    if (bytes > META_BYTES_MAX) return { ...meta, truncated: true };
    meta[key] = value;
  }
  if (Math.abs(skewSeconds) > SKEW_SHOWN_SECONDS) meta.clock_skew_s = Math.round(skewSeconds);
  return meta;
}

/** Metrics change with each heartbeat; these hardly ever do. */
function introductionOf({ hostname, allow, version }: HeartbeatPayload): Hash {
  return hashOf([hostname, allow, version]);
}

/** How long it has been so changes with each heartbeat; what they see hardly ever does. */
function viewOf(reports: Readonly<Record<string, CollectorReport>>): Hash {
  return hashOf(Object.entries(reports).map(([name, { for_s: _, ...view }]) => [name, view]));
}

function hashOf(value: unknown): Hash {
  return Bun.hash(JSON.stringify(value));
}

/** The first 32 bits of a UUID: as many as sums of JavaScript's numbers bear. */
function firstBits(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8), 16);
}
