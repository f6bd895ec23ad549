import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCollectors } from "../../src/agent/collectors/all.ts";
import { createKernelCollector } from "../../src/agent/collectors/kernel.ts";
import { createSettableClock } from "../support/clock.ts";
import { CollectorBench } from "../support/collectors.ts";
import { FakeSystemd, recordedEntries } from "../support/fake-systemd.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
beforeEach(() => {
  bench = new CollectorBench();
});
afterEach(() => bench.close());

const uptimeUs = () => Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e6);

describe("the collector of the kernel's log", () => {
  test("tells of a lack of memory with its victim, and of a broken file system once, as they were recorded", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("init.scope", "begin");
    const collector = bench.start(createKernelCollector(bench.deps({ searchPath: systemd.searchPath })));
    await until(() => systemd.followers().length === 1);
    // A program that writes like the kernel is none.
    systemd.writeAs("forger.service", "Out of memory: Killed process 1 (init)");
    systemd.write(...recordedEntries("kernel"));
    const [killed, broken] = [await bench.alert(0), await bench.alert(1)];
    expect(killed).toMatchObject({ type: "host", source: "oom-killer", severity: "critical", state: "firing" });
    expect(killed.message).toStartWith(
      "the kernel killed tail (process 10246) of container 7a299cca05d4 for lack of memory",
    );
    expect(killed.logs).toStartWith("tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL)");
    expect(broken.message).toBe(
      "EXT4-fs error (device loop0): trigger_test_error:129: comm bash: oops (failures in a row: 1)",
    );
    expect(broken.source).toBe("loop0");
    await collector.stop();
    expect(bench.alerts).toHaveLength(2);
    expect(systemd.followers()).toEqual([]);
  });

  test("goes on where it was", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("init.scope", "begin");
    const create = () => createKernelCollector(bench.deps({ searchPath: systemd.searchPath }));
    const collector = bench.start(create());
    await until(() => systemd.followers().length === 1);
    await collector.stop();
    systemd.write(...recordedEntries("kernel"));
    const second = bench.start(create());
    await bench.alert(1);
    await second.stop();
    bench.start(create());
    await until(() => systemd.followers().length === 1);
    expect(bench.alerts).toHaveLength(2);
  });

  test("hears of the first line while it is stopped, whatever stands at the saved place", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("init.scope", "not the kernel's");
    const create = () => createKernelCollector(bench.deps({ searchPath: systemd.searchPath }));
    const collector = bench.start(create());
    await until(() => systemd.followers().length === 1);
    await collector.stop();
    systemd.write({
      MESSAGE: "Out of memory: Killed process 812 (mysqld)",
      _TRANSPORT: "kernel",
      SYSLOG_IDENTIFIER: "kernel",
    });
    bench.start(create());
    expect((await bench.alert(0)).message).toContain("killed mysqld");
  });

  test("reads the kernel's own device where there is no journal, from now on", async () => {
    const kmsgPath = join(bench.folder, "kmsg");
    writeFileSync(kmsgPath, "");
    const record = (sequence: number, us: number, text: string) => `3,${sequence},${us},-;${text}\n`;
    const create = () => createKernelCollector(bench.deps(), { kmsgPath });
    expect(await create().check()).toEqual({
      name: "kernel",
      ok: true,
      detail: `watches the kernel's log by ${kmsgPath}`,
    });
    writeFileSync(kmsgPath, record(7, 1, "Buffer I/O error on dev sdz, logical block 0"));
    const clock = createSettableClock();
    const collector = bench.start(createKernelCollector(bench.deps({ clock }), { kmsgPath }));
    appendFileSync(kmsgPath, record(8, uptimeUs() + 1e6, "Buffer I/O error on dev sdb, logical block 0"));
    const alert = await bench.alert(0);
    expect(alert).toMatchObject({ source: "sdb", state: "firing" });
    expect(Math.abs(alert.atMs - clock.now())).toBeLessThan(10_000);
    clock.setBack(7_200_000);
    appendFileSync(kmsgPath, record(9, uptimeUs() + 1e6, "Buffer I/O error on dev sdc, logical block 0"));
    expect(Math.abs((await bench.alert(1)).atMs - clock.now())).toBeLessThan(10_000);
    await collector.stop();
    const { cursor } = JSON.parse(readFileSync(join(bench.folder, "state/kernel.json"), "utf8"));
    expect(cursor).toMatch(/^kmsg [0-9a-f-]{36} 9$/);
  }, 180_000);

  test("says what is missing", async () => {
    const systemd = new FakeSystemd(bench.folder);
    const create = () => createKernelCollector(bench.deps({ searchPath: systemd.searchPath }));
    expect(await create().check()).toMatchObject({ ok: false, detail: expect.stringContaining("systemd-journal") });
    systemd.write(...recordedEntries("kernel"));
    expect(await create().check()).toEqual({
      name: "kernel",
      ok: true,
      detail: "watches the kernel's log by the journal",
    });
    const nothing = createKernelCollector(bench.deps(), { kmsgPath: join(bench.folder, "none") });
    expect((await nothing.check()).detail).toStartWith("there is no journal, and");
  });
});

describe("all collectors", () => {
  test("keep to themselves what is to be ignored", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("init.scope", "begin");
    const ignore = [{ type: "host", pattern: "oom-*" }];
    const { settings, ...deps } = bench.deps({
      searchPath: systemd.searchPath,
      settings: { enabled: ["kernel"], ignore },
    });
    const [collector] = createCollectors(settings, deps);
    if (collector) bench.start(collector);
    await until(() => systemd.followers().length === 1);
    systemd.write(...recordedEntries("kernel"));
    expect((await bench.alert(0)).source).toBe("loop0");
  });
});
