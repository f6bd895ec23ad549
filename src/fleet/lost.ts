/**
 * Agents of which nothing is heard. A silence counts from the latest of
 *
 *   the agent's last sign of life,
 *   the end of the last outage: while no node ran, or the database was away, nobody could hear it,
 *   its clean goodbye and ten minutes: who shuts a host down does so on purpose, and it is back soon.
 *
 * Only agents with two heartbeats count. After HEARTBEAT_TIMEOUT and a grace the silence stands in the agent's row, and
 * from there on it is told as an ordinary alert (type host, source agent), and its end as that alert's recovery. Their
 * message ids are made of the silence's beginning, so that whoever tells them again, after a crash or on another node, tells
 * them once. Each look finds what is not told yet; only when the recovery is stored does the row forget the silence.
 */
import type { TransactionSql } from "postgres";
import type { IngestService } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import type { AlertPayload } from "../protocol/payloads.ts";
import type { LostAgent, LostStore } from "./lost-store.ts";

const LOOK_INTERVAL_MS = 2_000;
/** Longest time that an agent has to come back once its socket is given up: with a short timeout, as long as that. */
const GRACE_MS_MAX = 30_000;
const GOODBYE_MS = 600_000;
/** A node's lease, and how long after its start a node knows who else lives. */
const LEASE_MS = 15_000;
const KNOWS_OTHERS_MS = 10_000;

/** An agent that comes back for an instant is silent from its return on: the alert must not seem older than the recovery before it. */
const AFTER_RECOVERY_MS = 100;

/** What the alert of a silent agent is: agent, type and source tie its recovery to it. */
const SILENCE = { type: "host", source: "agent" } as const;

export interface LostWatchDeps {
  store: LostStore;
  ingest: Pick<IngestService, "accept">;
  nodeId: string;
  heartbeatTimeoutMs: number;
  /** An alert is stored for at least this long: a silence that is older was told. */
  retentionMs: number;
  clock: Clock;
  log: Log;
}

/** Looks for agents that fell silent, and for those that are back. */
export interface LostWatch {
  /** One look; the other nodes' looks meanwhile see nothing. */
  look(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

/** What is told of a silence. */
interface Told {
  agentId: string;
  messageId: string;
  uuid: string;
  alert: AlertPayload;
  ageMs: number;
}

/** Makes the watch of this node. */
export function createLostWatch(deps: LostWatchDeps): LostWatch {
  const { store, ingest, nodeId, heartbeatTimeoutMs, clock, log } = deps;
  const limits = {
    silentAfterMs: heartbeatTimeoutMs + Math.min(GRACE_MS_MAX, heartbeatTimeoutMs),
    goodbyeMs: GOODBYE_MS,
  };
  /** Uuids that ingest has and has not settled. */
  const underWay = new Set<string>();
  /** Uuids of silences that are stored, of agents that are silent: they need not be looked up again. */
  let stored = new Set<string>();
  let looking: Running | undefined;
  let hasCheckedStart = false;

  async function look(): Promise<void> {
    if (!hasCheckedStart) await store.noteLonelyStart(nodeId, LEASE_MS);
    hasCheckedStart = true;
    // Only what is committed is told: a silence that was forgotten again would begin at another time.
    const untold = await store.alone(nodeId, lookAlone);
    for (const told of untold ?? []) accept(told);
  }

  async function lookAlone(tx: TransactionSql): Promise<Told[]> {
    const count = await store.declare(tx, limits);
    if (count > 0) log.warn({ agents: count }, "agents have fallen silent");
    const agents = await store.find(tx);
    const all = agents.flatMap(toTell);
    await refresh(tx, all);
    for (const agent of agents) {
      if (agent.backMs !== null && stored.has(recoveryOf(agent).uuid)) await store.clear(tx, agent);
    }
    return all.filter(({ uuid }) => !stored.has(uuid));
  }

  /** The silence first, then its end: frames of one agent keep their order. */
  function toTell(agent: LostAgent): Told[] {
    const silence = agent.silentMs < deps.retentionMs ? [silenceOf(agent)] : [];
    return agent.backMs === null ? silence : [...silence, recoveryOf(agent)];
  }

  async function refresh(tx: TransactionSql, all: readonly Told[]): Promise<void> {
    const known = all.filter(({ uuid }) => stored.has(uuid)).map(({ uuid }) => uuid);
    const unknown = all.filter(({ uuid }) => !stored.has(uuid)).map(({ uuid }) => uuid);
    const found = unknown.length > 0 ? await store.findStored(tx, unknown) : [];
    stored = new Set([...known, ...found]);
  }

  function accept({ agentId, messageId, uuid, alert, ageMs }: Told): void {
    if (underWay.has(uuid)) return;
    underWay.add(uuid);
    ingest.accept({
      kind: "alert",
      agentId,
      messageId,
      alert,
      ageMs,
      sizeBytes: alert.message.length,
      settled: (outcome) => {
        underWay.delete(uuid);
        if (!outcome.ok) log.error({ agent: agentId, reason: outcome.message }, "a silent agent could not be told");
      },
    });
  }

  return {
    look,
    start() {
      const failed = (error: unknown) =>
        log.warn({ error: errorMessage(error) }, "silent agents could not be looked for");
      const startedMs = clock.monotonicMs();
      const task = async () => {
        if (clock.monotonicMs() - startedMs >= KNOWS_OTHERS_MS) await look();
      };
      looking ??= repeat(clock, LOOK_INTERVAL_MS, task, failed);
    },
    stop: async () => looking?.stop(),
  };
}

/** The message names no number but the times, so that an agent's silences have one fingerprint. */
function silenceOf(agent: LostAgent): Told {
  const message = `No sign of life from ${nameOf(agent)}: the agent was last heard of at ${inWords(agent.lastSeenAt)}`;
  const alert: AlertPayload = { ...SILENCE, message, severity: "critical", state: "firing" };
  return toldOf(agent, "silent", alert, agent.silentMs - AFTER_RECOVERY_MS);
}

function recoveryOf(agent: LostAgent): Told {
  const alert: AlertPayload = { ...SILENCE, message: `${nameOf(agent)} is heard of again`, state: "resolved" };
  return toldOf(agent, "back", alert, agent.backMs ?? 0);
}

function toldOf(agent: LostAgent, word: string, alert: AlertPayload, ageMs: number): Told {
  const messageId = `opspilot:${word}:${agent.silentSince.getTime()}`;
  // As ingest makes it of agent and message id.
  const uuid = hashUuid(`${agent.agentId}\0${messageId}`);
  return { agentId: agent.agentId, messageId, uuid, alert, ageMs };
}

function nameOf({ hostname, agentId }: LostAgent): string {
  return hostname ?? `agent ${agentId}`;
}

/** "2026-01-31 18:00:00 UTC". */
function inWords(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
