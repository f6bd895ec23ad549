import { readFileSync } from "node:fs";
import { isRecord } from "../../lib/json.ts";
import { keepHead } from "../../protocol/text.ts";
import { createMoments } from "../moments.ts";
import type { CollectorDeps } from "./collector-model.ts";
import type { Episodes, Failure } from "./episodes.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import { countGivenUp, type Health } from "./health.ts";
import { atNow, type EntryTime, type JournalEntry, msBetween } from "./journal-entry.ts";
import type { RunLog, RunOfUnit } from "./journal-run.ts";
import { createSteadyWatch, type Verdict } from "./steady.ts";
import { failureOf, listFailed, showUnits, type UnitProperties, verdictOf } from "./systemctl.ts";
import { type UnitEvent, unitEventOf } from "./systemd-events.ts";

/** What of the units must be known after a restart of the agent, too. */
export interface UnitMemory {
  /** The start of the machine that this was noted in. */
  readonly boot: string;
  /** The run of each unit that somebody asked to stop, and that was not followed by another. */
  readonly asked: Readonly<Record<string, string>>;
  /** Units that were broken at an earlier start of the machine, and that nothing has started since. */
  readonly unstarted: readonly string[];
}

export interface UnitWatchOptions {
  readonly episodes: Episodes;
  readonly deps: Pick<CollectorDeps, "clock" | "run">;
  readonly boot: string;
  readonly memory: UnitMemory | undefined;
  readonly health: Health;
  /** What a run wrote, as far as it is there. */
  readRun(run: RunOfUnit): Promise<RunLog>;
  /** The same as text, once its last lines have had time to come: more of it the later the journal is. */
  logsOf(run: RunOfUnit, atMs: number, lagMs: number): Promise<string>;
}

const WHAT_BYTES_MAX = 1024;
/** What was heard of units that are about to fail or to stop. */
const HEARD_MAX = 1000;
/** A unit that ends without an error, and is started again as often as this in so short a time, is not well. */
const RESTARTS_MAX = 5;
const RESTARTS_WINDOW_MS = 300_000;
/** Alerts whose logs are read at the same time. */
const TELLING_MAX = 16;
/** What starts a unit says of itself that it gives up, when it is the unit that does. */
const CONSEQUENCE = /^(?:service|unit|mount)-start-limit-hit$/;

/** How a run ended badly. */
interface End {
  readonly text: string;
  readonly exitCode: number | undefined;
  readonly entry: JournalEntry;
}

/** Makes alerts of what systemd says of its units, one entry after the other. */
export function createUnitWatch({ episodes, deps, boot, memory, health, readRun, logsOf }: UnitWatchOptions) {
  const { clock, run } = deps;
  const moments = createMoments(clock);
  const steady = createSteadyWatch(episodes, clock);
  const exits = createBoundedMap<UnitEvent & { kind: "exit" }>(HEARD_MAX);
  /** The run of a unit that is being stopped, and of one that has failed of it. */
  const stopping = createBoundedMap<string>(HEARD_MAX);
  const stopped = createBoundedMap<string>(HEARD_MAX);
  for (const [unit, invocation] of Object.entries(memory?.asked ?? {})) stopped.set(unit, invocation);
  const unstarted = new Set(memory?.unstarted);
  if (memory && memory.boot !== boot) for (const source of episodes.sources()) unstarted.add(source);
  /** Units whose next start was explained by a failure. */
  const explained = createBoundedMap<true>(HEARD_MAX);
  const givenUp = createBoundedMap<true>(HEARD_MAX);
  const forgot = countGivenUp(health, "units", (count) => `${count} units, of which too many change at once`);
  const restarts = createBoundedMap<EntryTime[]>(HEARD_MAX, forgot);
  /** Runs of units that were found to have failed, before the journal said so. */
  const found = createBoundedMap<true>(HEARD_MAX);
  /** Units that gave up because of the one that they start. */
  const consequences = createBoundedMap<true>(HEARD_MAX, forgot);
  const telling = new Set<Promise<void>>();

  function failed(event: UnitEvent & { kind: "failed" }, entry: JournalEntry): Promise<void> | void {
    const { unit, invocation } = event;
    const exit = exits.get(unit);
    exits.delete(unit);
    explained.set(unit, true);
    // The loop's last failure is behind it: this one only says that there is no further start.
    if (givenUp.delete(unit) && episodes.has(unit)) return episodes.giveUp(unit);
    if (wasAsked(event)) return stopped.set(unit, invocation ?? "");
    if (CONSEQUENCE.test(event.result)) return consequences.set(unit, true);
    if (invocation !== undefined && found.has(invocation)) return undefined;
    return tell(event, endOf(event, exit, entry));
  }

  /** Whoever stops a unit knows that it ends, whatever it says then. */
  function wasAsked({ unit, invocation }: RunOfUnit): boolean {
    const runs = [stopping.get(unit), stopped.get(unit)];
    return runs.some((one) => one !== undefined && (one === "" || one === (invocation ?? "")));
  }

  function restarting(event: UnitEvent, entry: JournalEntry): Promise<void> | undefined {
    const { unit } = event;
    if (explained.delete(unit)) return undefined;
    const { atMs, moment } = entry;
    const known = restarts.get(unit) ?? [];
    const times = [...known, { atMs, moment }].filter((one) => msBetween(one, entry) <= RESTARTS_WINDOW_MS);
    restarts.set(unit, times.slice(-RESTARTS_MAX));
    const text = "ends without an error and is started again, again and again";
    return times.length < RESTARTS_MAX ? undefined : tell(event, { text, exitCode: undefined, entry });
  }

  function tell(of: RunOfUnit, { text, exitCode, entry }: End): Promise<void> {
    // The trace of a core dump is written after all else.
    const lagMs = entry.field("UNIT_RESULT") === "core-dump" ? Number.POSITIVE_INFINITY : lagOf(entry);
    const atMs = atNow(entry, moments);
    return fail(of.unit, {
      what: keepHead(`${of.unit} ${text}`, WHAT_BYTES_MAX),
      atMs,
      ...(exitCode === undefined ? {} : { exitCode }),
      key: happeningKey(entry.cursor),
      logs: () => logsOf(of, atMs, lagMs),
    });
  }

  function fail(source: string, failure: Omit<Failure, "source" | "severity">): Promise<void> {
    steady.forget(source);
    return episodes.fail({ ...failure, source, severity: "critical" });
  }

  /** Its log is read while others are heard of, but not of any number at once. */
  async function begin(work: Promise<void> | void): Promise<void> {
    if (!work) return;
    const turn = work.finally(() => telling.delete(turn));
    telling.add(turn);
    if (telling.size >= TELLING_MAX) await Promise.race(telling);
  }

  function started({ unit }: UnitEvent): void {
    stopping.delete(unit);
    stopped.delete(unit);
    exits.delete(unit);
    unstarted.delete(unit);
  }

  /** What the journal says of a failed unit's run, as if it were heard now; its properties where the journal has nothing. */
  async function tellFound(unit: string, properties: UnitProperties): Promise<void> {
    const of = { unit, invocation: properties.InvocationID || undefined };
    if (wasAsked(of)) return;
    if (CONSEQUENCE.test(properties.Result ?? "")) return consequences.set(unit, true);
    await tellRun(of, properties);
  }

  async function tellRun(of: RunOfUnit, properties: UnitProperties): Promise<void> {
    const { unit } = of;
    const atMs = sinceBootMs(properties.StateChangeTimestampMonotonic, clock.now());
    const { end, isAsked } = lastWords(of.invocation === undefined ? [] : (await readRun(of)).said);
    if (of.invocation !== undefined) found.set(of.invocation, true);
    if (isAsked) return stopped.set(unit, of.invocation ?? "");
    if (end) return tell(of, end);
    const { what, exitCode } = failureOf(properties);
    await fail(unit, {
      what,
      atMs,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(of.invocation === undefined ? {} : { key: happeningKey(unit, of.invocation) }),
      logs: () => logsOf(of, atMs, 0),
    });
  }

  async function isActive(unit: string): Promise<boolean> {
    return (await showUnits([unit], run)).get(unit)?.ActiveState === "active";
  }

  /** A socket that stays closed though its service is well again is a failure of its own. */
  async function lookAtConsequences(): Promise<void> {
    const units = await showUnits(
      consequences.entries().map(([unit]) => unit),
      run,
    );
    for (const [unit, properties] of units) {
      if (properties.ActiveState !== "failed") consequences.delete(unit);
      const [cause = ""] = (properties.Triggers ?? "").split(" ");
      const isCauseWell = cause !== "" && !episodes.has(cause) && (await isActive(cause));
      if (properties.ActiveState !== "failed" || !isCauseWell) continue;
      consequences.delete(unit);
      await begin(tellRun({ unit, invocation: properties.InvocationID || undefined }, properties));
    }
  }

  return {
    /** Takes one entry; what it tells may still be under way then. */
    async hear(entry: JournalEntry): Promise<void> {
      const event = unitEventOf(entry);
      switch (event?.kind) {
        case "exit":
          return exits.set(event.unit, event);
        case "failed":
          return begin(failed(event, entry));
        case "restarting":
          return begin(restarting(event, entry));
        case "gave up":
          return givenUp.set(event.unit, true);
        case "stopping":
          return stopping.set(event.unit, event.invocation ?? "");
        case "started":
          return started(event);
        case "stopped":
          stopping.delete(event.unit);
          exits.delete(event.unit);
      }
    },
    /** Resolves once all that was heard so far is told. */
    async told(): Promise<void> {
      await Promise.all(telling);
    },
    /** Tells of units that have failed without the journal having said so. */
    async compare(): Promise<void> {
      const failed = (await listFailed(run)).filter((unit) => !episodes.has(unit));
      for (const [unit, properties] of await showUnits(failed, run)) await begin(tellFound(unit, properties));
      await Promise.all(telling);
    },
    /** Looks whether what is broken is well again, and tells sums that are due. */
    async look(): Promise<void> {
      const sources = episodes.sources();
      const units = await showUnits(sources, run);
      for (const source of sources) await steady.look(source, verdictNow(source, units.get(source)));
      await lookAtConsequences();
      await episodes.tick();
    },
    /** Whether there is anything to look at. */
    isAnyBroken: (): boolean => episodes.sources().length > 0 || consequences.entries().length > 0,
    memory: (): UnitMemory => ({
      boot,
      asked: Object.fromEntries([...stopping.entries(), ...stopped.entries()]),
      unstarted: [...unstarted],
    }),
  };

  function verdictNow(source: string, unit: UnitProperties | undefined): Verdict {
    // A start of the machine mends nothing: it must have run since.
    if (
      unit?.ActiveState === "inactive" &&
      unit.LoadState !== "not-found" &&
      unstarted.has(source) &&
      !unit.InvocationID
    )
      return { state: "broken" };
    const isStopped = unit?.ActiveState === "failed" && wasAsked({ unit: source, invocation: unit.InvocationID });
    return verdictOf(unit && isStopped ? { ...unit, ActiveState: "inactive" } : unit);
  }
}

/** How a run ended, of what systemd said about it, and whether somebody had asked for the end. */
function lastWords(said: readonly JournalEntry[]): { end: End | undefined; isAsked: boolean } {
  let exit: (UnitEvent & { kind: "exit" }) | undefined;
  let end: End | undefined;
  let isAsked = false;
  for (const entry of said) {
    const event = unitEventOf(entry);
    if (event?.kind === "stopping" && end === undefined) isAsked = true;
    if (event?.kind === "exit") exit = event;
    // The first: a second one of the same run says only that there is no further start.
    if (event?.kind === "failed") end ??= endOf(event, exit, entry);
  }
  return { end, isAsked };
}

function endOf(
  { result }: UnitEvent & { kind: "failed" },
  exit: (UnitEvent & { kind: "exit" }) | undefined,
  entry: JournalEntry,
): End {
  return { text: `failed: ${exit ? `${exit.text}; ` : ""}result '${result}'`, exitCode: exit?.exitCode, entry };
}

/** How long the entry took to come into the journal. */
function lagOf(entry: JournalEntry): number {
  return entry.atMs - Number(entry.field("_SOURCE_REALTIME_TIMESTAMP") ?? entry.atMs * 1000) / 1000;
}

/** What is so many microseconds after the machine's start, as Unix milliseconds. */
function sinceBootMs(monotonicUs: string | undefined, nowMs: number): number {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const ageMs = uptimeMs - Number(monotonicUs) / 1000;
  return ageMs > 0 ? Math.round(nowMs - ageMs) : nowMs;
}

/** What of a saved state is one. */
export function unitMemoryIn(value: unknown): UnitMemory | undefined {
  if (!isRecord(value) || typeof value.boot !== "string" || !isRecord(value.asked) || !Array.isArray(value.unstarted))
    return undefined;
  const asked = Object.entries(value.asked).flatMap(([unit, one]) => (typeof one === "string" ? [[unit, one]] : []));
  return { boot: value.boot, asked: Object.fromEntries(asked), unstarted: value.unstarted.map(String) };
}
