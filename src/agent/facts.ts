import { readFileSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { hostname, release } from "node:os";
import { DeadlineError, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { HeartbeatPayload, Metrics } from "../protocol/frames.ts";
import { type CpuTicks, cpuPercent, type Mount, parseCpuTicks, parseMemory, parseMounts, sizeOfMount } from "./proc.ts";

/** A disk that does not say its size in this time is left out. */
const DISK_LIMIT_MS = 1_000;
/** In a heartbeat, whose size is bounded: the fullest. All are watched. */
const DISKS_MAX = 50;
/** Over less time than a few seconds of one processor a percentage means nothing. */
const TICKS_MIN = 300;
const NAME_CHARS_MAX = 255;

interface HostFactsDeps {
  readonly version: string;
  readonly log: Log;
  /** What belongs to a heartbeat beside the host itself. */
  readonly extra: () => Record<string, unknown>;
  /** Where /proc and /etc are; for tests. */
  readonly root?: string;
}

/**
 * What tells this process from another that has its token, also on a clone of this host: an id of its own, and the kernel's,
 * which is another after each boot.
 */
export function createInstance(root = ""): { run: string; boot?: string } {
  const boot = readIfThere(`${root}/proc/sys/kernel/random/boot_id`).trim();
  return { run: crypto.randomUUID(), ...(boot === "" ? {} : { boot }) };
}

/** Reads this host's facts and figures, by /proc alone, for less than 5 ms of CPU. What cannot be read is left out. */
export function createHostFacts({ version, log, extra, root = "" }: HostFactsDeps): () => Promise<HeartbeatPayload> {
  const fixed = { version, arch: process.arch, kernel: release(), instance: createInstance(root) };
  /** A disk whose answer is still awaited is not asked again. */
  const stuck = new Set<string>();
  let ticks: CpuTicks | undefined = parseCpuTicks(readIfThere(`${root}/proc/stat`));

  async function metrics(): Promise<Partial<Metrics>> {
    const [stat, loadavg, meminfo] = await Promise.all(
      ["stat", "loadavg", "meminfo"].map((name) => readFile(`${root}/proc/${name}`, "utf8").catch(unreadable)),
    );
    return { ...cpuOf(stat ?? ""), ...loadOf(loadavg ?? ""), ...memoryOf(meminfo ?? ""), disks: await disks() };
  }

  /** A host is renamed, and upgraded, while its agent runs. */
  async function names(): Promise<{ hostname: string; os: string }> {
    const name = await readFile(`${root}/proc/sys/kernel/hostname`, "utf8").catch(unreadable);
    const osRelease = await readFile(`${root}/etc/os-release`, "utf8").catch(unreadable);
    return { hostname: (name.trim() || hostname()).slice(0, NAME_CHARS_MAX), os: osName(osRelease) };
  }

  function cpuOf(stat: string): Partial<Metrics> {
    const now = parseCpuTicks(stat);
    if (!now || (ticks && now.total - ticks.total < TICKS_MIN)) return {};
    const percent = ticks && cpuPercent(ticks, now);
    ticks = now;
    return percent === undefined ? {} : { cpu_pct: Math.round(percent * 10) / 10 };
  }

  async function disks(): Promise<Metrics["disks"]> {
    const mountinfo = await readFile(`${root}/proc/self/mountinfo`, "utf8").catch(unreadable);
    const filesystems = await readFile(`${root}/proc/filesystems`, "utf8").catch(unreadable);
    const found = await Promise.all(parseMounts(mountinfo, filesystems).map(measure));
    const known = found.filter((disk) => disk !== undefined);
    if (known.length > DISKS_MAX)
      log.debug({ disks: known.length, shown: DISKS_MAX }, "a heartbeat shows the fullest disks");
    const shown = new Set(known.toSorted((one, other) => fullness(other) - fullness(one)).slice(0, DISKS_MAX));
    return known.filter((disk) => shown.has(disk));
  }

  async function measure(mount: Mount): Promise<Metrics["disks"][number] | undefined> {
    const { path } = mount;
    if (stuck.has(path)) return undefined;
    stuck.add(path);
    const asking = sizeOfMount(mount, statfs).finally(() => stuck.delete(path));
    try {
      const what = `asking for the size of ${path}`;
      const { bsize, blocks, bfree } = await withDeadline(asking, DISK_LIMIT_MS, what, unreadable);
      if (blocks === 0) return undefined;
      return { mount: path, used_bytes: (blocks - bfree) * bsize, total_bytes: blocks * bsize };
    } catch (error) {
      if (error instanceof DeadlineError) log.warn({ mount: path }, "a disk does not answer");
      else unreadable(error);
      return undefined;
    }
  }

  function unreadable(error: unknown): string {
    log.debug({ error: errorMessage(error) }, "a fact of this host cannot be read");
    return "";
  }

  return async () => {
    const uptime = Number.parseFloat(await readFile(`${root}/proc/uptime`, "utf8").catch(unreadable));
    const uptimeFact = uptime >= 0 ? { uptime_s: Math.floor(uptime) } : {};
    return { ...(await names()), ...fixed, ...uptimeFact, metrics: await metrics(), ...extra() };
  };
}

function fullness({ used_bytes, total_bytes }: Metrics["disks"][number]): number {
  return used_bytes / total_bytes;
}

function loadOf(loadavg: string): Partial<Metrics> {
  const [load1, load5, load15] = loadavg.split(" ").map(Number);
  return load1 === undefined || load5 === undefined || load15 === undefined ? {} : { load1, load5, load15 };
}

function memoryOf(meminfo: string): Partial<Metrics> {
  const memory = parseMemory(meminfo);
  if (!memory) return {};
  const { usedBytes, totalBytes, swapUsedBytes, swapTotalBytes } = memory;
  const swap = { swap_used_bytes: swapUsedBytes, swap_total_bytes: swapTotalBytes };
  return { mem_used_bytes: usedBytes, mem_total_bytes: totalBytes, ...swap };
}

/** As the distribution calls itself: "Debian GNU/Linux 13 (trixie)". */
function osName(osRelease: string): string {
  const name = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(osRelease)?.[1] ?? "Linux";
  return name.slice(0, NAME_CHARS_MAX);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error) return "";
    throw error;
  }
}
