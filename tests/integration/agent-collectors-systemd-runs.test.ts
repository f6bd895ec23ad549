import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSystemdCollector } from "../../src/agent/collectors/systemd.ts";
import { CollectorBench } from "../support/collectors.ts";
import { FakeSystemd, recordedEntries } from "../support/fake-systemd.ts";
import { until } from "../support/until.ts";

const JOURNAL_DELAY_MS = 600;

const UNIT = "shop.service";
const [FIRST, SECOND] = ["a".repeat(32), "b".repeat(32)] as const;
const failedRun = (run: string) => ({
  ActiveState: "failed",
  SubState: "failed",
  Result: "exit-code",
  InvocationID: run,
  ExecMainCode: "1",
  ExecMainStatus: "3",
  StateChangeTimestampMonotonic: "1000000",
});

let bench: CollectorBench;
let systemd: FakeSystemd;
beforeEach(() => {
  bench = new CollectorBench();
  systemd = new FakeSystemd(bench.folder);
  systemd.writeAs("init.scope", "the machine was started");
});
afterEach(() => bench.close());

/** A collector that has begun to follow the journal. */
async function start() {
  const follows = () => systemd.calls("journalctl").filter(({ words }) => words.includes("--follow")).length;
  const before = follows();
  const collector = bench.start(createSystemdCollector(bench.deps({ searchPath: systemd.searchPath })));
  await until(() => follows() > before);
  return collector;
}

/** Another unit fails: what came before it was heard, and has told what it tells. */
async function failOther(): Promise<string[]> {
  systemd.setUnit("other.service", failedRun("c".repeat(32)));
  systemd.say("other.service", "c".repeat(32), "started", "exited", "failed");
  await until(() => bench.alerts.some(({ source }) => source === "other.service"));
  return bench.alerts.map(({ source }) => source);
}

const texts = (logs = "") => logs.split("\n").map((line) => line.replace(/^\S+ \S+ [^:]*: /, ""));

describe("the log of a unit that fails", () => {
  test("is the failed run's, not that of a port conflict that was mended before", async () => {
    await start();
    systemd.say(UNIT, FIRST, "started");
    systemd.writeAs(UNIT, "Error: listen EADDRINUSE: address already in use :::3000", FIRST);
    systemd.say(UNIT, FIRST, "stopping", "stopped");
    systemd.say(UNIT, SECOND, "started");
    systemd.writeAs(UNIT, "Error: Cannot find module 'express'", SECOND);
    systemd.setUnit(UNIT, failedRun(SECOND));
    systemd.say(UNIT, SECOND, "exited", "failed");
    expect(texts((await bench.alert(0)).logs)).toEqual([
      "Started shop.service - Web shop.",
      "Error: Cannot find module 'express'",
      "shop.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED",
      "shop.service: Failed with result 'exit-code'.",
    ]);
  });

  test("has the lines of a program that ended before the journal could see its run, and none of the run after it", async () => {
    await start();
    systemd.say(UNIT, FIRST, "started", "exited", "failed");
    systemd.writeAs(UNIT, "the first run's");
    systemd.say(UNIT, SECOND, "started");
    systemd.writeAs(UNIT, "the second run's");
    const { logs } = await bench.alert(0);
    expect(logs).toContain("the first run's");
    expect(logs).not.toContain("the second run's");
  });

  test("is waited for when the journal is behind", async () => {
    await start();
    systemd.setUnit(UNIT, failedRun(FIRST));
    systemd.say(UNIT, FIRST, "started");
    systemd.writeAs(UNIT, "the first words", FIRST);
    systemd.lagMs = 100;
    systemd.say(UNIT, FIRST, "exited", "failed");
    // The stand-in's own delay, after which nothing else shows: so much later the journal has what was written last.
    await Bun.sleep(JOURNAL_DELAY_MS);
    systemd.writeAs(UNIT, "the last words", FIRST);
    expect(texts((await bench.alert(0)).logs).at(-1)).toBe("the last words");
  });

  test("keeps the first line of a stack trace that is longer than what is shown, and its last", async () => {
    await start();
    systemd.say(UNIT, FIRST, "started");
    systemd.writeAs(UNIT, "ready", FIRST);
    systemd.writeAs(UNIT, "java.lang.IllegalStateException: no connection", FIRST);
    for (let frame = 0; frame < 300; frame++)
      systemd.writeAs(UNIT, `\tat com.example.Frame${frame}(Frame.java)`, FIRST);
    systemd.writeAs(UNIT, "Caused by: java.net.ConnectException: Connection refused", FIRST);
    systemd.writeAs(UNIT, "\t... 12 more", FIRST);
    systemd.say(UNIT, FIRST, "exited", "failed");
    const lines = texts((await bench.alert(0)).logs);
    expect(lines).toHaveLength(100);
    expect(lines[0]).toBe("java.lang.IllegalStateException: no connection");
    expect(lines.find((line) => line.includes("left out"))).toBe("[... 206 lines left out ...]");
    expect(lines).toContain("Caused by: java.net.ConnectException: Connection refused");
  });

  test("has lines of any bytes, without colours, and lines longer than journalctl shows by itself", async () => {
    await start();
    systemd.say(UNIT, FIRST, "started");
    systemd.write({
      MESSAGE: [...Buffer.from("\u001b[31mERROR\u001b[0m caf"), 0xe9],
      _SYSTEMD_UNIT: UNIT,
      _PID: "4711",
      _SYSTEMD_INVOCATION_ID: FIRST,
    });
    systemd.say(UNIT, FIRST, "exited", "failed");
    expect(texts((await bench.alert(0)).logs)).toContain("ERROR caf\ufffd");
    const read = systemd.calls("journalctl").find(({ words }) => words.includes("--reverse"));
    expect(read?.words).toContain("--all");
  });

  test("has the reason for a missing user, which systemd's child says before it is the unit's", async () => {
    await start();
    systemd.write({
      MESSAGE: "shop.service: Failed to determine user credentials: No such process",
      UNIT,
      INVOCATION_ID: FIRST,
      _PID: "940",
      _UID: "0",
      _SYSTEMD_UNIT: "init.scope",
    });
    systemd.say(UNIT, FIRST, "started", "exited", "failed");
    expect((await bench.alert(0)).logs).toContain("Failed to determine user credentials");
  });
});

describe("no alert is told", () => {
  test("of a unit that a person stops, whatever its exit code, also not after the agent's restart", async () => {
    const collector = await start();
    systemd.say(UNIT, FIRST, "started", "stopping", "exited", "failed", "stopped");
    systemd.setUnit(UNIT, failedRun(FIRST));
    expect(await failOther()).toEqual(["other.service"]);
    await collector.stop();
    const again = await start();
    await again.stop();
    expect(bench.alerts).toHaveLength(1);
  });

  test("of a unit that was stopped while the agent was, from the journal alone", async () => {
    systemd.say(UNIT, FIRST, "started", "stopping", "exited", "failed", "stopped");
    systemd.setUnit(UNIT, failedRun(FIRST));
    await start();
    expect(await failOther()).toEqual(["other.service"]);
  });

  test("of a unit whose end comes after the agent was started anew in the midst of its stop", async () => {
    const collector = await start();
    systemd.say(UNIT, FIRST, "started", "stopping");
    await failOther();
    await collector.stop();
    systemd.say(UNIT, FIRST, "exited", "failed", "stopped");
    await start();
    systemd.say("third.service", SECOND, "started", "exited", "failed");
    await until(() => bench.alerts.some(({ source }) => source === "third.service"));
    expect(bench.alerts.map(({ source }) => source)).not.toContain(UNIT);
  });

  test("of a socket that gives up because of its service, heard or found", async () => {
    const collector = await start();
    const [, , failed = {}] = recordedEntries("units", "web.service");
    systemd.write({ ...failed, UNIT: "shop.socket", INVOCATION_ID: FIRST, UNIT_RESULT: "service-start-limit-hit" });
    systemd.setUnit("shop.socket", { ...failedRun(FIRST), Result: "service-start-limit-hit" });
    expect(await failOther()).toEqual(["other.service"]);
    await collector.stop();
    await (await start()).stop();
    expect(bench.alerts).toHaveLength(1);
  });

  test("of such a socket until its service runs again, and it does not", async () => {
    systemd.setUnit(UNIT, { ActiveState: "failed", Result: "exit-code", InvocationID: SECOND });
    const closed = { ...failedRun(FIRST), Result: "service-start-limit-hit", Triggers: UNIT };
    systemd.setUnit("shop.socket", closed);
    await start();
    expect((await bench.alert(0)).source).toBe(UNIT);
    systemd.setUnit(UNIT, { ActiveState: "active", Result: "success", InvocationID: "d".repeat(32) });
    expect((await bench.alert(1)).message).toBe("shop.service is active again");
    expect((await bench.alert(2)).message).toStartWith("shop.socket has failed");
    expect(bench.alerts).toHaveLength(3);
  });

  test("of a recovery when the machine was started again and nothing has started the unit", async () => {
    const collector = await start();
    systemd.setUnit(UNIT, failedRun(FIRST));
    systemd.say(UNIT, FIRST, "started", "exited", "failed");
    await bench.alert(0);
    await collector.stop();
    const path = join(bench.folder, "state/systemd.json");
    const state = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...state, units: { ...state.units, boot: "an earlier start" } }));
    systemd.setUnit(UNIT, { ActiveState: "inactive", SubState: "dead", Result: "success", InvocationID: "" });
    await start();
    const looks = () => systemd.calls("systemctl").filter(({ words }) => words.includes(UNIT)).length;
    const before = looks();
    await until(() => looks() > before + 5);
    expect(bench.alerts).toHaveLength(1);
    systemd.setUnit(UNIT, { ActiveState: "active", SubState: "running", Result: "success", InvocationID: SECOND });
    expect((await bench.alert(1)).message).toBe("shop.service is active again");
  });
});

describe("what had failed before the agent came", () => {
  test("is told in the words, with the exit code and under the key that it would have had when it was heard", async () => {
    systemd.say(UNIT, FIRST, "started");
    systemd.writeAs(UNIT, "Error: no such table", FIRST);
    systemd.say(UNIT, FIRST, "exited", "failed");
    systemd.setUnit(UNIT, failedRun(FIRST));
    const collector = await start();
    const found = await bench.alert(0);
    await collector.stop();
    writeFileSync(join(bench.folder, "state/systemd.json"), JSON.stringify({ cursor: "s=1;i=1", episodes: {} }));
    await start();
    const { logs, ...heard } = await bench.alert(1);
    expect({ ...found, logs: undefined }).toEqual({ ...heard, logs: undefined });
    expect(found.logs).toBe(logs as string);
    expect(found.message).toStartWith(
      "shop.service failed: Main process exited, code=exited, status=3/NOTIMPLEMENTED;",
    );
  });
});

test("the first failure while the agent is stopped is heard of, with whatever stands at the saved place", async () => {
  const collector = await start();
  await collector.stop();
  systemd.say(UNIT, FIRST, "exited", "failed");
  systemd.setUnit(UNIT, failedRun(FIRST));
  await start();
  expect((await bench.alert(0)).message).toContain("Main process exited");
});
