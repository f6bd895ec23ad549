import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkCommands, type Finding } from "../../src/agent/check.ts";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import { readInstalledAgent } from "../../src/agent/install/installed.ts";
import { polkitRule } from "../../src/agent/install/polkit.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { createConnectionStatus, statePaths } from "../../src/agent/state-dir.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { parseAllow } from "../../src/protocol/commands.ts";
import { createTestClock } from "../support/clock.ts";
import { runOpspilot } from "../support/command-line.ts";
import { freePort } from "../support/executable.ts";
import { startFakeDocker } from "../support/fake-docker.ts";
import { createFakeHost, SETTINGS } from "../support/fake-host.ts";
import { createFakePrograms, type FakePrograms } from "../support/fake-programs.ts";
import { quiet } from "../support/log.ts";
import { StreamServer } from "../support/stream-server.ts";
import { until } from "../support/until.ts";

const TOKEN = "a-good-token";
let folder = "";
let programs: FakePrograms;
let server: StreamServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-check-"));
  programs = createFakePrograms(folder);
  programs.add(
    "systemctl",
    `case "$*" in *Version*) echo Version=252;; *) printf 'Id=nginx.service\\nLoadState=loaded\\n';; esac`,
  );
  programs.add("journalctl", "echo 'Started something.'");
  programs.add("pkaction", "echo pkaction version 122");
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

describe("opspilot agent check", () => {
  /** Whatever watches this host is no matter here. */
  const check = (url: string, env: Record<string, string> = {}) =>
    runOpspilot(["agent", "check", "--server", url, "--token", TOKEN], {
      cwd: folder,
      env: {
        PATH: programs.path,
        OPSPILOT_DATA_DIR: folder,
        OPSPILOT_DOCKER_SOCKET: join(folder, "docker.sock"),
        ...env,
      },
    });

  test("says that the server can be reached and the token is accepted", async () => {
    server = new StreamServer();
    const { stdout, stderr } = await check(server.url);
    expect(stderr).toBe("");
    expect(stdout).toMatch(new RegExp(`ok +server +ws://127.0.0.1:${server.port}/v1/stream can be reached`));
    expect(stdout).toMatch(/ok +token +accepted, as agent /);
    expect(stdout).not.toContain(TOKEN);
    expect(server.frames.map(({ type }) => type)).toEqual(["heartbeat"]);
  });

  test("ends with 0 when all is well, and with 1 when the list holds what cannot be done", async () => {
    server = new StreamServer();
    const host = { OPSPILOT_COLLECTORS: "host" };
    expect((await check(server.url, { ...host, OPSPILOT_ALLOW: "none,ping" })).exitCode).toBe(0);
    const bad = await check(server.url, { ...host, OPSPILOT_ALLOW: "none,restart_container:web" });
    expect(bad.exitCode).toBe(1);
    expect(bad.stdout).toMatch(/NO +restart_container:web +there is no Docker at/);
  });

  test("says which collectors could not do their work, and ends with 1", async () => {
    server = new StreamServer();
    const refuse = (_: Request, path: string) =>
      path === "/events" ? Response.json({ message: "not for you" }, { status: 403 }) : undefined;
    const list = (_: Request, path: string) => (path === "/containers/json" ? Response.json([]) : undefined);
    const docker = startFakeDocker(folder, { intercept: (...asked) => refuse(...asked) ?? list(...asked) });
    programs.add(
      "journalctl",
      `case "$*" in *--follow*) echo 'No journal files were opened' >&2; exit 1;; *) echo an entry;; esac`,
    );
    const rules = `file:${folder} /x/; unit:nginx /x/; container:web /x/`;
    const { stdout, exitCode } = await check(server.url, {
      OPSPILOT_PATTERNS: rules,
      OPSPILOT_COLLECTORS: "docker,kernel,logs",
    });
    await docker.stop();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/NO +docker +not for you/);
    expect(stdout).toMatch(/NO +kernel +journalctl ended with exit status 1: No journal files were opened/);
    expect(stdout).toMatch(/NO +logs +.* but: .*: EISDIR: .*; journalctl ended with .*; not for you/);
  });

  test("says that the server does not accept the token", async () => {
    server = new StreamServer({
      answer(_, socket) {
        socket.send({ type: "error", code: "unauthorized", message: "unknown token" });
        socket.close(1008, "unauthorized");
        return undefined;
      },
    });
    const { stdout, exitCode } = await check(server.url);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/NO +token +not accepted: unknown token/);
  });

  test("says that nothing listens there", async () => {
    const { stdout, exitCode } = await check(`ws://127.0.0.1:${await freePort()}`);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/NO +server +ws:.* cannot be reached: .*nothing listens there/);
  });

  test("does not throw out the agent that runs here, and says how that one is connected", async () => {
    server = new StreamServer();
    const paths = statePaths(join(folder, "agent"));
    mkdirSync(join(folder, "agent"));
    // Its process is this one.
    writeFileSync(paths.lock, `${process.pid}\n`);
    const status = createConnectionStatus(paths.connection, createTestClock(), quiet);
    expect((await check(server.url)).stdout).toMatch(/\? +token +in use by the agent that runs here/);
    status.connected();
    expect((await check(server.url)).stdout).toMatch(
      /ok +token +accepted: the agent that runs here .* is connected since 2024-01-25T00:00:00/,
    );
    status.ended("the server does not accept this agent's token");
    const { stdout, exitCode } = await check(server.url);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /NO +token +the agent that runs here .* is not connected since .*: the server does not accept/,
    );
    expect(server.frames).toEqual([]);
  });

  test("beside a running agent leaves that one's connection alone", async () => {
    server = new StreamServer();
    const running = startAgent(server.url);
    await until(() => server?.frames.length, { ms: 20_000, what: "the agent is connected" });
    const connected = /ok +token +accepted: the agent that runs here/;
    await until(async () => connected.test((await check(server?.url ?? "")).stdout), { ms: 20_000 });
    // What was closed before it ran is no matter.
    const closed = server.closes.filter(({ code }) => code !== 1000);
    running.kill();
    await running.exited;
    expect(closed).toEqual([]);
    expect(server.upgrades.length).toBeGreaterThan(1);
    expect(server.frames.filter(({ id }) => id === "check")).toEqual([]);
  });

  test("tells mistakes in the settings as every command does", async () => {
    const { stderr, exitCode } = await check("ops.example.com", { OPSPILOT_ALLOW: "everything" });
    expect(exitCode).toBe(78);
    expect(stderr).toContain("OPSPILOT_SERVER: expected");
    expect(stderr).toContain("OPSPILOT_ALLOW: ");
  });
});

function startAgent(url: string) {
  const main = join(import.meta.dir, "../../src/main.ts");
  const env = { PATH: programs.path, OPSPILOT_DATA_DIR: folder, OPSPILOT_DOCKER_SOCKET: join(folder, "docker.sock") };
  return Bun.spawn([process.execPath, "--no-env-file", main, "agent", "--server", url, "--token", TOKEN], {
    cwd: folder,
    env,
    stdout: "ignore",
    stderr: "inherit",
  });
}

describe("what is said of an allowed command", () => {
  const look = async (
    allow: string,
    more: { rule?: string; isRoot?: boolean; searchPath?: string } = {},
  ): Promise<Finding | undefined> => {
    const parsed = parseAllow(`none,${allow}`);
    if ("fault" in parsed) throw new Error(parsed.fault);
    const { rule, isRoot = false, searchPath = programs.path } = more;
    const run = createProcessRunner({ searchPath, clock: createSystemClock() });
    const docker = createDockerApi({ socketPath: join(folder, "docker.sock") });
    return (await checkCommands({ allow: parsed.entries, run, docker, isRoot, rule }))[0];
  };
  const RULE = polkitRule("opspilot-agent", [{ verb: "restart", unit: "nginx.service" }]);

  test("that polkit lets it", async () => {
    expect(await look("restart_service:nginx", { rule: RULE })).toEqual({
      name: "restart_service:nginx",
      state: "ok",
      detail: "polkit lets it restart nginx.service",
    });
  });

  test.each([
    ["the rule lacks it", "stop_service:nginx", RULE, /the polkit rule lacks stop nginx\.service/],
    ["there is no rule", "restart_service:nginx", "", /the polkit rule lacks restart nginx\.service/],
    ["no unit matches", "restart_service:web-*", RULE, /no service of this host has such a name/],
  ])("that it cannot be done when %s", async (_, allow, rule, detail) => {
    const finding = await look(allow, { rule });
    expect(finding?.state).toBe("no");
    expect(finding?.detail).toMatch(detail);
  });

  test("that only root can tell, where the rule may not be read", async () => {
    expect(await look("restart_service:nginx")).toMatchObject({ state: "unknown" });
    expect(await look("restart_service:nginx", { isRoot: true })).toMatchObject({
      state: "ok",
      detail: "root needs no leave",
    });
  });

  test("that there is no such unit", async () => {
    programs.add("systemctl", "printf 'Id=nope.service\\nLoadState=not-found\\n'");
    expect(await look("restart_service:nope", { rule: RULE })).toMatchObject({
      state: "no",
      detail: "there is no unit nope.service on this host",
    });
  });

  test("that systemctl is not installed, or systemd does not run: a fault only where somebody counts on it", async () => {
    const searchPath = join(folder, "nowhere");
    expect(await look("service_status:*", { searchPath })).toMatchObject({ state: "absent" });
    const missing = await look("restart_service:nginx", { searchPath });
    expect(missing?.state).toBe("no");
    expect(missing?.detail).toContain("systemctl is not installed on this host");
    programs.add("systemctl", "echo 'System has not been booted with systemd as init system (PID 1).' >&2; exit 1");
    const detail = "System has not been booted with systemd as init system (PID 1).";
    expect(await look("service_status:*")).toMatchObject({ state: "absent", detail });
    expect(await look("restart_service:nginx")).toMatchObject({ state: "no", detail });
  });

  test("that there is no Docker, or that it may not be used", async () => {
    expect(await look("container_logs:*")).toMatchObject({ state: "absent" });
    expect(await look("container_logs:web")).toMatchObject({ state: "no" });
    expect(await look("restart_container:*")).toMatchObject({ state: "no" });
  });

  test("that the journal may not be read", async () => {
    expect(await look("get_logs:*")).toMatchObject({ state: "ok" });
    programs.add("journalctl", "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1");
    const finding = await look("get_logs:*");
    expect(finding?.state).toBe("no");
    expect(finding?.detail).toContain("group systemd-journal");
  });

  test("which Docker answers", async () => {
    const docker = startFakeDocker(folder, { apiVersion: "1.45" });
    const finding = await look("restart_container:*");
    await docker.stop();
    expect(finding?.state).toBe("ok");
    expect(finding?.detail).toContain("API 1.45");
  });
});

describe("the installed agent", () => {
  test("is seen with its settings, its user and all of its groups", async () => {
    const host = createFakeHost(folder);
    expect(readInstalledAgent(host.root)).toBeUndefined();
    writeFileSync(
      join(host.root, "etc/group"),
      "systemd-journal:x:999:\nadm:x:4:\nextra:x:5:someone,opspilot-agent\nother:x:6:someone\n",
    );
    await host.install({ groups: ["adm"], settings: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx" } });
    const installed = readInstalledAgent(host.root);
    expect(installed).toMatchObject({
      user: "opspilot-agent",
      uid: 997,
      gid: 997,
      env: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx", OPSPILOT_DATA_DIR: "/var/lib/opspilot-agent" },
    });
    expect([...(installed?.groups ?? [])].sort((one, other) => one - other)).toEqual([4, 5, 997, 999]);
    expect(installed?.rule).toContain('"restart nginx.service"');
  });
});
