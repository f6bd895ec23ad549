import { readFile, statfs } from "node:fs/promises";
import { withDeadline } from "../../lib/clock.ts";
import { sizeText } from "../../lib/units.ts";
import {
  type CpuTicks,
  cpuPercent,
  type FileSystemSize,
  type Mount,
  parseCpuTicks,
  parseMemory,
  parseMounts,
  sizeOfMount,
} from "../proc.ts";

/** What is measured of a host. */
export const FIGURES = ["disk", "inodes", "memory", "swap", "load", "cpu"] as const;
export type FigureName = (typeof FIGURES)[number];

/** A figure, and a sentence about it for a person. */
export interface Figure {
  readonly name: FigureName;
  /** What a person calls it: a file system's path, or the figure's own name. */
  readonly source: string;
  /** Percent; the load is per processor. */
  readonly value: number;
  readonly text: string;
  /** Of a file system to which nobody can write: it may be full by nature. */
  readonly isReadOnly?: boolean;
}

export interface HostFiguresOptions {
  /** Where /proc is. */
  readonly root?: string;
  readonly sizeOf?: (path: string) => Promise<FileSystemSize>;
  /** A file system gave no answer. */
  readonly failed: (path: string, error: unknown) => void;
  /** More file systems are there than are asked for their size; by path the last ones. */
  readonly leftOut?: (count: number) => void;
}

/** Each is asked in a thread of its own. */
const FILE_SYSTEMS_MAX = 500;

const SIZE_LIMIT_MS = 2_000;

/** Reads all figures from /proc and statfs. The processors' is over the time since the last reading, so the first has none. */
export function createHostFigures({ root = "", sizeOf = statfs, failed, leftOut }: HostFiguresOptions) {
  let ticks: CpuTicks | undefined;
  /** File systems whose answer is still awaited: each holds a thread, and is not asked again. */
  const stuck = new Set<string>();
  const proc = (name: string) => readFile(`${root}/proc/${name}`, "utf8");

  async function disks(): Promise<Figure[]> {
    const [mountinfo, filesystems] = await Promise.all([proc("self/mountinfo"), proc("filesystems")]);
    const mounts = parseMounts(mountinfo, filesystems);
    leftOut?.(Math.max(0, mounts.length - FILE_SYSTEMS_MAX));
    const figures = await Promise.all(mounts.slice(0, FILE_SYSTEMS_MAX).map(measure));
    return figures.flat();
  }

  async function measure(mount: Mount): Promise<Figure[]> {
    const { path, isReadOnly } = mount;
    if (stuck.has(path)) return [];
    stuck.add(path);
    const asking = sizeOfMount(mount, sizeOf).finally(() => stuck.delete(path));
    try {
      const size = await withDeadline(asking, SIZE_LIMIT_MS, `asking for the size of ${path}`, (error) =>
        failed(path, error),
      );
      return diskFigures(path, size).map((figure) => ({ ...figure, isReadOnly }));
    } catch (error) {
      failed(path, error);
      return [];
    }
  }

  return {
    /** File systems that were asked for their size, and whose answer is still awaited. */
    stuck: (): string[] => [...stuck],
    async read(): Promise<Figure[]> {
      const [stat, loadavg, meminfo, sizes] = await Promise.all([
        proc("stat"),
        proc("loadavg"),
        proc("meminfo"),
        disks(),
      ]);
      const now = parseCpuTicks(stat);
      const percent = ticks && now && cpuPercent(ticks, now);
      ticks = now;
      const cpu = percent === undefined ? [] : [cpuFigure(percent)];
      return [...sizes, ...memoryFigures(meminfo), ...loadFigure(loadavg, coresIn(stat)), ...cpu];
    },
  };
}

/** What is left for users who are not root counts, as df counts it. */
function diskFigures(path: string, { bsize, blocks, bfree, bavail, files, ffree }: FileSystemSize): Figure[] {
  const used = blocks - bfree;
  const figures: Figure[] = [];
  if (used + bavail > 0) {
    const value = (100 * used) / (used + bavail);
    const text = `${path} is ${Math.ceil(value)} % full: ${sizeText(bavail * bsize)} of ${sizeText(blocks * bsize)} left`;
    figures.push({ name: "disk", source: sourcesOf(path)[0], value, text });
  }
  if (files > 0) {
    const value = (100 * (files - ffree)) / files;
    const text = `${path} has ${Math.ceil(value)} % of its inodes in use: ${ffree} of ${files} left`;
    figures.push({ name: "inodes", source: sourcesOf(path)[1], value, text });
  }
  return figures;
}

function memoryFigures(meminfo: string): Figure[] {
  const memory = parseMemory(meminfo);
  if (!memory || memory.totalBytes === 0) return [];
  const { totalBytes, usedBytes, swapTotalBytes, swapUsedBytes } = memory;
  const value = (100 * usedBytes) / totalBytes;
  const left = `${sizeText(totalBytes - usedBytes)} of ${sizeText(totalBytes)} available`;
  const figures: Figure[] = [
    { name: "memory", source: "memory", value, text: `memory is ${Math.round(value)} % in use: ${left}` },
  ];
  // What no longer exists is at 0, so that an alert about it ends.
  const swap = swapTotalBytes === 0 ? 0 : (100 * swapUsedBytes) / swapTotalBytes;
  const swapped = `${sizeText(swapUsedBytes)} of ${sizeText(swapTotalBytes)}`;
  return [
    ...figures,
    { name: "swap", source: "swap", value: swap, text: `swap is ${Math.round(swap)} % in use: ${swapped}` },
  ];
}

function loadFigure(loadavg: string, cores: number): Figure[] {
  const load5 = Number(loadavg.split(" ")[1]);
  if (!Number.isFinite(load5)) return [];
  const value = load5 / cores;
  const text = `the load is ${value.toFixed(1)} per processor: ${load5} over 5 minutes with ${cores} processors`;
  return [{ name: "load", source: "load", value, text }];
}

function cpuFigure(value: number): Figure {
  return { name: "cpu", source: "cpu", value, text: `the processors are ${Math.round(value)} % busy` };
}

function coresIn(stat: string): number {
  return Math.max(1, stat.match(/^cpu\d+ /gm)?.length ?? 1);
}

/** What the two figures of a file system are called. */
export function sourcesOf(path: string): [string, string] {
  return [path, `${path} (inodes)`];
}
