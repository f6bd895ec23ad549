/** Clock ticks since the boot; only differences mean something. */
export interface CpuTicks {
  readonly busy: number;
  readonly total: number;
}

/** The first line of /proc/stat. Time that a hypervisor gave to others counts as busy: it was not there to be used. */
export function parseCpuTicks(stat: string): CpuTicks | undefined {
  const line = /^cpu +([\d ]+)/.exec(stat)?.[1];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  const fields = line.trim().split(/ +/).slice(0, 8).map(Number);
  const total = fields.reduce((sum, one) => sum + one, 0);
  return { total, busy: total - (fields[3] ?? 0) - (fields[4] ?? 0) };
}

/** How much of all processors was used between two moments, in percent. */
export function cpuPercent(before: CpuTicks, after: CpuTicks): number | undefined {
  const total = after.total - before.total;
  return total > 0 ? Math.min(100, Math.max(0, (100 * (after.busy - before.busy)) / total)) : undefined;
}

/** What /proc/meminfo says, in bytes. Used is what is not available: caches that give way are not used. */
export interface Memory {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly swapTotalBytes: number;
  readonly swapUsedBytes: number;
}

/** Undefined when the text has no such figures. */
export function parseMemory(meminfo: string): Memory | undefined {
  const fields = new Map(
    [...meminfo.matchAll(/^(\w+): +(\d+) kB$/gm)].map(([, name, kib]) => [name, Number(kib) * 1024]),
  );
  const totalBytes = fields.get("MemTotal");
  const availableBytes = fields.get("MemAvailable") ?? fields.get("MemFree");
  if (totalBytes === undefined || availableBytes === undefined) return undefined;
  const swapTotalBytes = fields.get("SwapTotal") ?? 0;
  return {
    totalBytes,
    usedBytes: totalBytes - availableBytes,
    swapTotalBytes,
    swapUsedBytes: swapTotalBytes - (fields.get("SwapFree") ?? 0),
  };
}

/** A file system of this host. */
export interface Mount {
  /** Where it is mounted. */
  readonly path: string;
  readonly fileSystem: string;
  readonly isReadOnly: boolean;
}

/** They are full by nature. */
const IMAGES: readonly string[] = ["squashfs", "iso9660", "erofs", "udf", "cramfs"];
/** On disks, though the kernel needs no device to mount them. */
const WITHOUT_DEVICE: readonly string[] = ["zfs", "bcachefs"];

/**
 * The file systems on this host's own disks, each once, by /proc/self/mountinfo and /proc/filesystems; the root in any case.
 * One that is on the network is left out: when its server is away, asking for its size never ends.
 */
export function parseMounts(mountinfo: string, filesystems: string): Mount[] {
  const onDevices = new Set([...filesystems.matchAll(/^\t(\S+)$/gm)].map(([, name]) => name));
  const byDevice = new Map<string, Mount>();
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [, , device = "", , path = "", options = ""] = left.split(" ");
    const [fileSystem = "", source = ""] = right.split(" ");
    const isOwn = (onDevices.has(fileSystem) || WITHOUT_DEVICE.includes(fileSystem)) && !IMAGES.includes(fileSystem);
    if (path === "" || !(isOwn || path === "/")) continue;
    const mount = { path: unescapeOctal(path), fileSystem, isReadOnly: options.split(",")[0] === "ro" };
    // Subvolumes of btrfs have numbers of their own, and share their space.
    const key = fileSystem === "btrfs" ? source : device;
    const known = byDevice.get(key);
    if (!known || mount.path.length < known.path.length) byDevice.set(key, mount);
  }
  return [...byDevice.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** Spaces and the like are written as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
