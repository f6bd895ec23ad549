import { describe, expect, test } from "bun:test";
import { cpuPercent, parseCpuTicks, parseMemory, parseMounts, sizeOfMount } from "../../src/agent/proc.ts";

const FIXTURES = `${import.meta.dir}/../fixtures/proc`;
const read = (name: string) => Bun.file(`${FIXTURES}/${name}`).text();

describe("what /proc says", () => {
  test("of the processors is a percentage between two moments: waiting for a disk is idle", () => {
    const before = parseCpuTicks("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3 4\n");
    const after = parseCpuTicks("cpu  150 10 130 800 200 5 5 0 60 0\ncpu0 1 2 3 4\n");
    expect(before).toEqual({ total: 1_000, busy: 200 });
    expect(before && after && cpuPercent(before, after)).toBeCloseTo((100 * 100) / 300);
    expect(before && cpuPercent(before, before)).toBeUndefined();
    expect(parseCpuTicks("no such thing")).toBeUndefined();
  });

  test("of the memory counts as used what nobody else could have", async () => {
    expect(parseMemory(await read("meminfo"))).toEqual({
      totalBytes: 24_684_092 * 1024,
      usedBytes: (24_684_092 - 24_029_840) * 1024,
      swapTotalBytes: 0,
      swapUsedBytes: 0,
    });
    const withSwap = "MemTotal: 100 kB\nMemFree: 40 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n";
    expect(parseMemory(withSwap)).toMatchObject({ usedBytes: 60 * 1024, swapUsedBytes: 30 * 1024 });
    expect(parseMemory("")).toBeUndefined();
  });

  test("of the mounts are the file systems on this host's own disks, each once", async () => {
    const mountinfo = await read("mountinfo");
    const root = { path: "/", fileSystem: "ext4", isReadOnly: false, dataSets: [] };
    expect(parseMounts(mountinfo, await read("filesystems"))).toEqual([root]);
    const more = [
      "40 27 259:1 / /boot/efi rw,relatime shared:30 - vfat /dev/nvme0n1p1 rw,fmask=0077",
      "41 27 8:16 / /mnt/a\\040disk ro,relatime - xfs /dev/sdb ro",
      "42 27 0:44 /@srv /srv/www rw - btrfs /dev/sdc rw,subvolid=257",
      "43 27 0:45 /@ /srv rw - btrfs /dev/sdc rw,subvolid=256",
      "44 27 0:46 / /tank rw - zfs tank rw",
      "45 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro",
      "46 27 0:47 / /mnt/nas rw - nfs4 nas:/export rw",
    ].join("\n");
    const filesystems = `${await read("filesystems")}\tvfat\n\txfs\n\tbtrfs\nnodev\tzfs\nnodev\tnfs4\n`;
    expect(parseMounts(`${mountinfo}${more}\n`, filesystems)).toEqual([
      root,
      { path: "/boot/efi", fileSystem: "vfat", isReadOnly: false, dataSets: [] },
      { path: "/mnt/a disk", fileSystem: "xfs", isReadOnly: true, dataSets: [] },
      { path: "/srv", fileSystem: "btrfs", isReadOnly: false, dataSets: [] },
      { path: "/tank", fileSystem: "zfs", isReadOnly: false, dataSets: [] },
    ]);
  });

  test("of a file system that is shown in several places is where it was before others came", () => {
    const own = "30 27 8:16 / /var/lib/postgresql rw - ext4 /dev/sdb rw";
    const bound = "31 27 8:16 /14/main /pg rw - ext4 /dev/sdb rw";
    const again = "32 27 8:16 / /db rw - ext4 /dev/sdb rw";
    const kept = [{ path: "/var/lib/postgresql", fileSystem: "ext4", isReadOnly: false, dataSets: [] }];
    for (const lines of [[own], [own, bound, again], [bound, own, again]])
      expect(parseMounts(lines.join("\n"), "\text4\n")).toEqual(kept);
  });

  test("of one that only this program may not write to is not read-only", () => {
    const line = "30 27 8:16 / /srv ro,nosuid - ext4 /dev/sdb rw,errors=remount-ro";
    expect(parseMounts(line, "\text4\n")).toMatchObject([{ path: "/srv", isReadOnly: false }]);
  });

  test("of a pool's data sets is one figure: what they all use, of what is free for them together", async () => {
    const mountinfo = [
      "44 27 0:46 / /home rw - zfs tank/home rw",
      "45 27 0:47 / /tank rw - zfs tank rw",
      "46 27 0:48 / /srv rw - zfs tank/srv rw",
      "47 27 0:48 / /srv/again rw - zfs tank/srv rw",
    ].join("\n");
    const [tank, ...others] = parseMounts(mountinfo, "nodev\tzfs\n");
    expect(others).toEqual([]);
    expect(tank).toMatchObject({ path: "/tank", fileSystem: "zfs" });
    const used: Record<string, number> = { "/tank": 1, "/home": 64, "/srv": 40 };
    const asked: string[] = [];
    const size = await sizeOfMount(tank ?? { path: "", dataSets: [] }, async (path) => {
      asked.push(path);
      const bsize = path === "/srv" ? 1_024 : 512;
      const free = 10_240 / bsize;
      return { bsize, blocks: (used[path] ?? 0) + free, bfree: free, bavail: free, files: 12, ffree: 10 };
    });
    expect(asked.map((path) => path.split("/")[1]).sort()).toEqual(["home", "srv", "tank"]);
    expect(size).toEqual({ bsize: 512, blocks: 1 + 64 + 80 + 20, bfree: 20, bavail: 20, files: 16, ffree: 10 });
  });

  test("of a container's mounts is its root", () => {
    const line = "612 540 0:53 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/docker/l";
    expect(parseMounts(line, "nodev\toverlay\n\text4\n")).toEqual([
      { path: "/", fileSystem: "overlay", isReadOnly: false, dataSets: [] },
    ]);
  });
});
