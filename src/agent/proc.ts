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
  /** Where it is mounted: of several places the one that shows most of it, and stays the same while others come. */
  readonly path: string;
  readonly fileSystem: string;
  /** The file system itself, not this view of it: nobody can write there. */
  readonly isReadOnly: boolean;
  /** Where the other data sets of its pool are, which share what is free. */
  readonly dataSets: readonly string[];
}

/** A file system's size, as statfs(2) has it. */
export interface FileSystemSize {
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
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
  const places = mountinfo.split("\n").map(parsePlace);
  const own = places.filter(
    ({ path, fileSystem }) =>
      path !== "" &&
      (path === "/" ||
        (!IMAGES.includes(fileSystem) && (onDevices.has(fileSystem) || WITHOUT_DEVICE.includes(fileSystem)))),
  );
  const mounts = [...Map.groupBy(own, keyOf).values()].map((group): Mount => {
    const [first, ...rest] = group.toSorted((one, other) => depthOf(one) - depthOf(other));
    const { path, fileSystem, isReadOnly } = first as Place;
    const others =
      fileSystem === "zfs" ? new Map(rest.toReversed().map((place) => [place.source, place.path])) : new Map();
    others.delete(first?.source);
    return { path, fileSystem, isReadOnly, dataSets: [...others.values()] };
  });
  return mounts.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** A line of mountinfo. */
interface Place {
  readonly device: string;
  /** Which part of the file system is shown here: all of it is "/". */
  readonly shown: string;
  readonly path: string;
  readonly fileSystem: string;
  readonly source: string;
  readonly isReadOnly: boolean;
}

function parsePlace(line: string): Place {
  const [left = "", right = ""] = line.split(" - ");
  const [, , device = "", shown = "", path = ""] = left.split(" ");
  const [fileSystem = "", source = "", options = ""] = right.split(" ");
  const isReadOnly = options.split(",")[0] === "ro";
  return { device, shown, path: unescapeOctal(path), fileSystem, source, isReadOnly };
}

/** Subvolumes of btrfs, and data sets of a pool, have numbers of their own, and share their space. */
function keyOf({ device, fileSystem, source }: Place): string {
  if (fileSystem === "zfs") return `zfs ${source.split("/")[0]}`;
  return fileSystem === "btrfs" ? source : device;
}

/** A directory that is bound elsewhere is not its file system's own place; a pool's own is that of its topmost data set. */
function depthOf({ shown, fileSystem, source }: Place): number {
  return shown.length + (fileSystem === "zfs" ? source.length : 0);
}

/** Asks for the size of a mount; of a pool what all its data sets use, beside what is free for them together. */
export async function sizeOfMount(
  { path, dataSets }: Pick<Mount, "path" | "dataSets">,
  sizeOf: (path: string) => Promise<FileSystemSize>,
): Promise<FileSystemSize> {
  const first = await sizeOf(path);
  const sizes = [first, ...(await Promise.all(dataSets.map(sizeOf)))];
  // Their blocks may differ.
  const inBlocks = ({ bsize }: FileSystemSize, count: number) => (count * bsize) / first.bsize;
  const used = sizes.reduce((sum, size) => sum + inBlocks(size, size.blocks - size.bfree), 0);
  const files = sizes.reduce((sum, size) => sum + size.files - size.ffree, 0);
  const bfree = Math.max(...sizes.map((size) => inBlocks(size, size.bfree)));
  const bavail = Math.max(...sizes.map((size) => inBlocks(size, size.bavail)));
  const ffree = Math.max(...sizes.map((size) => size.ffree));
  return { bsize: first.bsize, blocks: used + bfree, bfree, bavail, files: files + ffree, ffree };
}

/** Spaces and the like are written as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
