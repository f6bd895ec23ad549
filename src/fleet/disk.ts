/**
 * The disk that the built-in database lies on. PostgreSQL that cannot write its log ends; so the server looks before:
 *
 *   roomy ── a tenth is left, or 1 GiB ──▶ low: an incident of the server's own tells it
 *   low ── hardly anything is left ──▶ full: another tells it, and then nothing more is stored: as while the database is away, what
 *                                     comes waits in memory, and when that is full, with the hosts
 *   full, low ── there is room again, and some more ──▶ the recovery is told, and what waited is stored
 *
 * Both are told as ordinary alerts of the server's (type host). Whether they are open is read once, at the start: after that this
 * node alone tells them, since nobody shares a built-in database.
 */

import type { IngestService } from "../ingest/model.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { Room } from "../lib/room.ts";
import { sizeText } from "../lib/units.ts";
import type { AlertPayload } from "../protocol/frames.ts";
import { SERVER_AGENT_ID } from "../protocol/server-agent.ts";
import type { ServerStore } from "./server-store.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** A tenth, or 1 GiB, whichever comes first; of a small disk a quarter, for it would always have less than 1 GiB. */
const LOW = { share: 1 / 10, bytes: GIB, shareMax: 1 / 4 };
/** Enough for the incident, for what runs already, and for PostgreSQL's log meanwhile. */
const FULL = { bytes: 256 * MIB, shareMax: 1 / 8 };
/** It is over only when there is so much more than that. */
const MARGIN = 1.25;
/** Faster than a storm of alerts, or anybody's large file, mostly is: how soon it may be full decides when it is looked at. */
const FILLED_BYTES_PER_S = 64 * MIB;
const LOOK_MS = { min: 2_000, max: 30_000 };
/** The incident is stored first; a database that cannot do that any more is not waited for. */
const TELL_LIMIT_MS = 5_000;

/** What is told: each is an incident of its own. */
const SOURCES = { low: "disk", full: "ingest" } as const;
type Level = keyof typeof SOURCES;

interface DiskWatchDeps {
  store: ServerStore;
  ingest: Pick<IngestService, "accept" | "uuidOf" | "hold">;
  /** The directory, as people know it, and how much room is there. */
  path: string;
  readRoom: (path: string) => Promise<Room>;
  hostname: string;
  clock: Clock;
  loops: Loops;
  log: Log;
}

/** Looks after the disk of the built-in database. */
export function createDiskWatch(deps: DiskWatchDeps) {
  const { store, ingest, path, clock, log } = deps;
  const is: Record<Level, boolean> = { low: false, full: false };
  const told: Record<Level, boolean> = { low: false, full: false };
  let isPrepared = false;
  let isHeld = false;
  let telling: Promise<void> | undefined;
  let looking: Loop | undefined;

  /** One look; milliseconds until it may be full, at the earliest. */
  async function look(): Promise<number> {
    const room = await deps.readRoom(path);
    const limits = limitsOf(room);
    for (const level of ["low", "full"] as const) {
      is[level] = room.freeBytes < limits[level] * (is[level] ? MARGIN : 1);
    }
    if (!is.full) hold(false);
    const isTold = tellOnce(room);
    if (is.full && !isHeld) {
      await endsWithin(clock, TELL_LIMIT_MS, isTold);
      hold(true);
    }
    const leftS = (room.freeBytes - limits[is.low ? "full" : "low"]) / FILLED_BYTES_PER_S;
    return Math.min(LOOK_MS.max, Math.max(LOOK_MS.min, leftS * 1000));
  }

  function hold(held: boolean): void {
    isHeld = held;
    ingest.hold(held);
  }

  /** One after the other: while what was told before waits to be stored, the next look tells what has changed since. Never rejects. */
  function tellOnce(room: Room): Promise<void> {
    telling ??= tell(room)
      .catch((error) =>
        log.warn({ error: errorMessage(error) }, "it could not be told how full the disk is, trying again"),
      )
      .finally(() => {
        telling = undefined;
      });
    return telling;
  }

  /** Resolves when all that is new is stored. */
  async function tell(room: Room): Promise<void> {
    if (!isPrepared) await prepare();
    const changed = (["low", "full"] as const).filter((level) => is[level] !== told[level]);
    await Promise.all(changed.map((level) => tellOne(level, room)));
  }

  async function prepare(): Promise<void> {
    await store.prepare(deps.hostname);
    const open = await store.openSources();
    for (const level of ["low", "full"] as const) told[level] = open.includes(SOURCES[level]);
    isPrepared = true;
  }

  function tellOne(level: Level, room: Room): Promise<void> {
    const isFiring = is[level];
    const alert = isFiring ? alertOf(level, path, room) : recoveryOf(level, path, room);
    const fields = { path, freeBytes: room.freeBytes, sizeBytes: room.sizeBytes };
    if (isFiring) log.warn(fields, level === "low" ? "the disk fills" : "the disk is full: nothing more is stored");
    else log.info(fields, level === "low" ? "the disk has room again" : "what waited for the disk is stored");
    told[level] = isFiring;
    const { promise, resolve } = Promise.withResolvers<void>();
    ingest.accept({
      kind: "alert",
      origin: "server",
      agentId: SERVER_AGENT_ID,
      messageId: `opspilot:${SOURCES[level]}:${isFiring ? "full" : "room"}:${clock.now()}`,
      alert: { type: "host", source: SOURCES[level], ...alert },
      ageMs: 0,
      sizeBytes: alert.message.length,
      settled(outcome) {
        if (!outcome.ok) log.error({ reason: outcome.message }, "it could not be told how full the disk is");
        resolve();
      },
    });
    return promise;
  }

  return {
    look,
    /** For /readyz: "ok", or why nothing is stored. */
    state: () => (isHeld ? "full: what is accepted waits until there is room" : "ok"),
    start(): void {
      looking ??= deps.loops.start({
        name: "disk",
        everyMs: LOOK_MS.max,
        failed: "the disk could not be looked at",
        turn: look,
      });
    },
    stop: async () => looking?.stop(),
  };
}

export type DiskWatch = ReturnType<typeof createDiskWatch>;

function limitsOf({ sizeBytes }: Room): Record<Level, number> {
  return {
    low: Math.max(sizeBytes * LOW.share, Math.min(LOW.bytes, sizeBytes * LOW.shareMax)),
    full: Math.min(FULL.bytes, sizeBytes * FULL.shareMax),
  };
}

type Words = Pick<AlertPayload, "message" | "severity" | "state">;

/** As an agent says it of a host's disk, so that it is explained as that is. */
function alertOf(level: Level, path: string, room: Room): Words {
  const { freeBytes, sizeBytes } = room;
  const percent = Math.ceil(100 * (1 - freeBytes / sizeBytes));
  const left = `${path} is ${percent} % full: ${sizeText(freeBytes)} of ${sizeText(sizeBytes)} left`;
  return level === "low"
    ? { message: `${left} (the server's own data lies there)`, severity: "warning", state: "firing" }
    : { message: `${left} (no alert is stored until there is room)`, severity: "critical", state: "firing" };
}

function recoveryOf(level: Level, path: string, { freeBytes }: Room): Words {
  const room = `${path} has room again: ${sizeText(freeBytes)}`;
  return { message: level === "low" ? room : `${room}; alerts are stored again`, state: "resolved" };
}
