import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSystemdCollector } from "../../src/agent/collectors/systemd.ts";
import { createSettableClock, createTestClock } from "../support/clock.ts";
import { CollectorBench } from "../support/collectors.ts";
import { FakeSystemd, recordedEntries } from "../support/fake-systemd.ts";
import { until } from "../support/until.ts";

const FAILED = { ActiveState: "failed", SubState: "failed", Result: "exit-code", InvocationID: "f00d" };
const ACTIVE = { ActiveState: "active", SubState: "running", Result: "success", NRestarts: "0", InvocationID: "cafe" };
const [started = {}, exited = {}, failed = {}] = recordedEntries("units", "web.service");

let bench: CollectorBench;
let systemd: FakeSystemd;
beforeEach(() => {
  bench = new CollectorBench();
  systemd = new FakeSystemd(bench.folder);
  systemd.writeAs("init.scope", "the machine was started");
});
afterEach(() => bench.close());

const create = (settings: { recoveryMs?: number } = {}) =>
  createSystemdCollector(bench.deps({ searchPath: systemd.searchPath, settings }));

/** A collector that has begun to follow the journal. */
async function start(settings?: { recoveryMs: number }) {
  const before = systemd.calls("journalctl").filter(({ words }) => words.includes("--follow")).length;
  const collector = bench.start(create(settings));
  await until(() => systemd.calls("journalctl").filter(({ words }) => words.includes("--follow")).length > before);
  return collector;
}

/** The unit fails, as systemd's journal has recorded it. */
function failWeb(): void {
  systemd.writeAs("web.service", "bind: Address already in use");
  systemd.setUnit("web.service", FAILED);
  systemd.write(started, exited, failed);
}

describe("the collector of systemd's units", () => {
  test("tells of a unit that fails, with its exit code and its last lines, and of its recovery", async () => {
    await start();
    failWeb();
    const alert = await bench.alert(0);
    expect(alert).toMatchObject({
      type: "systemd",
      source: "web.service",
      message:
        "web.service failed: Main process exited, code=exited, status=3/NOTIMPLEMENTED; result 'exit-code' (failures in a row: 1)",
      exitCode: 3,
      severity: "critical",
      state: "firing",
    });
    expect(alert.logs?.split("\n")[0]).toEndWith(" unknown[4711]: bind: Address already in use");
    expect(Date.now() - alert.atMs).toBeLessThan(10_000);
    systemd.setUnit("web.service", ACTIVE);
    expect(await bench.alert(1)).toMatchObject({
      source: "web.service",
      message: "web.service is active again",
      state: "resolved",
    });
  });

  test("does not believe a recovery that does not last", async () => {
    // Long enough for two looks and for this test to notice them, on a busy machine too.
    await start({ recoveryMs: 3_000 });
    failWeb();
    await bench.alert(0);
    const asked = () => systemd.calls("systemctl").length;
    for (let restart = 0; restart < 4; restart++) {
      const before = asked();
      systemd.setUnit("web.service", { ...ACTIVE, NRestarts: String(restart) });
      await until(() => asked() > before + 1, { ms: 10_000 });
    }
    expect(bench.alerts).toHaveLength(1);
    await until(() => bench.alerts.length === 2, { ms: 10_000 });
  }, 180_000);

  test("tells of a unit in a loop once with its count when systemd gives up, not at each turn", async () => {
    await start();
    systemd.setUnit("loop.service", FAILED);
    systemd.write(...recordedEntries("loop").slice(0, 23));
    expect((await bench.alert(1)).message).toEndWith("(failures in a row: 4)");
    systemd.setUnit("loop.service", { ...ACTIVE, ActiveState: "inactive", SubState: "dead" });
    expect((await bench.alert(2)).message).toBe("loop.service ended well, or was stopped (failures in a row: 4)");
    expect(bench.told().map((line) => line.split(" ")[1])).toEqual(["firing:", "firing:", "resolved:"]);
    const [first, second] = bench.alerts.map(({ message }) => message.replace(/\d+/g, "#"));
    expect(first).toBe(second as string);
  });

  test("knows each kind of end by its recorded entries", async () => {
    await start();
    const units = ["noexec.service", "segv.service", "slow.service", "data.mount", "backup.service"];
    for (const unit of units) systemd.setUnit(unit, FAILED);
    systemd.write(
      ...units.flatMap((unit) =>
        recordedEntries("units", unit)
          .slice(unit === "segv.service" ? -3 : 0)
          .slice(0, 4),
      ),
    );
    await bench.alert(4);
    const told = Object.fromEntries(bench.alerts.map(({ source, message, exitCode }) => [source, [message, exitCode]]));
    expect(told).toEqual({
      "noexec.service": [
        "noexec.service failed: Main process exited, code=exited, status=203/EXEC; result 'exit-code' (failures in a row: 1)",
        203,
      ],
      "segv.service": [
        "segv.service failed: Main process exited, code=killed, status=11/SEGV; result 'signal' (failures in a row: 1)",
        139,
      ],
      "slow.service": ["slow.service failed: result 'timeout' (failures in a row: 1)", undefined],
      "data.mount": [
        "data.mount failed: Mount process exited, code=exited, status=32/n/a; result 'exit-code' (failures in a row: 1)",
        32,
      ],
      "backup.service": [
        "backup.service failed: Main process exited, code=exited, status=28/n/a; result 'exit-code' (failures in a row: 1)",
        28,
      ],
    });
  });

  test("takes an end by a signal for no failure when somebody stops the unit", async () => {
    await start();
    const [stopping, , stopped] = recordedEntries("units", "flaky.service").slice(6, 9);
    const run = { UNIT: "flaky.service", INVOCATION_ID: stopping?.INVOCATION_ID };
    const terminated = { ...exited, ...run, EXIT_CODE: "killed", EXIT_STATUS: "15" };
    systemd.write(stopping ?? {}, terminated, { ...failed, ...run }, stopped ?? {});
    failWeb();
    expect((await bench.alert(0)).source).toBe("web.service");
    expect(bench.alerts).toHaveLength(1);
  });

  test.each(["", "-2f9c0ad81b6e43d7", "-startup-2f9c0ad81b6e43d7"])(
    "takes a health check of Podman's that fails for no unit of its own (%s)",
    async (suffix) => {
      const unit = `${"7107519d".repeat(8)}${suffix}.service`;
      systemd.setUnit(unit, FAILED);
      const collector = await start();
      systemd.write({ ...exited, UNIT: unit }, { ...failed, UNIT: unit });
      failWeb();
      expect((await bench.alert(0)).source).toBe("web.service");
      expect(await collector.check()).toMatchObject({
        detail: "watches all units by the journal; failed now: web.service",
      });
      expect(bench.alerts).toHaveLength(1);
    },
  );

  test("tells of a unit that ends without an error and is started again, again and again", async () => {
    await start();
    systemd.setUnit("loop.service", { ...ACTIVE, ActiveState: "activating", SubState: "auto-restart" });
    const restarts = recordedEntries("loop").filter(({ N_RESTARTS: count }) => count !== undefined);
    systemd.write(...restarts.slice(0, 4));
    systemd.write(...restarts.slice(0, 1));
    expect((await bench.alert(0)).message).toBe(
      "loop.service ends without an error and is started again, again and again (failures in a row: 1)",
    );
    expect(bench.alerts).toHaveLength(1);
  });

  describe("of which some end without an error now and then, though the clock is set meanwhile,", () => {
    const restarts = recordedEntries("loop").filter(({ N_RESTARTS: count }) => count !== undefined);
    const loop = async (...steps: readonly [waitMs: number, backMs: number][]) => {
      const clock = createTestClock(Date.now());
      systemd.clock = clock;
      await start();
      systemd.setUnit("loop.service", { ...ACTIVE, ActiveState: "activating", SubState: "auto-restart" });
      for (const [waitMs, backMs] of steps) {
        clock.leap(waitMs);
        clock.setBack(backMs);
        systemd.write(...restarts.slice(0, 1));
      }
    };

    test("takes none for a loop that is none", async () => {
      const [now, soon, later] = [0, 60_000, 1_800_000];
      await loop([now, 0], [soon, 0], [soon, 0], [later, 7_200_000], [soon, 0]);
      // What there would be to tell of it is told by the end.
      failWeb();
      await bench.alert(0);
      await bench.close();
      expect(bench.alerts.map(({ source }) => source)).toEqual(["web.service"]);
    });

    test("knows a loop", async () => {
      const soon = 30_000;
      await loop([soon, 0], [soon, 0], [soon, -7_200_000], [soon, 0], [soon, 0]);
      expect((await bench.alert(0)).source).toBe("loop.service");
    });
  });

  test("says when a unit failed by the clock as it is now, though it was put forward since", async () => {
    const collector = await start();
    await collector.stop();
    const clock = createSettableClock();
    systemd.clock = clock;
    failWeb();
    clock.setBack(-7_200_000);
    bench.start(createSystemdCollector(bench.deps({ clock, searchPath: systemd.searchPath })));
    expect(Math.abs((await bench.alert(0)).atMs - clock.now())).toBeLessThan(10_000);
  });

  test("believes nobody but systemd", async () => {
    await start();
    systemd.write(
      { ...exited, _PID: "666", UNIT: "forged.service" },
      { ...failed, _PID: "666", UNIT: "forged.service" },
    );
    failWeb();
    expect((await bench.alert(0)).source).toBe("web.service");
  });

  test("tells of what had failed before it came, once", async () => {
    systemd.setUnit("web.service", {
      ...FAILED,
      ExecMainCode: "1",
      ExecMainStatus: "3",
      StateChangeTimestampMonotonic: "1000000",
    });
    await start();
    const alert = await bench.alert(0);
    expect(alert).toMatchObject({
      message:
        "web.service has failed: main process exited, code=exited, status=3; result 'exit-code' (failures in a row: 1)",
      exitCode: 3,
    });
    const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
    expect(Math.abs(alert.atMs - (Date.now() - uptimeMs + 1000))).toBeLessThan(5_000);
    // The journal's own news of it comes late.
    systemd.write({ ...failed, INVOCATION_ID: FAILED.InvocationID });
    systemd.writeAs("other.service", "later");
    systemd.setUnit("web.service", ACTIVE);
    await until(() => bench.alerts.length === 2);
    expect(bench.alerts[1]?.message).toBe("web.service is active again");
  });

  test("misses nothing and repeats nothing when it is stopped and started", async () => {
    await (await start()).stop();
    failWeb();
    const again = await start();
    await bench.alert(0);
    await again.stop();
    systemd.write(...recordedEntries("units", "backup.service"));
    systemd.setUnit("backup.service", FAILED);
    systemd.setUnit("web.service", ACTIVE);
    await start();
    await until(() => bench.alerts.length === 3);
    expect(
      bench
        .told()
        .map((line) => line.split(":")[0])
        .sort(),
    ).toEqual(["backup.service firing", "web.service firing", "web.service resolved"]);
    expect(systemd.calls("journalctl").filter(({ words }) => words.includes("--show-cursor"))).toHaveLength(1);
  });

  test("gives the same happening the same key, when it was killed before it could note it", async () => {
    const collector = await start();
    await until(() => systemd.followers().length === 1);
    const state = join(bench.folder, "state/systemd.json");
    const before = readFileSync(state, "utf8");
    failWeb();
    await bench.alert(0);
    await collector.stop();
    writeFileSync(state, before);
    await start();
    const [first, second] = [await bench.alert(0), await bench.alert(1)];
    expect(first.key).toMatch(/^[0-9a-f]{48}$/);
    expect(second.key).toBe(first.key as string);
  });

  test("starts the journal's reader again when it dies, and ends it at the stop", async () => {
    const collector = await start();
    const [pid = 0] = await until(() => (systemd.followers().length > 0 ? systemd.followers() : false));
    process.kill(pid, "SIGKILL");
    failWeb();
    await bench.alert(0);
    expect(systemd.followers()).not.toContain(pid);
    await until(() => systemd.followers().length === 1);
    await collector.stop();
    expect(systemd.followers()).toEqual([]);
  });

  test("begins anew at a cursor that means nothing", async () => {
    await (await start()).stop();
    writeFileSync(join(bench.folder, "state/systemd.json"), JSON.stringify({ cursor: "broken", episodes: {} }));
    bench.start(create());
    await until(() => systemd.followers().length === 1);
    failWeb();
    await bench.alert(0);
  });

  test("waits for a systemd that is not there yet", async () => {
    systemd.setAway(true);
    const collector = bench.start(create());
    await until(() => systemd.calls("systemctl").length > 0);
    expect(await collector.check()).toMatchObject({ name: "systemd" });
    systemd.setAway(false);
    systemd.setUnit("web.service", FAILED);
    expect((await bench.alert(0)).source).toBe("web.service");
  });

  test("says what it can see", async () => {
    const collector = create();
    expect(await collector.check()).toEqual({
      name: "systemd",
      ok: false,
      detail:
        "this user may not read the system's journal (make it a member of the group systemd-journal, as `opspilot agent install` does)",
    });
    failWeb();
    expect(await collector.check()).toEqual({
      name: "systemd",
      ok: true,
      detail: "watches all units by the journal; failed now: web.service",
    });
    systemd.remove("systemctl");
    systemd.remove("journalctl");
    const nothing = createSystemdCollector(bench.deps());
    expect((await nothing.check()).detail).toStartWith("this host does not run systemd: systemctl is not installed");
  });
});
