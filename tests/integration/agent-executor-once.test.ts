import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLedger } from "../../src/agent/ledger.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { ResultPayload } from "../../src/protocol/frames.ts";
import { createTestClock } from "../support/clock.ts";
import { killAndWait } from "../support/e2e.ts";
import { createTestExecutor, type TestExecutorOptions } from "../support/executor.ts";
import { createFakePrograms, type FakePrograms, waitFor } from "../support/fake-programs.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

const folders: string[] = [];
let folder = "";
let programs: FakePrograms;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-once-"));
  folders.push(folder);
  programs = createFakePrograms(folder);
  programs.add("systemctl");
  programs.add("journalctl", "echo one line");
});
afterAll(() => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

const ID = "0b0f5f0e-7d9a-4d43-9d3b-0a5f6d3c2b1a";
const executorWith = (options: Partial<TestExecutorOptions> = {}) =>
  createTestExecutor({ folder, allow: "restart_service:*", searchPath: programs.path, ...options });
const restarts = () => programs.calls("systemctl").filter((words) => words.includes("restart")).length;
const restart = { service: "nginx" };

describe("a command", () => {
  test("that comes again gets its stored result, from this process and the next", async () => {
    const executor = executorWith();
    const result = await executor.ask("restart_service", restart, { id: ID });
    expect(result.status).toBe("done");
    expect(await executor.ask("restart_service", restart, { id: ID })).toEqual(result);
    expect(await executorWith().ask("restart_service", restart, { id: ID })).toEqual(result);
    expect(await executorWith().ask("restart_service", restart, { id: ID.toUpperCase() })).toEqual(result);
    expect(restarts()).toBe(1);
  });

  test("that comes again under another name is still the first", async () => {
    const executor = executorWith();
    const result = await executor.ask("restart_service", restart, { id: ID });
    expect(await executor.ask("restart_service", { service: "redis" }, { id: ID })).toEqual(result);
    expect(restarts()).toBe(1);
  });

  test("that comes again while it runs runs once, and both get the result", async () => {
    programs.add("systemctl", `case "$*" in *restart*) ${waitFor("go")};; esac`);
    const executor = executorWith();
    const asked = [1, 2, 3].map(() => executor.ask("restart_service", restart, { id: ID }));
    await until(() => restarts() === 1);
    programs.touch("go");
    const [first, ...others] = await Promise.all(asked);
    expect(others).toEqual([first, first] as never);
    expect(restarts()).toBe(1);
  });

  test("that was refused stays refused when it comes again, though the list has changed", async () => {
    const refused = await executorWith({ allow: "" }).ask("restart_service", restart, { id: ID });
    expect(refused.status).toBe("rejected");
    expect(await executorWith().ask("restart_service", restart, { id: ID })).toEqual(refused);
    expect(restarts()).toBe(0);
  });

  test("is interrupted, and not run again, when the agent is killed by SIGKILL; what systemd does goes on", async () => {
    programs.add("systemctl", `${waitFor("go")}; touch "$HERE/finished"`);
    const main = join(import.meta.dir, "../support/executor-process.ts");
    const words = [folder, programs.path, ID, "restart_service", JSON.stringify(restart)];
    const agent = Bun.spawn([process.execPath, "--no-env-file", main, ...words], { stdout: "pipe", stderr: "inherit" });
    await until(() => restarts() === 1, { ms: 15_000 });
    await killAndWait(agent.pid);
    programs.touch("go");
    await until(() => readdirSync(join(folder, "programs")).includes("finished"));

    const next = executorWith();
    const [interrupted, ...others] = await next.unfinished();
    expect(others).toEqual([]);
    expect(interrupted).toMatchObject({ command_id: ID, status: "failed" });
    expect(interrupted?.error).toStartWith("interrupted");
    expect(await next.ask("restart_service", restart, { id: ID })).toEqual(interrupted as never);
    expect(restarts()).toBe(1);
  });

  test("is not run when it cannot be noted on disk first", async () => {
    const executor = executorWith();
    rmSync(join(folder, "commands"), { recursive: true });
    const result = await executor.ask("restart_service", restart);
    expect(result.status).toBe("rejected");
    expect(result.error).toContain("it cannot be noted on this host's disk first");
    expect(restarts()).toBe(0);
  });

  test("keeps its result in memory when the disk does not take it", async () => {
    programs.add("systemctl", `rm -rf '${join(folder, "commands")}'`);
    const executor = executorWith();
    const result = await executor.ask("restart_service", restart, { id: ID });
    expect(result.status).toBe("done");
    expect(await executor.ask("restart_service", restart, { id: ID })).toEqual(result);
    expect(restarts()).toBe(1);
  });
});

const byId = (results: readonly ResultPayload[]) =>
  [...results].sort((one, other) => one.command_id.localeCompare(other.command_id));

describe("a result", () => {
  test("is unfinished until the server has it, across restarts", async () => {
    const executor = executorWith();
    const results = [await executor.ask("get_logs", restart), await executor.ask("ping")];
    // Those of one tick of the file system's clock have no order.
    expect(byId(await executorWith().unfinished())).toEqual(byId(results));
    await executor.settled(results[0]?.command_id ?? "");
    expect(await executor.unfinished()).toEqual(results.slice(1));
    expect(await executorWith().unfinished()).toEqual(results.slice(1));
    // It is known still.
    const id = results[0]?.command_id ?? "";
    expect(await executorWith().ask("get_logs", restart, { id })).toEqual(results[0] as never);
    expect(programs.calls("journalctl")).toHaveLength(1);
  });

  test("that is settled twice, or of a command nobody knows, is no matter", async () => {
    const executor = executorWith();
    const { command_id } = await executor.ask("ping");
    await executor.settled(command_id);
    await executor.settled(command_id);
    await executor.settled(ID);
    await executor.settled("../../etc/passwd");
    expect(await executor.unfinished()).toEqual([]);
  });
});

describe("the ledger", () => {
  const files = () => readdirSync(join(folder, "commands"));

  test("keeps 500 commands, and forgets first what the server has", async () => {
    const ledger = openLedger({ dir: join(folder, "commands"), clock: createSystemClock(), log: quiet });
    const ids = Array.from({ length: 520 }, () => crypto.randomUUID());
    for (const [at, id] of ids.entries()) {
      await ledger.begin(id);
      await ledger.finish({ command_id: id, status: "done" });
      if (at >= 10) await ledger.settle(id);
    }
    expect(files().length).toBeLessThanOrEqual(501);
    expect(ledger.unsettled().map(({ command_id }) => command_id)).toEqual(ids.slice(0, 10));
    expect(ledger.find(ids[10] ?? "")).toBeUndefined();
    expect(ledger.find(ids.at(-1) ?? "")).toEqual({ command_id: ids.at(-1) ?? "", status: "done" });
  });

  test("forgets what is older than a week", async () => {
    const clock = createTestClock(Date.now());
    const dir = join(folder, "commands");
    const executor = executorWith({ clock });
    await executor.ask("ping", {}, { id: ID });
    await executor.settled(ID);
    const weekAgo = new Date(clock.now() - 8 * 24 * 3_600_000);
    for (const file of files()) utimesSync(join(dir, file), weekAgo, weekAgo);
    expect(await executorWith({ clock }).unfinished()).toEqual([]);
    expect(files()).toEqual([]);
  });

  test("neither forgets what the server does not have, nor runs it again, when the clock is put forward", async () => {
    const clock = createTestClock(Date.now());
    const executor = executorWith({ clock });
    const other = crypto.randomUUID();
    const result = await executor.ask("get_logs", restart, { id: ID });
    clock.setBack(-30 * 365 * 24 * 3_600_000);
    await executor.ask("ping", {}, { id: other });
    await executor.settled(other);
    expect(await executor.ask("get_logs", restart, { id: ID })).toEqual(result);
    expect(await executorWith({ clock }).unfinished()).toEqual([result as never]);
    expect(programs.calls("journalctl")).toHaveLength(1);
  });

  test("forgets those first that were written before the clock was put back", async () => {
    const clock = createTestClock(Date.now());
    const dir = join(folder, "commands");
    executorWith({ clock });
    const ids = Array.from({ length: 502 }, () => crypto.randomUUID());
    for (const [at, id] of ids.entries()) {
      writeFileSync(join(dir, `${id}.settled`), JSON.stringify({ command_id: id, status: "done" }));
      const writtenAt = new Date(clock.now() + (at < 2 ? 7_200_000 : 0) - 60_000 + at);
      utimesSync(join(dir, `${id}.settled`), writtenAt, writtenAt);
    }
    const ledger = openLedger({ dir, clock, log: quiet });
    expect(ids.filter((id) => ledger.find(id) === undefined)).toEqual(ids.slice(0, 2));
  });

  test("bears a torn file and files that are none of its own", async () => {
    const dir = join(folder, "commands");
    executorWith();
    writeFileSync(join(dir, `${ID}.result`), '{"command_id":"');
    writeFileSync(join(dir, "README"), "hello");
    const [torn] = await executorWith().unfinished();
    expect(torn).toMatchObject({ command_id: ID, status: "failed" });
    expect(files()).toContain("README");
  });

  test("is for its owner alone: outputs may hold secrets", async () => {
    chmodSync(folder, 0o755);
    await executorWith().ask("ping", {}, { id: ID });
    const { mode } = await Bun.file(join(folder, "commands", `${ID}.result`)).stat();
    expect((mode & 0o777).toString(8)).toBe("600");
  });
});

describe("the end of the agent", () => {
  test("waits for a restart that is under way, and begins nothing new", async () => {
    programs.add("systemctl", `case "$*" in *restart*) ${waitFor("go")};; esac`);
    const executor = executorWith();
    const first = executor.ask("restart_service", restart);
    await until(() => restarts() === 1);
    const second = executor.ask("restart_service", restart);
    const stopped = executor.stop();
    programs.touch("go");
    await stopped;
    expect(await first).toMatchObject({ status: "done" });
    expect(await second).toMatchObject({ status: "rejected", error: "the agent was stopping" });
    expect(restarts()).toBe(1);
  });

  test("gives up what only looks", async () => {
    programs.add("journalctl", "sleep 1000");
    const executor = executorWith();
    const asked = executor.ask("get_logs", restart);
    await until(() => programs.calls("journalctl").length === 1);
    await executor.stop();
    expect(await asked).toMatchObject({ status: "failed" });
    expect((await asked).error).toContain("the agent is stopping");
  });
});
