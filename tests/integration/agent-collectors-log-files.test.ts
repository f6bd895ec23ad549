import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readlinkSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHealth, type Health } from "../../src/agent/collectors/health.ts";
import { createLogFiles, FILES_PART } from "../../src/agent/collectors/log-files.ts";
import { parseLogRules } from "../../src/config/log-rules.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

let folder: string;
let ending: AbortController;
let running: Promise<void>;
let clock: ReturnType<typeof createTestClock>;
let lines: string[];
let warnings: string[];
let health: Health;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-log-files-"));
  ending = new AbortController();
  clock = createTestClock(Date.now());
  health = createHealth(clock, [FILES_PART]);
  lines = [];
  warnings = [];
});
afterEach(async () => {
  ending.abort();
  await running;
  rmSync(folder, { recursive: true, force: true });
});

/** Follows the files of a pattern; `turn` lets time pass, and waits until they were looked at. */
async function start(pattern = "*.log*") {
  const parsed = parseLogRules(`file:${folder}/${pattern} /./`);
  if ("fault" in parsed) throw new Error(parsed.fault);
  let turns = 0;
  const files = createLogFiles({
    rules: parsed.rules,
    alerts: { sourceOf: () => ({ take: async ({ text }: { text: string }) => void lines.push(text) }) } as never,
    places: {},
    clock,
    log: { ...quiet, warn: (_: unknown, message: string) => void warnings.push(message) } as never,
    signal: ending.signal,
    pollMs: 1000,
    health,
  });
  running = files.run(() => void turns++);
  await until(() => turns > 0);
  return async (ms: number) => {
    const before = turns;
    clock.leap(ms);
    await until(() => turns > before);
  };
}

const path = (name: string) => join(folder, name);
function openFiles(): string[] {
  return [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(folder) ? [target.slice(folder.length + 1)] : [];
    } catch {
      return [];
    }
  });
}

describe("log files of a pattern", () => {
  test("with a new name each day are read after more than a hundred days, too", async () => {
    writeFileSync(path("app-000.log"), "old\n");
    const turn = await start();
    for (let day = 1; day <= 130; day++) {
      const name = path(`app-${String(day).padStart(3, "0")}.log`);
      writeFileSync(name, `day ${day}\n`);
      utimesSync(name, day * 86_400, day * 86_400);
      await turn(10_000);
    }
    await turn(10_000);
    // Two days' files may be looked at in one turn, in any order.
    const days = lines.map((line) => Number(line.slice("day ".length)));
    expect(days.sort((one, other) => one - other)).toEqual(Array.from({ length: 130 }, (_, at) => at + 1));
    expect(openFiles().length).toBeLessThanOrEqual(100);
    expect(warnings).toEqual(["more log files match than are followed at once: those that changed last are"]);
  }, 180_000);

  test("that are too many are followed again once they change, from where they were left", async () => {
    for (let at = 0; at < 120; at++) {
      writeFileSync(path(`${at}.log`), "before\n");
      utimesSync(path(`${at}.log`), at, at);
    }
    const turn = await start();
    appendFileSync(path("3.log"), "after\n");
    await turn(10_000);
    await turn(1_000);
    expect(lines).toEqual(["after"]);
  });

  test("that are too many are followed once they change, though others changed in a time that is still to come", async () => {
    for (let at = 0; at < 120; at++) writeFileSync(path(`${at}.log`), "before\n");
    for (let at = 0; at < 120; at++) utimesSync(path(`${at}.log`), clock.now() / 1000 - at, clock.now() / 1000 - at);
    const turn = await start();
    clock.setBack(7_200_000);
    appendFileSync(path("110.log"), "after\n");
    utimesSync(path("110.log"), clock.now() / 1000, clock.now() / 1000);
    await turn(10_000);
    await turn(1_000);
    expect(lines).toEqual(["after"]);
  });

  test("that are deleted are let go of, so that their space is free again", async () => {
    writeFileSync(path("app.log"), "old\n");
    const turn = await start();
    appendFileSync(path("app.log"), "last\n");
    rmSync(path("app.log"));
    await turn(1_000);
    expect(lines).toEqual(["last"]);
    expect(openFiles()).toEqual(["app.log (deleted)"]);
    await turn(31_000);
    await turn(10_000);
    expect(openFiles()).toEqual([]);
    writeFileSync(path("app.log"), "new\n");
    await turn(10_000);
    expect(lines).toEqual(["last", "new"]);
  });

  test("that are renamed within the pattern are not read once more, however late", async () => {
    writeFileSync(path("app.log"), "old\n");
    const turn = await start();
    appendFileSync(path("app.log"), "first\n");
    await turn(1_000);
    renameSync(path("app.log"), path("app.log.1"));
    writeFileSync(path("app.log"), "second\n");
    await turn(1_000);
    await turn(31_000);
    await turn(10_000);
    await turn(10_000);
    expect(lines).toEqual(["first", "second"]);
  });
});
