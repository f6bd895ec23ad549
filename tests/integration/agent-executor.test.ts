import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestClock } from "../support/clock.ts";
import { isAlive } from "../support/e2e.ts";
import { createTestExecutor, type TestExecutorOptions } from "../support/executor.ts";
import { createFakePrograms, type FakePrograms, waitFor } from "../support/fake-programs.ts";
import { until } from "../support/until.ts";

/** As systemd 252 answers about a service that runs, and about one that is not there. */
const SHOWN =
  "NRestarts=3\nLoadState=loaded\nActiveState=active\nSubState=running\nActiveEnterTimestampMonotonic=1000000";
const SHOWN_FAILED =
  "NRestarts=4\nLoadState=loaded\nActiveState=failed\nSubState=failed\nActiveEnterTimestampMonotonic=12735036402";
const SHOWN_NOT_FOUND =
  "NRestarts=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nActiveEnterTimestampMonotonic=0";

const EVERYTHING = "restart_service:*,start_service:*,stop_service:*,restart_container:*";

const folders: string[] = [];
let folder = "";
let programs: FakePrograms;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-executor-"));
  folders.push(folder);
  programs = createFakePrograms(folder);
  programs.add("systemctl", `case "$*" in *show*) printf '%s\\n' '${SHOWN}';; esac`);
  programs.add("journalctl", "echo 'one line'");
});
afterAll(() => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

const executorWith = (options: Partial<TestExecutorOptions> = {}) =>
  createTestExecutor({ folder, allow: EVERYTHING, searchPath: programs.path, ...options });

describe("a command that is allowed", () => {
  test.each([
    ["restart_service", ["--no-ask-password", "restart", "--", "nginx.service"]],
    ["start_service", ["--no-ask-password", "start", "--", "nginx.service"]],
    ["stop_service", ["--no-ask-password", "stop", "--", "nginx.service"]],
  ])("%s asks systemd, and tells how the unit is then", async (command, words) => {
    const result = await executorWith().ask(command, { service: "nginx" });
    expect(result).toMatchObject({ status: "done", exit_code: 0, output: "nginx.service: active (running)" });
    expect(programs.calls("systemctl")[0]).toEqual(words);
  });

  test("get_logs shows lines without their colours", async () => {
    programs.add("journalctl", "printf '\\033[31mred\\033[0m line\\n'");
    expect((await executorWith().ask("get_logs", { service: "nginx" })).output).toBe("red line\n");
  });

  test("get_logs reads the unit's last lines from the journal", async () => {
    expect(await executorWith().ask("get_logs", { service: "nginx.service", lines: 7 })).toMatchObject({
      status: "done",
      output: "one line\n",
    });
    expect(programs.calls("journalctl")).toEqual([
      ["--no-pager", "--output=short-iso", "--all", "--lines=7", "--unit=nginx.service"],
    ]);
  });

  test("get_logs asks the journal for lines that are young and grave enough", async () => {
    await executorWith().ask("get_logs", { service: "nginx", lines: 7, since_s: 3600, priority: "warning" });
    expect(programs.calls("journalctl").at(-1)).toEqual([
      ...["--no-pager", "--output=short-iso", "--all", "--lines=7", "--since=-3600s", "--priority=warning"],
      "--unit=nginx.service",
    ]);
  });

  test("get_logs with a pattern searches more lines itself, in whatever case, and shows the last that hold it", async () => {
    programs.add("journalctl", "printf 'FATAL one\\nnoise\\nfatal two\\nFatal three\\nnoise\\n'");
    const params = { service: "nginx", lines: 2, pattern: "fatal (one|two|three)" };
    expect((await executorWith().ask("get_logs", params)).output).toBe("fatal two\nFatal three\n");
    expect(programs.calls("journalctl").at(-1)).toContain("--lines=10000");
    expect(programs.calls("journalctl").at(-1)?.join(" ")).not.toContain("fatal");
  });

  test("list_units shows failed units first, a line each", async () => {
    programs.add(
      "systemctl",
      "printf 'nginx.service   loaded active   running A web server\\ndb.service loaded failed failed The \\033[31mdatabase\\n'",
    );
    expect(await executorWith().ask("list_units")).toMatchObject({
      status: "done",
      output: "db.service loaded failed failed The database\nnginx.service loaded active running A web server",
    });
    expect(programs.calls("systemctl")[0]).toEqual([
      ...["--no-pager", "--no-legend", "--plain", "--full", "--all"],
      ...["--type=service,socket,timer,mount,swap,path", "list-units"],
    ]);
  });

  test.each([
    [{ pattern: "web-*" }, "web-1.service loaded active running one\nweb-2.timer loaded active waiting two"],
    [{ pattern: "web-*.timer" }, "web-2.timer loaded active waiting two"],
    [{ pattern: "nope" }, "none"],
  ])("list_units by %j shows what fits, by no pattern of systemctl's own", async (params, output) => {
    const units = ["web-1.service loaded active running one", "web-2.timer loaded active waiting two"];
    programs.add("systemctl", `printf '${[...units, "db.service loaded active running db"].join("\\n")}\\n'`);
    expect((await executorWith().ask("list_units", params)).output).toBe(output);
    expect(programs.calls("systemctl").flat()).not.toContain(params.pattern);
  });

  test("list_units asks for failed ones alone", async () => {
    await executorWith().ask("list_units", { failed: true });
    expect(programs.calls("systemctl")[0]).toContain("--failed");
  });

  test("list_units of a host with very many says how many it leaves out", async () => {
    programs.add("systemctl", "for i in $(seq 1 350); do echo unit-$i.service loaded active running $i; done");
    const { output = "" } = await executorWith().ask("list_units");
    expect(output.split("\n")).toHaveLength(301);
    expect(output).toEndWith("[... 50 units left out ...]");
  });

  test("list_units fails with what systemd says", async () => {
    programs.add("systemctl", "echo 'Failed to connect to bus' >&2; exit 1");
    const result = await executorWith().ask("list_units");
    expect(result).toMatchObject({ status: "failed", exit_code: 1, error: "Failed to connect to bus" });
  });

  test("agent_facts says what the agent may do and sees, also without an engine", async () => {
    const { status, output = "" } = await executorWith({ allow: "none agent_facts get_logs:web-*" }).ask("agent_facts");
    expect(status).toBe("done");
    expect(JSON.parse(output)).toMatchObject({
      version: "0.0.0-test",
      allow: ["agent_facts:*", "get_logs:web-*"],
      collectors: { systemd: { state: "sees" } },
      containers: [],
    });
  });

  test("service_status is JSON with the seconds since the unit is active", async () => {
    const { status, output = "" } = await executorWith().ask("service_status", { service: "nginx" });
    const uptime = Number((await Bun.file("/proc/uptime").text()).split(" ")[0]);
    const { active_since_s, ...rest } = JSON.parse(output);
    expect({ status, ...rest }).toEqual({ status: "done", active_state: "active", sub_state: "running", restarts: 3 });
    expect(Math.abs(active_since_s - (uptime - 1))).toBeLessThan(3);
  });

  test("service_status of a failed unit has been active for no time", async () => {
    programs.add("systemctl", `printf '%s\\n' '${SHOWN_FAILED}'`);
    const { output = "" } = await executorWith().ask("service_status", { service: "nginx" });
    expect(JSON.parse(output)).toEqual({
      active_state: "failed",
      sub_state: "failed",
      active_since_s: null,
      restarts: 4,
    });
  });

  test.each([
    ["Result=exit-code\nExecMainCode=1\nExecMainStatus=78", { result: "exit-code", exit_code: 78 }],
    ["Result=oom-kill\nExecMainCode=2\nExecMainStatus=9", { result: "oom-kill", signal: 9 }],
    ["Result=start-limit-hit\nExecMainCode=0\nExecMainStatus=0", { result: "start-limit-hit" }],
    ["Result=success\nExecMainCode=1\nExecMainStatus=0", {}],
  ])("service_status tells how a unit failed: %p", async (shown, expected) => {
    programs.add("systemctl", `printf '%s\\n' '${SHOWN_FAILED}' '${shown}'`);
    const { output = "" } = await executorWith().ask("service_status", { service: "nginx" });
    const { active_state: _, sub_state: __, active_since_s: ___, restarts: ____, ...rest } = JSON.parse(output);
    expect(rest).toEqual(expected);
  });

  test("service_status of a unit that is not there fails", async () => {
    programs.add("systemctl", `printf '%s\\n' '${SHOWN_NOT_FOUND}'`);
    const result = await executorWith().ask("service_status", { service: "ngnix" });
    expect(result).toMatchObject({ status: "failed", error: "there is no unit ngnix.service on this host" });
  });

  test("ping and host_report need no program", async () => {
    const executor = executorWith({ searchPath: join(folder, "nowhere") });
    expect(await executor.ask("ping")).toMatchObject({ status: "done", output: "pong" });
    const { status, output = "" } = await executor.ask("host_report");
    expect(status).toBe("done");
    for (const title of ["Host", "Memory", "Disks", "Failed units", "Largest processes"])
      expect(output).toContain(`${title}\n  `);
    expect(output).toContain("df is not installed on this host");
  });

  test("update_agent asks who may do it as root, where somebody waits for that", async () => {
    const request = Bun.file(join(folder, "update.request"));
    const executor = executorWith({ allow: "update_agent" });
    programs.add("systemctl", "exit 3");
    const nobody = await executor.ask("update_agent");
    expect([nobody.status, await request.exists()]).toEqual(["failed", false]);
    expect(nobody.error).toContain("opspilot agent install");
    programs.add("systemctl");
    const { status, output } = await executor.ask("update_agent");
    expect([status, await request.exists()]).toEqual(["done", true]);
    expect(output).toContain("get_logs of opspilot-agent-update.service");
    expect(programs.calls("systemctl").at(-1)).toEqual(["is-active", "--quiet", "--", "opspilot-agent-update.path"]);
    const refused = await executorWith().ask("update_agent");
    expect([refused.status, refused.error]).toEqual(["rejected", expect.stringContaining("add update_agent to")]);
  });

  test("is told with its duration and its end", async () => {
    const clock = createTestClock();
    const id = crypto.randomUUID();
    const result = await executorWith({ clock }).ask("ping", {}, { id });
    expect(result).toMatchObject({ command_id: id, duration_ms: 0, finished_at: clock.now() / 1000 });
  });

  test("fails with what the program says and its exit status", async () => {
    programs.add("systemctl", "echo 'Failed to restart nope.service: Unit nope.service not found.' >&2; exit 5");
    expect(await executorWith().ask("restart_service", { service: "nope" })).toMatchObject({
      status: "failed",
      exit_code: 5,
      error: "Failed to restart nope.service: Unit nope.service not found.",
    });
  });

  test("says what to do when systemd does not let the agent's user do it", async () => {
    programs.add(
      "systemctl",
      "echo 'Failed to restart nginx.service: Interactive authentication required.' >&2; exit 1",
    );
    const { error } = await executorWith().ask("restart_service", { service: "nginx" });
    expect(error).toContain("Interactive authentication required. (systemd does not let the agent's user restart");
    expect(error).toContain("opspilot agent install");
  });

  test("says which program is missing on a host without systemd", async () => {
    const executor = executorWith({ searchPath: join(folder, "nowhere") });
    const result = await executor.ask("restart_service", { service: "nginx" });
    expect(result.status).toBe("failed");
    expect(result.error).toContain("systemctl is not installed on this host");
  });

  test("restarts the agent itself without waiting for its own end", async () => {
    const result = await executorWith().ask("restart_service", { service: "opspilot-agent" });
    expect(result).toMatchObject({ status: "done", output: "opspilot-agent.service: restart is under way" });
    expect(programs.calls("systemctl")).toEqual([
      ["--no-ask-password", "--no-block", "restart", "--", "opspilot-agent.service"],
    ]);
  });

  test("gives the program nothing of the agent's environment, and no input", async () => {
    programs.add("journalctl", "env; cat; echo end");
    const { output } = await executorWith().ask("get_logs", { service: "nginx" });
    const names = output?.split("\n").map((line) => line.split("=")[0]);
    expect(names?.sort()).toEqual(["", "LC_ALL", "PATH", "PWD", "end"]);
  });
});

describe("output", () => {
  test("over 64 KiB keeps its head and its tail, with a line that says how much is missing", async () => {
    programs.add("journalctl", "echo first; yes 'Grüße 😀' | head -n 200000; echo last");
    const { output = "" } = await executorWith().ask("get_logs", { service: "nginx" });
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(64 * 1024);
    expect(Buffer.byteLength(output)).toBeGreaterThan(63 * 1024);
    expect(output.startsWith("first\nGrüße 😀\n")).toBe(true);
    expect(output.endsWith("😀\nlast\n")).toBe(true);
    const left = Number(/^\[\.\.\. (\d+) bytes left out \.\.\.\]$/m.exec(output)?.[1]);
    expect(left).toBe(
      11 + 200_000 * Buffer.byteLength("Grüße 😀\n") - Buffer.byteLength(output.replace(/\n\[.*\]\n/, "")),
    );
    expect(output).not.toContain("\ufffd");
  });

  test("has no NUL, which the server's database refuses", async () => {
    programs.add("journalctl", "printf 'a\\000b'");
    expect((await executorWith().ask("get_logs", { service: "nginx" })).output).toBe("ab");
  });
});

describe("the time limit", () => {
  test("ends the program with all its children, and tells so", async () => {
    const clock = createTestClock();
    programs.add("journalctl", 'sleep 1000 & echo $! > "$HERE/child"; echo begun; wait');
    const asked = executorWith({ clock }).ask("get_logs", { service: "nginx" });
    const child = Number(await until(() => programs.read("child").trim()));
    await clock.advance(30_000);
    const result = await asked;
    expect(result).toMatchObject({
      status: "failed",
      output: "begun\n",
      error: "journalctl for nginx.service did not end within 20 s, and was given up",
    });
    await until(() => !isAlive(child), { what: "the child is gone" });
  });
});

describe("the order", () => {
  test("is one at a time for a unit by whichever name, while other units go on", async () => {
    programs.add("systemctl", `case "$*" in *restart*nginx*) ${waitFor("go")};; esac; printf '%s\\n' '${SHOWN}'`);
    const executor = executorWith();
    const first = executor.ask("restart_service", { service: "nginx" });
    await until(() => programs.calls("systemctl").length === 1);
    const second = executor.ask("stop_service", { service: "nginx.service" });
    expect(await executor.ask("restart_service", { service: "redis" })).toMatchObject({ status: "done" });
    const verbs = () => programs.calls("systemctl").map((words) => [words[1], words.at(-1)].join(" "));
    expect(verbs()).not.toContain("stop nginx.service");
    programs.touch("go");
    expect(await first).toMatchObject({ status: "done" });
    expect(await second).toMatchObject({ status: "done" });
    const nginx = verbs().filter((verb) => verb.endsWith("nginx.service"));
    expect(nginx).toEqual([
      "restart nginx.service",
      "--no-pager nginx.service",
      "stop nginx.service",
      "--no-pager nginx.service",
    ]);
  });

  test("counts as duration the run, not the wait for it", async () => {
    const clock = createTestClock();
    programs.add("journalctl", waitFor("go"));
    const executor = executorWith({ clock });
    const asked = [1, 2].map(() => executor.ask("get_logs", { service: "nginx" }));
    await until(() => programs.calls("journalctl").length === 1);
    await clock.advance(7_000);
    programs.touch("go");
    expect((await Promise.all(asked)).map(({ duration_ms }) => duration_ms)).toEqual([7_000, 0]);
  });

  test("refuses more than can reasonably wait", async () => {
    programs.add("journalctl", waitFor("go"));
    const executor = executorWith();
    const asked = Array.from({ length: 60 }, () => executor.ask("get_logs", { service: "nginx" }));
    await until(() => programs.calls("journalctl").length === 1);
    programs.touch("go");
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === "done")).toHaveLength(50);
    expect(statuses.filter((status) => status === "rejected")).toHaveLength(10);
  });
});

describe("an expired command", () => {
  test("is rejected, and nothing is run", async () => {
    const clock = createTestClock();
    const receivedMs = clock.monotonicMs();
    await clock.advance(61_000);
    const result = await executorWith({ clock }).ask("restart_service", { service: "nginx" }, { receivedMs });
    expect(result.status).toBe("rejected");
    expect(result.error).toContain("expired");
    expect(programs.calls("systemctl")).toEqual([]);
  });

  test("is rejected too when it expired while another was under way", async () => {
    const clock = createTestClock();
    programs.add("systemctl", `case "$*" in *restart*) ${waitFor("go")};; esac; printf '%s\\n' '${SHOWN}'`);
    const executor = executorWith({ clock });
    const first = executor.ask("restart_service", { service: "nginx" });
    await until(() => programs.calls("systemctl").length === 1);
    const second = executor.ask("stop_service", { service: "nginx" }, { ttl_s: 5 });
    await clock.advance(6_000);
    programs.touch("go");
    expect(await first).toMatchObject({ status: "done" });
    expect(await second).toMatchObject({ status: "rejected" });
    expect(programs.calls("systemctl").flat()).not.toContain("stop");
  });

  test.each([0, -1, Number.NaN, "60", undefined])("a ttl_s of %p is none", async (ttl) => {
    const result = await executorWith().ask("ping", {}, { ttl_s: ttl as number });
    expect(result).toMatchObject({ status: "rejected", error: "ttl_s: expected a number of seconds above 0" });
  });
});
