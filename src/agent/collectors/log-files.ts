import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { createFileTail, type FilePlace, type FileTail } from "./file-tail.ts";
import { happeningKey } from "./happening.ts";
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
}

/** New files of a pattern are looked for this often. */
const EXPAND_MS = 10_000;
const FILES_MAX = 100;

interface Tailed {
  readonly tail: FileTail;
  reason: string;
}

/** Follows all files that the rules name. */
export function createLogFiles({ rules, alerts, places, clock, log, signal, pollMs }: LogFilesOptions) {
  const tailed = new Map<string, Tailed>();
  let expandedMs: number | undefined;

  function follow(path: string, isFirst: boolean): void {
    const own = rules.filter(({ target }) => target === path || isMatch(target, path));
    const source = alerts.sourceOf(path, own);
    const tail = createFileTail({
      path,
      clock,
      // What was there before the agent was is no news.
      from: places[path] ?? (isFirst ? "end" : "beginning"),
      take: (text, { inode, sinceMs, offset }) =>
        source.take({ text, atMs: clock.now(), key: () => happeningKey(path, `${inode} ${sinceMs} ${offset}`) }),
    });
    tailed.set(path, { tail, reason: "" });
  }

  function expand(): void {
    const isFirst = expandedMs === undefined;
    if (expandedMs !== undefined && clock.monotonicMs() - expandedMs < EXPAND_MS) return;
    expandedMs = clock.monotonicMs();
    const open = new Set([...tailed.values()].flatMap(({ tail }) => tail.open()));
    const paths = [...new Set(rules.flatMap(({ target }) => pathsOf(target)))];
    for (const path of paths.filter((one) => !tailed.has(one)).slice(0, FILES_MAX - tailed.size)) {
      // A rotated file that matches the pattern under its new name, too.
      if (!open.has(identityOf(path))) follow(path, isFirst);
    }
  }

  async function look(path: string, one: Tailed): Promise<void> {
    try {
      await one.tail.look();
      one.reason = "";
    } catch (error) {
      const reason = errorMessage(error);
      if (reason !== one.reason) log.warn({ path, reason }, "a log file cannot be read");
      one.reason = reason;
    }
  }

  return {
    async run(changed: () => void): Promise<void> {
      try {
        while (!signal.aborted) {
          expand();
          for (const [path, one] of tailed) await look(path, one);
          changed();
          await clock.sleep(pollMs, signal);
        }
      } finally {
        for (const { tail } of tailed.values()) await tail.close();
      }
    },
    places: (): Record<string, FilePlace> => {
      const entries = [...tailed].flatMap(([path, { tail }]) => {
        const place = tail.place() ?? places[path];
        return place ? [[path, place] as const] : [];
      });
      return Object.fromEntries(entries);
    },
  };
}

/** `device:inode`. */
function identityOf(path: string): string {
  const info = statSync(path, { throwIfNoEntry: false });
  return `${info?.dev}:${info?.ino}`;
}

function hasWildcard(target: string): boolean {
  return /[*?]/.test(target);
}

function isMatch(target: string, path: string): boolean {
  return hasWildcard(target) && new Bun.Glob(target).match(path);
}

/** The files that a target stands for now; one without wildcards may still come. */
export function pathsOf(target: string): string[] {
  if (!hasWildcard(target)) return [target];
  const directory = dirname(target.slice(0, target.search(/[*?]/) + 1));
  try {
    const glob = new Bun.Glob(target.slice(directory === "/" ? 1 : directory.length + 1));
    return [...glob.scanSync({ cwd: directory, absolute: true, onlyFiles: true })].sort().slice(0, FILES_MAX);
  } catch (error) {
    // A directory that is not there yet has no files.
    if (error instanceof Error && "code" in error) return [];
    throw error;
  }
}
