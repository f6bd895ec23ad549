import { readFileSync } from "node:fs";
import { keepHead } from "../../protocol/text.ts";
import type { CollectorDeps } from "./collector-model.ts";
import type { Episodes } from "./episodes.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { createSteadyWatch } from "./steady.ts";
import { failureOf, listFailed, showUnits, verdictOf } from "./systemctl.ts";
import { type UnitEvent, unitEventOf } from "./systemd-events.ts";

export interface UnitWatchOptions {
  readonly episodes: Episodes;
  readonly deps: Pick<CollectorDeps, "clock" | "run">;
  /** The last lines of a unit's log, for something that happened then. */
  logsOf(unit: string, atMs: number): Promise<string>;
}

const WHAT_BYTES_MAX = 1024;
/** What was heard of units that are about to fail or to stop. */
const HEARD_MAX = 1000;
/** How a program ends that is asked to stop: by SIGHUP, SIGINT, SIGQUIT, SIGKILL or SIGTERM. */
const STOPPED_CODES = [129, 130, 131, 137, 143];
/** A unit that ends without an error, and is started again as often as this in so short a time, is not well. */
const RESTARTS_MAX = 5;
const RESTARTS_WINDOW_MS = 300_000;

/** Makes alerts of what systemd says of its units, one entry after the other. */
export function createUnitWatch({ episodes, deps, logsOf }: UnitWatchOptions) {
  const { clock, run } = deps;
  const steady = createSteadyWatch(episodes, clock);
  const exits = createBoundedMap<UnitEvent & { kind: "exit" }>(HEARD_MAX);
  const ending = createBoundedMap<true>(HEARD_MAX);
  /** Units whose next start was explained by a failure. */
  const explained = createBoundedMap<true>(HEARD_MAX);
  const givenUp = createBoundedMap<true>(HEARD_MAX);
  const restarts = createBoundedMap<number[]>(HEARD_MAX);
  /** Runs of units that were found to have failed, before the journal said so. */
  const found = createBoundedMap<true>(HEARD_MAX);

  async function failed(
    { unit, result, invocation }: UnitEvent & { kind: "failed" },
    entry: JournalEntry,
  ): Promise<void> {
    const exit = exits.get(unit);
    exits.delete(unit);
    explained.set(unit, true);
    // The loop's last failure is behind it: this one only says that there is no further start.
    if (givenUp.delete(unit) && episodes.has(unit)) return episodes.giveUp(unit);
    const isStop = ending.has(unit) && exit?.exitCode !== undefined && STOPPED_CODES.includes(exit.exitCode);
    if (isStop || (invocation !== undefined && found.has(invocation))) return;
    await tell(unit, `failed: ${exit ? `${exit.text}; ` : ""}result '${result}'`, entry, exit?.exitCode);
  }

  async function restarting(unit: string, entry: JournalEntry): Promise<void> {
    if (explained.delete(unit)) return;
    const times = [...(restarts.get(unit) ?? []), entry.atMs].filter((one) => entry.atMs - one <= RESTARTS_WINDOW_MS);
    restarts.set(unit, times.slice(-RESTARTS_MAX));
    if (times.length >= RESTARTS_MAX)
      await tell(unit, "ends without an error and is started again, again and again", entry);
  }

  async function tell(unit: string, what: string, entry: JournalEntry, exitCode?: number): Promise<void> {
    steady.forget(unit);
    await episodes.fail({
      source: unit,
      what: keepHead(`${unit} ${what}`, WHAT_BYTES_MAX),
      atMs: entry.atMs,
      severity: "critical",
      ...(exitCode === undefined ? {} : { exitCode }),
      key: happeningKey(entry.cursor),
      logs: () => logsOf(unit, entry.atMs),
    });
  }

  return {
    /** Takes one entry. */
    async hear(entry: JournalEntry): Promise<void> {
      const event = unitEventOf(entry);
      switch (event?.kind) {
        case "exit":
          return exits.set(event.unit, event);
        case "failed":
          return failed(event, entry);
        case "restarting":
          return restarting(event.unit, entry);
        case "gave up":
          return givenUp.set(event.unit, true);
        case "stopping":
          return ending.set(event.unit, true);
        case "started":
        case "stopped":
          ending.delete(event.unit);
          exits.delete(event.unit);
      }
    },
    /** Tells of units that have failed without the journal having said so. */
    async compare(): Promise<void> {
      const failed = (await listFailed(run)).filter((unit) => !episodes.has(unit));
      for (const [unit, properties] of await showUnits(failed, run)) {
        const { what, exitCode } = failureOf(properties);
        const run = properties.InvocationID;
        if (run) found.set(run, true);
        const atMs = sinceBootMs(properties.StateChangeTimestampMonotonic, clock.now());
        await episodes.fail({
          source: unit,
          what,
          atMs,
          severity: "critical",
          ...(exitCode === undefined ? {} : { exitCode }),
          ...(run ? { key: happeningKey(unit, run) } : {}),
          logs: () => logsOf(unit, atMs),
        });
      }
    },
    /** Looks whether what is broken is well again, and tells sums that are due. */
    async look(): Promise<void> {
      const sources = episodes.sources();
      const units = await showUnits(sources, run);
      for (const source of sources) await steady.look(source, verdictOf(units.get(source)));
      await episodes.tick();
    },
  };
}

/** What is so many microseconds after the machine's start, as Unix milliseconds. */
function sinceBootMs(monotonicUs: string | undefined, nowMs: number): number {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const ageMs = uptimeMs - Number(monotonicUs) / 1000;
  return ageMs > 0 ? Math.round(nowMs - ageMs) : nowMs;
}
