/**
 * Agents of which nothing is heard. An agent is missed from the latest of
 *
 *   its last sign of life,
 *   the end of the last outage: while no node ran, or the database was away, nobody could hear it,
 *   its clean goodbye and ten minutes: who shuts a host down does so on purpose, and it is back soon.
 *
 * Only agents with two heartbeats count. After HEARTBEAT_TIMEOUT and a grace the agent is lost: its row says since when, and
 * from there on it is told as an ordinary alert of the server's (type host, source agent), and its return as that alert's
 * recovery. Their message ids are made of the loss's beginning, so that whoever tells them again, after a crash or on another
 * node, tells them once. Each look finds what is not told yet; only when the recovery is stored does the row forget the loss.
 */
import type { TransactionSql } from "postgres";
import type { IngestService } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { AlertPayload } from "../protocol/frames.ts";
import { LOST_AGENTS_MAX, type LostAgent, type LostStore } from "./lost-store.ts";
import { createTeller, inWords, nameOf, type Told } from "./teller.ts";

/** Longest time between two looks; no longer than the grace, so that who leaves is seen before it counts as lost. */
const LOOK_INTERVAL_MS = 30_000;
const LOOK_REST_MS = 250;
/** Another node looks just now, or a row was locked. */
const LOOK_AGAIN_MS = 1_000;
/** Longest time that an agent has to come back once its socket is given up: with a short timeout, as long as that. */
const GRACE_MS_MAX = 30_000;
const GOODBYE_MS = 600_000;
/** A node's lease, and how long after its start a node knows who else lives. */
const LEASE_MS = 15_000;
const KNOWS_OTHERS_MS = 10_000;

/** An agent that comes back for an instant is lost from its return on: the alert must not seem older than the recovery before it. */
const AFTER_RECOVERY_MS = 100;

/** What the alert of a lost agent is: the server's origin, agent, type and source tie its recovery to it. */
const SUBJECT = { type: "host", source: "agent" } as const;

/** The words in message ids, and those under which alerts stand that were stored before `origin` was part of their UUID. */
const WORDS = { lost: "silent", back: "back" } as const;

interface LostWatchDeps {
  store: LostStore;
  ingest: Pick<IngestService, "accept" | "uuidOf">;
  nodeId: string;
  heartbeatTimeoutMs: number;
  /** An alert is stored for at least this long: a loss that is older was told. */
  retentionMs: number;
  /** Tells of agents that have come to some node. */
  onReturn: (listener: (agentIds: readonly string[]) => void) => void;
  clock: Clock;
  loops: Loops;
  log: Log;
}

/** How long it is heard of no more until it is lost. */
export function lostAfterMsOf(heartbeatTimeoutMs: number): number {
  return heartbeatTimeoutMs + Math.min(GRACE_MS_MAX, heartbeatTimeoutMs);
}

/** Looks for agents that are lost, and for those that are back. */
export function createLostWatch(deps: LostWatchDeps) {
  const { store, ingest, nodeId, heartbeatTimeoutMs, clock, log } = deps;
  const lostAfterMs = lostAfterMsOf(heartbeatTimeoutMs);
  const limits = { lostAfterMs, goodbyeMs: GOODBYE_MS };
  const teller = createTeller({
    ingest,
    log,
    failed: "a lost agent could not be told",
    settled: () => looking?.wake(),
  });
  /** Agents that were lost at the last look. */
  let lost = new Set<string>();
  let looking: Loop | undefined;
  let hasCheckedStart = false;

  /** One look; the other nodes' looks meanwhile see nothing. Milliseconds until the next is due, where that is known. */
  async function look(): Promise<number | undefined> {
    if (!hasCheckedStart) await store.noteLonelyStart(nodeId, LEASE_MS);
    hasCheckedStart = true;
    const { dueMs, isAnyLost } = await store.findDue(limits);
    const isDue = dueMs !== null && dueMs <= 0;
    if (!isDue && !isAnyLost) lost = new Set();
    else {
      // Only what is committed is told: a loss that was forgotten again would begin at another time.
      const found = await store.alone(nodeId, lookAlone);
      for (const told of found?.untold ?? []) teller.tell(told);
      if (found === undefined || isDue) return found?.declared ? 0 : LOOK_AGAIN_MS;
    }
    return dueMs ?? undefined;
  }

  async function lookAlone(tx: TransactionSql): Promise<{ declared: number; untold: Told[] }> {
    const declared = await store.declare(tx, limits);
    if (declared > 0) log.warn({ agents: declared }, "agents are lost");
    const agents = await store.find(tx);
    lost = new Set(agents.map(({ agentId }) => agentId));
    const all = agents.flatMap(toTell);
    await teller.refresh(all, (some) => store.findStored(tx, some));
    const over = agents.filter((agent) => agent.backMs !== null && teller.isStored(recoveryOf(agent)));
    if (over.length > 0) await store.clear(tx, over);
    return { declared, untold: all.filter((told) => !teller.isStored(told)) };
  }

  /** The loss first, then its end: frames of one agent keep their order. */
  function toTell(agent: LostAgent): Told[] {
    const loss = agent.lostMs < deps.retentionMs ? [lossOf(agent)] : [];
    return agent.backMs === null ? loss : [...loss, recoveryOf(agent)];
  }

  /** The message names no number but the times, so that an agent's losses have one fingerprint. */
  function lossOf(agent: LostAgent): Told {
    const message = `No sign of life from ${nameOf(agent)}: the agent was last heard of at ${inWords(agent.lastSeenAt)}`;
    const alert: AlertPayload = { ...SUBJECT, message, severity: "critical", state: "firing" };
    return toldOf(agent, "lost", alert, agent.lostMs - AFTER_RECOVERY_MS);
  }

  function recoveryOf(agent: LostAgent): Told {
    const alert: AlertPayload = { ...SUBJECT, message: `${nameOf(agent)} is heard of again`, state: "resolved" };
    return toldOf(agent, "back", alert, agent.backMs ?? 0);
  }

  function toldOf(
    { agentId, lostSince }: LostAgent,
    word: keyof typeof WORDS,
    alert: AlertPayload,
    ageMs: number,
  ): Told {
    const messageId = `opspilot:${word}:${lostSince.getTime()}`;
    const formerId = `opspilot:${WORDS[word]}:${lostSince.getTime()}`;
    const uuid = ingest.uuidOf({ origin: "server", agentId, messageId });
    return { agentId, messageId, uuid, formerUuid: ingest.uuidOf({ agentId, messageId: formerId }), alert, ageMs };
  }

  /** Until the other nodes are known there may have been an outage that nobody has noted. */
  async function turn(startedMs: number): Promise<number | undefined> {
    const earlyMs = startedMs + KNOWS_OTHERS_MS - clock.monotonicMs();
    return earlyMs > 0 ? earlyMs : look();
  }

  function start(): void {
    const startedMs = clock.monotonicMs();
    deps.onReturn((agentIds) => {
      if (lost.size >= LOST_AGENTS_MAX || agentIds.some((agentId) => lost.has(agentId))) looking?.wake();
    });
    looking = deps.loops.start({
      name: "lost agents",
      everyMs: Math.min(LOOK_INTERVAL_MS, lostAfterMs - heartbeatTimeoutMs),
      restMs: LOOK_REST_MS,
      failed: "lost agents could not be looked for",
      turn: () => turn(startedMs),
    });
  }

  return { look, start, stop: async () => looking?.stop() };
}
