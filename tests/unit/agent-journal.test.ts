import { describe, expect, test } from "bun:test";
import { parseEntry } from "../../src/agent/collectors/journal-entry.ts";
import { createKernelReader } from "../../src/agent/collectors/kernel-lines.ts";
import { parseRecord } from "../../src/agent/collectors/kmsg.ts";
import { listFailed, showUnits } from "../../src/agent/collectors/systemctl.ts";
import { exitCodeOf, unitEventOf } from "../../src/agent/collectors/systemd-events.ts";
import type { RunProcess } from "../../src/agent/run-process.ts";
import { recordedEntries } from "../support/fake-systemd.ts";

const entryOf = (fields: Record<string, unknown>) => {
  const entry = parseEntry(JSON.stringify({ __CURSOR: "c", __REALTIME_TIMESTAMP: "1706140800123456", ...fields }));
  if (!entry) throw new Error("no entry");
  return entry;
};

describe("an entry of the journal", () => {
  test("is read in every shape that journalctl gives its fields", () => {
    const [colour, bytes, tooLong, multiline] = recordedEntries("fields").map(entryOf);
    expect(colour?.message).toBe("colour \u001b[31mred\u001b[0m");
    expect(bytes?.message).toBe("bytes \ufffd\ufffd");
    expect(tooLong?.message).toBe("");
    expect(tooLong?.field("MESSAGE")).toBeUndefined();
    expect(multiline?.message).toBe("one\ntwo");
  });

  test("may have a field several times", () => {
    expect(entryOf({ MESSAGE: ["one", [116, 119, 111], null] }).message).toBe("one\ntwo\n");
  });

  test("has the time of its arrival", () => {
    expect(entryOf({}).atMs).toBe(1_706_140_800_123);
    expect(entryOf({ __REALTIME_TIMESTAMP: "soon" }).atMs).toBe(0);
  });

  test.each(["", "{", "[]", "null", '"text"', '{"MESSAGE":"no cursor"}'])("is not what %j is", (line) => {
    expect(parseEntry(line)).toBeUndefined();
  });

  test("has no fields that JavaScript's objects have by themselves", () => {
    expect(entryOf({}).field("constructor")).toBeUndefined();
    expect(entryOf({}).field("__proto__")).toBeUndefined();
  });
});

describe("systemd's words", () => {
  test("are understood as they were recorded", () => {
    const kinds = (unit: string) =>
      recordedEntries("units", unit).flatMap((fields) => unitEventOf(entryOf(fields))?.kind ?? []);
    expect(kinds("web.service").slice(0, 9)).toEqual([
      "started",
      "exit",
      "failed",
      "started",
      "exit",
      "failed",
      "started",
      "stopping",
      "stopped",
    ]);
    expect(kinds("flaky.service").slice(0, 6)).toEqual([
      "started",
      "exit",
      "failed",
      "restarting",
      "stopped",
      "started",
    ]);
    expect(kinds("slow.service")).toEqual(["failed"]);
    const loop = recordedEntries("loop").flatMap((fields) => unitEventOf(entryOf(fields))?.kind ?? []);
    expect(loop.slice(-6)).toEqual(["gave up", "failed", "started", "exit", "failed", "restarting"]);
  });

  test("are understood from before they had names", () => {
    const event = (MESSAGE: string, more = {}) => unitEventOf(entryOf({ UNIT: "a.service", MESSAGE, ...more }));
    expect(event("Unit a.service entered failed state.")).toMatchObject({ kind: "failed", result: "failed" });
    const exit = "a.service: main process exited, code=exited, status=1/FAILURE";
    expect(event(exit, { EXIT_CODE: "exited", EXIT_STATUS: "1" })).toEqual({
      kind: "exit",
      unit: "a.service",
      invocation: undefined,
      exitCode: 1,
      text: "main process exited, code=exited, status=1/FAILURE",
    });
    expect(event("a.service holdoff time over, scheduling restart.")).toBeUndefined();
  });

  test.each([
    ["exited", "3", 3],
    ["killed", "9", 137],
    ["killed", "TERM", 143],
    ["dumped", "SIGSEGV", 139],
    ["dumped", "11", 139],
    ["killed", "RTMIN+3", undefined],
    ["exited", "", undefined],
    [undefined, "1", undefined],
  ])("%p and %p make the exit code %p", (code, status, expected) => {
    expect(exitCodeOf(code, status)).toBe(expected as number);
  });
});

describe("units", () => {
  test("are all asked for, however many have failed, and none has the properties of another", async () => {
    const names = Array.from({ length: 450 }, (_, at) => `job-${at}.service`);
    const run: RunProcess = async (words) => {
      const asked = words.slice(words.indexOf("--") + 1);
      const list = names.map((name) => `${name} loaded failed failed A job`).join("\n");
      const blocks = asked.map((name) => `Id=${name}\nActiveState=failed\nResult=${"x".repeat(300)}\n`).join("\n");
      return { exitCode: 0, stdout: words.includes("show") ? blocks : list, stderr: "", ended: "by itself" };
    };
    expect(await listFailed(run)).toEqual(names);
    const shown = await showUnits(names, run);
    expect([...shown].filter(([name, { Id }]) => name === Id)).toHaveLength(450);
  });
});

describe("the kernel's lines", () => {
  test("name the victim of a lack of memory and whose it was, as they were recorded", () => {
    const reader = createKernelReader();
    const troubles = recordedEntries("kernel").flatMap((fields) => reader.take(String(fields.MESSAGE)) ?? []);
    expect(troubles.map(({ source }) => source)).toEqual(["oom-killer", "loop0", "loop0", "loop0"]);
    expect(troubles[0]?.what).toStartWith(
      "the kernel killed tail (process 10246) of container 7a299cca05d4 for lack of memory: Memory cgroup out of memory",
    );
  });

  test("tell the kill of a whole group once, and the next kill again", () => {
    const kill = (pid: number, name: string) => [
      `${name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0`,
      `oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/g1,task_memcg=/system.slice/o-main.service,task=${name},pid=${pid},uid=0`,
      `Memory cgroup out of memory: Killed process ${pid} (${name}) total-vm:43608kB, anon-rss:40632kB`,
    ];
    const group = [
      ...kill(374, "tail"),
      "Tasks in /g1 are going to be killed due to memory.oom.group set",
      "Memory cgroup out of memory: Killed process 374 (tail) total-vm:43608kB, anon-rss:40632kB",
      "Memory cgroup out of memory: Killed process 375 (sleep) total-vm:2468kB, anon-rss:80kB",
    ];
    const reader = createKernelReader();
    const told = [...group, ...kill(401, "perl")].flatMap((line) => reader.take(line)?.what.slice(0, 60) ?? []);
    expect(told).toEqual([
      "the kernel killed tail (process 374) of o-main.service for l",
      "the kernel killed perl (process 401) of o-main.service for l",
    ]);
  });

  test("name the unit, on old kernels too", () => {
    const reader = createKernelReader();
    reader.take(
      "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/system.slice/mysql.service,task=mysqld,pid=812,uid=112",
    );
    expect(reader.take("Out of memory: Killed process 812 (mysqld) total-vm:1kB")?.what).toContain(
      "mysqld (process 812) of mysql.service",
    );
    expect(reader.take("Killed process 813 (Web Content) total-vm:1kB, anon-rss:1kB")?.what).toContain(
      "killed Web Content (process 813) for",
    );
    expect(reader.take("Out of memory: Kill process 9 (a (b)) score 900 or sacrifice child")?.what).toContain(
      "killed a (b",
    );
  });

  test.each([
    ["EXT4-fs error (device sda1): ext4_lookup:1602: inode #2: comm ls: deleted inode referenced: 12", "sda1"],
    ["EXT4-fs (dm-0): Remounting filesystem read-only", "dm-0"],
    ["XFS (nvme0n1p2): Metadata I/O Error (0x1) detected at xfs_trans_read_buf_map", "nvme0n1p2"],
    ["XFS (sdb1): Filesystem has been shut down due to log error (0x2).", "sdb1"],
    ["BTRFS error (device sdc1): bdev /dev/sdc1 errs: wr 0, rd 2, flush 0, corrupt 0, gen 0", "sdc1"],
    ["Buffer I/O error on dev sdb, logical block 0, async page read", "sdb"],
    ["blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x80700", "sda"],
    ["critical medium error, dev sdd, sector 123456", "sdd"],
    ["I/O error, dev nvme0n1, sector 1000 op 0x1:(WRITE)", "nvme0n1"],
    ["nvme nvme0: I/O 12 QID 3 timeout, aborting", "nvme0"],
    ["md/raid1:md0: Disk failure on sdb1, disabling device.", "md0"],
    ["Aborting journal on device sda1-8.", "sda1"],
    ["INFO: task kworker/0:1:12 blocked for more than 120 seconds.", "kernel"],
    ["watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:2:123]", "kernel"],
    ["BUG: unable to handle page fault for address: ffffffff", "kernel"],
    ["mce: [Hardware Error]: Machine check events logged", "hardware"],
  ])("%s: trouble with %s", (line, source) => {
    expect(createKernelReader().take(line)?.source).toBe(source);
  });

  test.each([
    "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
    "EXT4-fs (sda1): re-mounted. Opts: (null). Quota mode: none.",
    "BTRFS info (device sda1): using free space tree",
    "XFS (sda1): Ending clean mount",
    "sd 0:0:0:0: [sda] Attached SCSI disk",
    "nvme nvme0: 8/0/0 default/read/poll queues",
    "perf: interrupt took too long (2501 > 2500), lowering kernel.perf_event_max_sample_rate",
    "systemd[1]: Started Journal Service.",
    'audit: type=1400 audit(1): apparmor="DENIED" error=-13',
  ])("%s: nothing", (line) => {
    expect(createKernelReader().take(line)).toBeUndefined();
  });

  test("are read from the kernel's own device", () => {
    expect(parseRecord("3,467,13976784606,-;Out of memory: Killed process 1 (a\\x0ab)\n SUBSYSTEM=x\n")).toEqual({
      sequence: 467,
      monotonicUs: 13976784606,
      message: "Out of memory: Killed process 1 (a\nb)",
      isKernel: true,
    });
    expect(parseRecord("30,468,1,-,caller=T1;systemd[1]: hello")?.isKernel).toBe(false);
    expect(parseRecord("rubbish")).toBeUndefined();
  });
});
