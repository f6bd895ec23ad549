import { closeSync, existsSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorCode, errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { createFileTail, type FilePlace, type FileTail, fileName } from "./file-tail.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import type { Health } from "./health.ts";
import type { LogAlerts } from "./log-lines.ts";

export interface LogFilesOptions {
  readonly rules: readonly LogRule[];
  readonly alerts: LogAlerts;
  /** Where each file was left, by path. */
  readonly places: Readonly<Record<string, FilePlace>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly pollMs: number;
  readonly health: Health;
}

/** The part of the collector's health that is about files; each that cannot be read is a part of its own. */
export const FILES_PART = "files";

/** New files of a pattern are looked for this often. */
const EXPAND_MS = 10_000;
/** Files of patterns that are followed at the same time: those that changed last. */
const FILES_MAX = 100;
/** A file system's clock may be ahead of ours by a little. */
const AHEAD_MS = 1_000;
/** Files whose place is remembered though they are not followed. */
const KNOWN_MAX = 10_000;

interface Tailed {
  readonly tail: FileTail;
  readonly from: FilePlace | "end" | "beginning";
  reason: string;
}

/** Follows all files that the rules name. */
export function createLogFiles({ rules, alerts, places, clock, log, signal, pollMs, health }: LogFilesOptions) {
  const tailed = new Map<string, Tailed>();
  const saved = new Map<string, FilePlace>(Object.entries(places));
  /** How far files were read that are not open, by their own names. */
  const known = createBoundedMap<FilePlace>(KNOWN_MAX);
  let expandedMs: number | undefined;
  let toldLeftOut = 0;
  let unlisted: string[] = [];

  function follow(path: string, from: FilePlace | "end" | "beginning"): void {
    const own = rules.filter(({ target }) => target === path || isMatch(target, path));
    const source = alerts.sourceOf(path, own);
    const tail = createFileTail({
      path,
      clock,
      from,
      take: (text, { inode, sinceMs, offset }) =>
        source.take({ text, atMs: clock.now(), key: () => happeningKey(path, `${inode} ${sinceMs} ${offset}`) }),
      leave: (file, place) => known.set(file, place),
    });
    tailed.set(path, { tail, from, reason: "" });
  }

  async function expand(): Promise<void> {
    const isFirst = expandedMs === undefined;
    if (expandedMs !== undefined && clock.monotonicMs() - expandedMs < EXPAND_MS) return;
    expandedMs = clock.monotonicMs();
    const { files, leftOut, faults } = filesOf(rules, clock.now());
    for (const fault of unlisted) if (!faults.includes(fault)) health.forget(fault);
    for (const fault of faults) health.fails(fault, { part: fault });
    unlisted = faults;
    const wanted = new Set(files.map(({ path }) => path));
    for (const [path, one] of tailed) if (!wanted.has(path)) await letGo(path, one);
    const open = new Set([...tailed.values()].flatMap(({ tail }) => tail.open()));
    // What was there before the agent was is no news.
    if (isFirst) for (const { path, info } of leftOut) known.set(fileName(info), saved.get(path) ?? endOf(info));
    for (const { path, info } of files) {
      // A rotated file that matches the pattern under its new name, too.
      if (tailed.has(path) || (info && open.has(fileName(info)))) continue;
      follow(path, (info && known.get(fileName(info))) ?? saved.get(path) ?? (isFirst ? "end" : "beginning"));
      saved.delete(path);
    }
    tellLeftOut(leftOut.length);
  }

  /** One that is gone is read to its end before. */
  async function letGo(path: string, { tail }: Tailed): Promise<void> {
    if (!existsSync(path) && tail.open().length > 0) return;
    await tail.close();
    tailed.delete(path);
    health.forget(path);
  }

  function endOf({ dev, ino, size }: Stats): FilePlace {
    return { device: dev, inode: ino, offset: size, sinceMs: clock.now() };
  }

  function tellLeftOut(count: number): void {
    if (count > 0 && toldLeftOut === 0)
      log.warn(
        { leftOut: count, followed: FILES_MAX },
        "more log files match than are followed at once: those that changed last are",
      );
    toldLeftOut = count;
    health.gaveUp("files", count > 0 ? leftOutText(count) : undefined);
  }

  async function look(path: string, one: Tailed): Promise<void> {
    try {
      await one.tail.look();
      if (one.reason !== "") health.forget(path);
      one.reason = "";
    } catch (error) {
      const reason = errorMessage(error);
      if (reason !== one.reason) log.warn({ path, reason }, "a log file cannot be read");
      one.reason = reason;
      health.fails(`${path}: ${reason}`, { part: path });
    }
  }

  return {
    async run(changed: () => void): Promise<void> {
      try {
        while (!signal.aborted) {
          await expand();
          for (const [path, one] of tailed) await look(path, one);
          health.watches(FILES_PART);
          changed();
          await clock.sleep(pollMs, signal);
        }
      } finally {
        for (const { tail } of tailed.values()) await tail.close();
      }
    },
    places: (): Record<string, FilePlace> => {
      const entries = [...tailed].flatMap(([path, { tail, from }]) => {
        const place = tail.place() ?? from;
        return typeof place === "object" ? [[path, place] as const] : [];
      });
      return Object.fromEntries(entries);
    },
  };
}

/** Files that the rules name, and those of their patterns that are too many, which have not changed for longest. */
function filesOf(
  rules: readonly LogRule[],
  nowMs: number,
): {
  files: { path: string; info: Stats | undefined }[];
  leftOut: FoundFile[];
  /** Why files of a pattern cannot be looked for. */
  faults: string[];
} {
  const targets = [...new Set(rules.map(({ target }) => target))];
  const named = targets.filter((one) => !hasWildcard(one)).map((path) => ({ path, info: infoOf(path) }));
  const scans = targets.filter(hasWildcard).map(scan);
  const paths = new Set(scans.flatMap((one) => one.paths));
  for (const { path } of named) paths.delete(path);
  const matching = [...paths].flatMap((path): FoundFile[] => {
    const info = infoOf(path);
    return info ? [{ path, info }] : [];
  });
  // What lies in the future has not changed since the clock was put back.
  const isAhead = ({ info }: FoundFile) => Number(info.mtimeMs > nowMs + AHEAD_MS);
  matching.sort(
    (one, other) =>
      isAhead(one) - isAhead(other) || other.info.mtimeMs - one.info.mtimeMs || (one.path < other.path ? -1 : 1),
  );
  return {
    files: [...named, ...matching.slice(0, FILES_MAX)],
    leftOut: matching.slice(FILES_MAX),
    faults: scans.flatMap(({ fault }) => fault ?? []),
  };
}

/** Reads all files of these rules a little: what cannot be read and why, and how many are not followed, in words. */
export function tryFiles(rules: readonly LogRule[], nowMs: number): { faults: string[]; leftOut: string | undefined } {
  const { files, leftOut, faults } = filesOf(rules, nowMs);
  const unreadable = files.flatMap(({ path }) => faultOf(path));
  return {
    faults: [...faults, ...unreadable],
    leftOut: leftOut.length === 0 ? undefined : leftOutText(leftOut.length),
  };
}

/** One that is not there yet is no fault. */
function faultOf(path: string): string[] {
  try {
    const file = openSync(path, "r");
    try {
      readSync(file, Buffer.alloc(1));
      return [];
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return errorCode(error) === "ENOENT" ? [] : [`${path}: ${errorMessage(error)}`];
  }
}

function leftOutText(count: number): string {
  return `${count} files that match are not followed, since too many do: those that changed last are`;
}

interface FoundFile {
  readonly path: string;
  readonly info: Stats;
}

/** One that cannot be looked at is none here: whoever follows it says why. */
function infoOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

function hasWildcard(target: string): boolean {
  return /[*?]/.test(target);
}

function isMatch(target: string, path: string): boolean {
  return hasWildcard(target) && new Bun.Glob(target).match(path);
}

/** The files that a pattern stands for now, or why they cannot be looked for. */
function scan(target: string): { paths: string[]; fault?: string } {
  const directory = dirname(target.slice(0, target.search(/[*?]/) + 1));
  try {
    const glob = new Bun.Glob(target.slice(directory === "/" ? 1 : directory.length + 1));
    return { paths: [...glob.scanSync({ cwd: directory, absolute: true, onlyFiles: true })].sort() };
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    // A directory that is not there yet has no files.
    return errorCode(error) === "ENOENT" ? { paths: [] } : { paths: [], fault: `${target}: ${errorMessage(error)}` };
  }
}
