/**
 * Collectors that cannot see. A host whose agent lives, and does not see its containers, looks as if all were well there: so it
 * is told as an ordinary alert of the server's (type host, source `collector docker`), and the end as that alert's recovery, as
 * of lost agents (see lost.ts). Whoever tells them again, after a crash or on another node, tells them once: their message
 * ids are made of the moment in the collector's row, which is committed first.
 *
 * Only what an agent that is connected now has said counts, and only once it has had time to say otherwise; while it is away
 * nothing is told, and nothing ends. Where an alert of the agent's tells people already (of an engine that is away), the
 * server says nothing of its own.
 */
import type { TransactionSql } from "postgres";
import type { IngestService } from "../ingest/model.ts";
import { unreachable } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { AlertPayload } from "../protocol/frames.ts";
import type { BlindCollector, CollectorStore } from "./collector-store.ts";
import { createTeller, inWords, nameOf, type Told } from "./teller.ts";

/** Longest time between two looks, shorter than the limit: what an agent says here wakes the look sooner. */
const LOOK_INTERVAL_MS = 60_000;
const LOOK_REST_MS = 1_000;
/** Another node looks just now, or a row was locked. */
const LOOK_AGAIN_MS = 1_000;
/** A daemon is upgraded, a host boots: that takes less. */
const LIMITS = { blindAfterMs: 300_000, connectedMs: 60_000 };
/** A recovery must not seem older than the alert before it, though the two are timed apart. */
const AFTER_ALERT_MS = 100;

interface BlindWatchDeps {
  collectorStore: CollectorStore;
  ingest: Pick<IngestService, "accept" | "uuidOf">;
  nodeId: string;
  /** An alert is stored for at least this long: a blindness that is older was told. */
  retentionMs: number;
  /** Tells that some agent's collectors changed, as it has said to this node. */
  onCollectors: (listener: () => void) => void;
  loops: Loops;
  log: Log;
}

/** Looks for collectors that are blind, and for those that see again. */
export function createBlindWatch(deps: BlindWatchDeps) {
  const { collectorStore: store, ingest, nodeId, log } = deps;
  let looking: Loop | undefined;
  const settled = () => looking?.wake();
  const teller = createTeller({ ingest, log, failed: "a blind collector could not be told", settled });
  /** Those that were blind when all was told: while they are the same there is nothing to look up. */
  let allToldOf: string | undefined;

  /** One look; milliseconds until the next is due, where that is known. */
  async function look(): Promise<number | undefined> {
    const { dueMs, isAnyOver, blind } = await store.findDue(LIMITS);
    const isDue = dueMs !== null && dueMs <= 0;
    if (!isDue && !isAnyOver && blind === allToldOf) return dueMs ?? undefined;
    // Only what is committed is told.
    const found = await store.alone(nodeId, lookAlone);
    if (found === undefined) return LOOK_AGAIN_MS;
    for (const told of found.untold) teller.tell(told);
    allToldOf = found.hasChanged || found.untold.length > 0 ? undefined : blind;
    if (found.hasChanged) return 0;
    return isDue ? LOOK_AGAIN_MS : (dueMs ?? undefined);
  }

  async function lookAlone(tx: TransactionSql): Promise<{ hasChanged: boolean; untold: Told[] }> {
    const declared = await store.declare(tx, LIMITS);
    if (declared > 0) log.warn({ collectors: declared }, "collectors cannot see");
    const collectors = await store.find(tx);
    const all = collectors.flatMap(toTell);
    await teller.refresh(all, (some) => store.findStored(tx, some));
    const over = collectors.filter((one) => one.overMs !== null && teller.isStored(recoveryOf(one)));
    if (over.length > 0) await store.clear(tx, over);
    return { hasChanged: declared + over.length > 0, untold: all.filter((told) => !teller.isStored(told)) };
  }

  /** The blindness first, then its end: frames of one agent keep their order. */
  function toTell(collector: BlindCollector): Told[] {
    const begun = collector.blindMs < deps.retentionMs ? [beginningOf(collector)] : [];
    return collector.overMs === null ? begun : [...begun, recoveryOf(collector)];
  }

  function beginningOf(collector: BlindCollector): Told {
    const { name, since, why, blindMs } = collector;
    const message =
      collector.overMs === null
        ? `The collector ${name} of ${nameOf(collector)} cannot see since ${inWords(since)}: ${why ?? "it does not say why"}`
        : `The collector ${name} of ${nameOf(collector)} could not see`;
    return toldOf(collector, "blind", { message, severity: "warning", state: "firing" }, blindMs);
  }

  function recoveryOf(collector: BlindCollector): Told {
    const { name, blindMs, overMs } = collector;
    const ageMs = Math.max(0, Math.min(overMs ?? 0, blindMs - AFTER_ALERT_MS));
    const message = `The collector ${name} of ${nameOf(collector)} ${endOf(collector.state)}`;
    return toldOf(collector, "sees", { message, state: "resolved" }, ageMs);
  }

  function toldOf(
    { agentId, name, blindSince }: BlindCollector,
    word: string,
    alert: Omit<AlertPayload, "type" | "source">,
    ageMs: number,
  ): Told {
    const messageId = `opspilot:${word}:${name}:${blindSince.getTime()}`;
    const uuid = ingest.uuidOf({ origin: "server", agentId, messageId });
    return { agentId, messageId, uuid, alert: { type: "host", source: `collector ${name}`, ...alert }, ageMs };
  }

  function start(): void {
    deps.onCollectors(() => looking?.wake());
    looking = deps.loops.start({
      name: "blind collectors",
      everyMs: LOOK_INTERVAL_MS,
      restMs: LOOK_REST_MS,
      failed: "blind collectors could not be looked for",
      turn: look,
    });
  }

  return { look, start, stop: async () => looking?.stop() };
}

/** How a blindness ended. */
function endOf(state: BlindCollector["state"]): string {
  switch (state) {
    case "sees":
      return "sees again";
    case "cannot":
      return "still cannot see, of which another alert tells";
    case "absent":
      return "has nothing to watch on this host any more";
    case "off":
      return "is switched off";
    default:
      return unreachable(state);
  }
}
