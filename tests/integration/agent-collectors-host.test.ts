import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCollectors } from "../../src/agent/collectors/all.ts";
import { createHostCollector } from "../../src/agent/collectors/host.ts";
import type { FileSystemSize } from "../../src/agent/proc.ts";
import { THRESHOLDS } from "../../src/config/agent-collectors.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import { CollectorBench } from "../support/collectors.ts";
import { until } from "../support/until.ts";

const FILE_SYSTEMS = "nodev\tproc\nnodev\ttmpfs\nnodev\toverlay\nnodev\tnfs\n\text4\n\txfs\n\tsquashfs\n";
const MOUNTS = [
  "22 27 0:21 / /proc rw,relatime - proc proc rw",
  "27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
  "28 27 8:2 / /var/my\\040data rw,relatime - xfs /dev/sda2 rw",
  "29 27 7:1 / /snap/core/1 ro,relatime - squashfs /dev/loop1 ro",
  "30 27 0:50 / /mnt/nfs rw,relatime - nfs server:/x rw",
  "31 27 0:24 / /run rw - tmpfs tmpfs rw",
  "32 27 8:1 /etc /etc/bound rw,relatime - ext4 /dev/sda1 rw",
];

let bench: CollectorBench;
let clock: TestClock;
let root: string;
/** How often the collector has gone to sleep. */
let sleeps: number;
/** How full each file system is, in percent of blocks and of inodes. */
let full: Record<string, [number, number]>;
/** Busy ticks of a hundred that pass. */
let cpuPercent: number;
let ticks: { busy: number; idle: number };

beforeEach(() => {
  bench = new CollectorBench();
  clock = createTestClock();
  sleeps = 0;
  const { sleep } = clock;
  clock.sleep = (ms, signal) => {
    sleeps++;
    return sleep(ms, signal);
  };
  root = bench.folder;
  full = { "/": [50, 10], "/var/my data": [50, 10] };
  cpuPercent = 1;
  ticks = { busy: 0, idle: 0 };
  mkdirSync(join(root, "proc/self"), { recursive: true });
  mkdirSync(join(root, "proc/4711"));
  write("filesystems", FILE_SYSTEMS);
  write("self/mountinfo", `${MOUNTS.join("\n")}\n`);
  write("4711/stat", `4711 (Web (x) y) S 1 1 1 0 -1 0 0 0 0 0 100 50 0 0 20 0 1 0 0 0 25600 0\n`);
  setMemory(50);
  setLoad(0.5);
  passTicks();
});
afterEach(() => bench.close());

function write(name: string, text: string): void {
  writeFileSync(join(root, "proc", name), text);
}
function setMemory(percent: number): void {
  write(
    "meminfo",
    `MemTotal: 1000000 kB\nMemFree: 10 kB\nMemAvailable: ${10_000 * (100 - percent)} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n`,
  );
}
function setLoad(load5: number): void {
  write("loadavg", `9.99 ${load5} 0.10 1/100 4711\n`);
}
/** Two processors. */
function passTicks(): void {
  ticks = { busy: ticks.busy + cpuPercent * 20, idle: ticks.idle + (100 - cpuPercent) * 20 };
  write(
    "stat",
    `cpu  ${ticks.busy} 0 0 ${ticks.idle} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0 0 0\n`,
  );
}

async function sizeOf(path: string): Promise<FileSystemSize> {
  const [blocks, inodes] = full[path] ?? [0, 0];
  if (blocks < 0) throw new Error("Input/output error");
  const left = 100 - blocks;
  return { bsize: 2 ** 30, blocks: 105, bfree: left + 5, bavail: left, files: 100, ffree: 100 - inodes };
}

function start(settings = {}) {
  return bench.start(createHostCollector(bench.deps({ clock, settings }), { root, sizeOf }));
}

/** Lets time pass, in which the collector looks every ten seconds. */
async function pass(minutes: number): Promise<void> {
  for (let look = 0; look < minutes * 6; look++) {
    const before = sleeps;
    passTicks();
    await clock.advance(10_000);
    await until(() => sleeps > before, { what: "the collector sleeps again" });
  }
}

/** Who is busy is measured for a second of its own, in the midst of a look. */
async function passUntilTold(): Promise<void> {
  await until(async () => {
    passTicks();
    await clock.advance(1_000);
    return bench.alerts.length > 0;
  });
}

describe("the collector of a host's figures", () => {
  test("tells of a disk that is full for a minute, that gets worse, and that has room again", async () => {
    start();
    await pass(1);
    full["/var/my data"] = [92, 10];
    await pass(1.5);
    expect(bench.alerts).toMatchObject([
      {
        type: "host",
        source: "/var/my data",
        message: "/var/my data is 92 % full: 8.00 GiB of 105.00 GiB left",
        severity: "warning",
        state: "firing",
      },
    ]);
    full["/var/my data"] = [98, 10];
    await pass(1.5);
    expect(bench.alerts[1]).toMatchObject({
      message: "/var/my data is 98 % full: 2.00 GiB of 105.00 GiB left",
      severity: "critical",
    });
    full["/var/my data"] = [93, 10];
    await pass(2);
    full["/var/my data"] = [40, 10];
    await pass(1.5);
    expect(bench.alerts.slice(2)).toMatchObject([{ source: "/var/my data", state: "resolved" }]);
  });

  test("says nothing of peaks, of pseudo file systems or of what is mounted twice", async () => {
    Object.assign(full, { "/snap/core/1": [100, 100], "/mnt/nfs": [100, 1], "/run": [100, 1], "/etc/bound": [100, 1] });
    start();
    full["/"] = [99, 10];
    await pass(0.5);
    full["/"] = [50, 10];
    await pass(3);
    expect(bench.alerts).toEqual([]);
  });

  const remount = (superOptions: string, ...more: string[]) => {
    const lines = MOUNTS.map((line) => line.replace("/dev/sda2 rw", `/dev/sda2 ${superOptions}`));
    write("self/mountinfo", `${[...lines, ...more].join("\n")}\n`);
  };

  test("says nothing of a disk that nobody can write to; one that turns so while it is full is not well", async () => {
    full["/var/my data"] = [100, 10];
    remount("ro");
    start();
    await pass(2);
    expect(bench.alerts).toEqual([]);
    remount("rw");
    await pass(1.5);
    remount("ro,errors=remount-ro");
    await pass(2);
    expect(bench.told()).toEqual([expect.stringContaining("/var/my data firing:")]);
  });

  test("goes on with a full disk's own place when it is bound to another", async () => {
    full["/var/my data"] = [95, 10];
    full["/d"] = [95, 10];
    start();
    await pass(1.5);
    remount("rw", "33 27 8:2 /pg /d rw - xfs /dev/sda2 rw");
    await pass(2);
    expect(bench.told()).toEqual([expect.stringContaining("/var/my data firing:")]);
  });

  test("tells of inodes, beside the same disk's blocks", async () => {
    full["/"] = [50, 95];
    start();
    await pass(1.5);
    expect(bench.told()).toEqual(["/ (inodes) firing: / has 95 % of its inodes in use: 5 of 100 left"]);
  });

  test("tells of memory after two minutes, with who takes it", async () => {
    setMemory(96);
    start();
    await pass(1.5);
    expect(bench.alerts).toEqual([]);
    await pass(1);
    expect(bench.alerts[0]).toMatchObject({
      source: "memory",
      message: "memory is 96 % in use: 0.04 GiB of 0.95 GiB available",
      logs: "   100 MiB  Web (x) y (4711)",
    });
    setMemory(92);
    await pass(3);
    expect(bench.alerts).toHaveLength(1);
    setMemory(60);
    await pass(3);
    expect(bench.told()[1]).toStartWith("memory resolved:");
  });

  test("measures the load by processor", async () => {
    setLoad(5);
    start({ thresholds: { ...THRESHOLDS, load: 2 } });
    await pass(5);
    await passUntilTold();
    expect(bench.told()).toEqual(["load firing: the load is 2.5 per processor: 5 over 5 minutes with 2 processors"]);
  });

  test("tells of processors that are busy for ten minutes", async () => {
    cpuPercent = 97;
    start();
    await pass(9);
    expect(bench.alerts).toEqual([]);
    await pass(1);
    await passUntilTold();
    expect(bench.told()).toEqual(["cpu firing: the processors are 97 % busy"]);
  });

  test("remembers over a restart what it told", async () => {
    full["/"] = [95, 10];
    const first = start();
    await pass(1.5);
    await first.stop();
    full["/"] = [50, 10];
    start();
    await pass(1.5);
    expect(bench.told().map((line) => line.split(":")[0])).toEqual(["/ firing", "/ resolved"]);
  });

  test("takes a disk for well when it is gone, but not when it does not answer", async () => {
    full["/var/my data"] = [95, 10];
    start();
    await pass(1.5);
    full["/var/my data"] = [-1, 0];
    await pass(1);
    expect(bench.alerts).toHaveLength(1);
    write("self/mountinfo", `${MOUNTS.filter((mount) => !mount.includes("sda2")).join("\n")}\n`);
    await pass(0.5);
    expect(bench.told()[1]).toBe("/var/my data resolved: /var/my data is no longer there, or no longer watched");
  });

  test("watches each of many disks, and says how many are too many", async () => {
    const disk = (at: number) =>
      `${100 + at} 27 9:${at} / /disks/${String(at).padStart(3, "0")} rw - ext4 /dev/d${at} rw`;
    const disks = (count: number) => [...MOUNTS, ...Array.from({ length: count }, (_, at) => disk(at))].join("\n");
    for (let at = 0; at < 600; at++) full[`/disks/${String(at).padStart(3, "0")}`] = [50, 10];
    full["/disks/119"] = [99, 10];
    write("self/mountinfo", `${disks(120)}\n`);
    start();
    await pass(1.5);
    expect(bench.alerts.map(({ source }) => source)).toEqual(["/disks/119"]);
    write("self/mountinfo", `${disks(600)}\n`);
    const { detail } = await createHostCollector(bench.deps(), { root, sizeOf }).check();
    expect(detail).toEndWith("(and 102 more that are too many to be watched)");
  });

  test("leaves alone what is switched off", async () => {
    full["/"] = [99, 99];
    start({ thresholds: { ...THRESHOLDS, disk: null } });
    await pass(1.5);
    expect(bench.told().map((line) => line.split(":")[0])).toEqual(["/ (inodes) firing"]);
  });

  test("says what it watches", async () => {
    const { detail, ok } = await createHostCollector(bench.deps(), { root, sizeOf }).check();
    expect(ok).toBe(true);
    expect(detail).toBe(
      "watches disk 90, inodes 90, memory 95, swap 80, load 3, cpu 95; disks now: / 50 %, /var/my data 50 %",
    );
  });
});

describe("all collectors", () => {
  test("are those that are switched on", async () => {
    const { settings, ...deps } = bench.deps({ settings: { enabled: ["docker", "host"] } });
    const collectors = createCollectors(settings, deps);
    const checks = await Promise.all(collectors.map((collector) => collector.check()));
    expect(checks.map(({ name, ok, absent = false }) => [name, ok, absent])).toEqual([
      ["docker", false, true],
      ["host", true, false],
    ]);
  });
});
