import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettingsFile } from "../../src/agent/install/installed.ts";
import { PATHS } from "../../src/agent/install/unit.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { CERTIFICATE } from "../support/certificate.ts";
import { createFakeHost, type FakeHost, SETTINGS } from "../support/fake-host.ts";

const folders: string[] = [];
let folder = "";
let host: FakeHost;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-install-"));
  folders.push(folder);
  host = createFakeHost(folder, { units: ["nginx.service", "web-1.service", "web-2.service", "web@.service"] });
});
afterAll(() => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

const changes = (name = "systemctl") =>
  host.programs.calls(name).filter((words) => !/show|list-unit/.test(words[0] ?? ""));
const ENABLED = ["enable", "--now", "opspilot-agent.service"];

describe("opspilot agent install", () => {
  test("makes user, executable, settings and unit, and starts the service", async () => {
    await host.install();
    expect(host.programs.calls("useradd").map((words) => words.at(-1))).toEqual(["opspilot-agent"]);
    expect(await host.read(PATHS.executable)).toBe("the executable");
    expect(await host.mode(PATHS.executable)).toBe("755");
    expect(await host.mode(PATHS.settings)).toBe("600");
    expect(readSettingsFile(await host.read(PATHS.settings))).toEqual(SETTINGS);
    const unit = await host.read(PATHS.unit);
    for (const line of [
      "User=opspilot-agent",
      "SupplementaryGroups=systemd-journal",
      "NoNewPrivileges=yes",
      "ProtectSystem=strict",
      "StateDirectory=opspilot-agent",
      "MemoryMax=256M",
      `EnvironmentFile=${PATHS.settings}`,
    ])
      expect(unit.split("\n")).toContain(line);
    expect(unit).not.toContain(SETTINGS.OPSPILOT_TOKEN);
    expect(changes()).toEqual([["daemon-reload"], ENABLED]);
    expect(host.told().join("\n")).not.toContain(SETTINGS.OPSPILOT_TOKEN);
  });

  test("a second time changes nothing, and needs to be told nothing", async () => {
    await host.install({
      docker: true,
      groups: ["adm"],
      user: "ops",
      settings: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx" },
    });
    const before = await Promise.all(
      Object.values(PATHS).map((path) => host.exists(path).then((is) => (is ? host.read(path) : ""))),
    );
    host.told();
    await host.install({ settings: {} });
    const after = await Promise.all(
      Object.values(PATHS).map((path) => host.exists(path).then((is) => (is ? host.read(path) : ""))),
    );
    expect(after).toEqual(before);
    expect(host.told().filter((line) => line.startsWith("wrote"))).toEqual([]);
    expect(changes()).toEqual([["daemon-reload"], ENABLED, ENABLED]);
    expect(host.programs.calls("useradd")).toHaveLength(1);
  });

  test("with another setting restarts the service", async () => {
    await host.install();
    await host.install({ settings: { OPSPILOT_TOKEN: "another-token" } });
    expect(changes().at(-1)).toEqual(["restart", "opspilot-agent.service"]);
    expect(readSettingsFile(await host.read(PATHS.settings))).toEqual({ ...SETTINGS, OPSPILOT_TOKEN: "another-token" });
  });

  test("keeps what a person has written into the settings", async () => {
    await host.install();
    const own = `# mine\n${await host.read(PATHS.settings)}OPSPILOT_SPOOL=1MiB\n`;
    writeFileSync(join(host.root, PATHS.settings), own);
    await host.install({ settings: { OPSPILOT_ALLOW: "restart_service:nginx" } });
    expect(await host.read(PATHS.settings)).toBe(`${own}OPSPILOT_ALLOW=restart_service:nginx\n`);
  });

  test("writes a token with any characters so that systemd reads it as it is", async () => {
    const token = `a$b"c\\d'e\`f#g=h`;
    await host.install({ settings: { ...SETTINGS, OPSPILOT_TOKEN: token } });
    expect(readSettingsFile(await host.read(PATHS.settings)).OPSPILOT_TOKEN).toBe(token);
  });

  test("is in the group docker only when told, and says what that means", async () => {
    await host.install();
    expect(host.told().join("\n")).not.toContain("docker");
    await host.install({ docker: true });
    expect(await host.read(PATHS.unit)).toContain("SupplementaryGroups=systemd-journal docker\n");
    expect(host.told().join("\n")).toContain("the group docker, which is as good as root on this host");
    await host.install({ docker: false });
    expect(await host.read(PATHS.unit)).toContain("SupplementaryGroups=systemd-journal\n");
  });

  test("copies the authority's certificates to where the agent may read them", async () => {
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, CERTIFICATE, { mode: 0o600 });
    await host.install({ settings: { ...SETTINGS, OPSPILOT_CA: ca } });
    expect(await host.read(PATHS.ca)).toBe(CERTIFICATE);
    expect(await host.mode(PATHS.ca)).toBe("644");
    expect(readSettingsFile(await host.read(PATHS.settings)).OPSPILOT_CA).toBe(PATHS.ca);
    rmSync(ca);
    await host.install({ settings: {} });
    expect(await host.read(PATHS.ca)).toBe(CERTIFICATE);
  });

  test.each([
    ["not root", { uid: 1000 }, "run it as root"],
    ["the program that fails", {}, "the agent's user cannot be made: useradd"],
  ])("by %s says so, and stops", async (what, deps, message) => {
    if (what !== "not root") host.programs.add("useradd", "echo 'cannot lock /etc/passwd' >&2; exit 10");
    await expect(host.install({}, deps)).rejects.toThrow(message);
    expect(await host.exists(PATHS.unit)).toBe(false);
  });

  test("on a host without systemd says what is missing", async () => {
    rmSync(join(host.root, "run/systemd"), { recursive: true });
    await expect(host.install()).rejects.toThrow("this host was not started by systemd");
    expect(await host.exists(PATHS.settings)).toBe(false);
  });

  test("tells all mistakes at once, and no secret", async () => {
    const settings = { OPSPILOT_SERVER: "ops", OPSPILOT_TOKEN: "sesame", OPSPILOT_ALLOW: "restart:all" };
    const failure = await host.install({ settings, groups: ["nobodys"], user: "a b" }).catch((error) => error.message);
    for (const name of ["OPSPILOT_SERVER", "OPSPILOT_TOKEN", "OPSPILOT_ALLOW", "--group", "--user"])
      expect(failure).toContain(`  ${name}: `);
    expect(failure).not.toContain("sesame");
    expect(await host.exists(PATHS.settings)).toBe(false);
  });

  test("takes no setting with a line break, which would be two", async () => {
    const settings = { ...SETTINGS, NO_PROXY: "a\nOPSPILOT_ALLOW=restart_service:*" };
    await expect(host.install({ settings })).rejects.toThrow("NO_PROXY: expected one line");
  });

  test("for another root writes files and runs nothing", async () => {
    await host.install({ isThisSystem: false });
    expect(await host.exists(PATHS.unit)).toBe(true);
    expect([...changes(), ...host.programs.calls("useradd")]).toEqual([]);
    expect(host.told().join("\n")).toContain("not run, since it is not this system: systemctl enable --now");
  });

  test("as a dry run writes nothing, runs nothing, and shows all but the token", async () => {
    await host.install(
      { isDryRun: true, settings: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx" } },
      { uid: 1000 },
    );
    const told = host.told().join("\n");
    for (const text of [
      "would write /etc/opspilot/agent.env, mode 600",
      "OPSPILOT_TOKEN=****",
      "NoNewPrivileges=yes",
      '"restart nginx.service"',
      "would run: systemctl enable --now",
    ])
      expect(told).toContain(text);
    expect(told).not.toContain(SETTINGS.OPSPILOT_TOKEN);
    for (const path of Object.values(PATHS)) expect(await host.exists(path)).toBe(false);
    expect(changes()).toEqual([]);
  });

  test("leaves an executable that is there already as it is", async () => {
    symlinkSync(join(folder, "opspilot"), join(host.root, PATHS.executable));
    await host.install();
    expect(host.told()).toContain("unchanged: /usr/local/bin/opspilot");
    await host.uninstall();
    expect(await host.exists(PATHS.executable)).toBe(true);
  });
});

describe("updates that the server may ask for", () => {
  const WATCH = "opspilot-agent-update.path";
  const allowing = (allow: string) => host.install({ settings: { ...SETTINGS, OPSPILOT_ALLOW: allow } });

  test("are waited for by a unit of root's, only where they are allowed", async () => {
    await host.install();
    expect(await host.exists(PATHS.updateWatch)).toBe(false);
    await allowing("update_agent");
    expect(changes()).toContainEqual(["enable", "--now", WATCH]);
    expect(host.told().join("\n")).toContain("whoever controls the server can run anything as root");
    expect(await host.read(PATHS.updateWatch)).toContain(
      "PathChanged=/var/lib/opspilot-agent/agent/update.request\nUnit=opspilot-agent-update.service\n",
    );
    expect(await host.read(PATHS.updateUnit)).toContain("ExecStart=/usr/local/bin/opspilot agent update\n");
    await allowing("ping");
    expect(changes()).toContainEqual(["disable", "--now", WATCH]);
    for (const path of [PATHS.updateWatch, PATHS.updateUnit]) expect(await host.exists(path)).toBe(false);
  });

  test("go with the agent", async () => {
    await allowing("update_agent");
    await host.uninstall();
    expect(changes().filter(([verb]) => verb === "disable")).toContainEqual(["disable", "--now", WATCH]);
    for (const path of Object.values(PATHS)) expect([path, await host.exists(path)]).toEqual([path, false]);
  });

  test("are told to systemd in words that it knows", async () => {
    await allowing("update_agent");
    if (Bun.which("systemd-analyze") === null) return;
    const units = [PATHS.unit, PATHS.updateWatch, PATHS.updateUnit].map((path) => join(host.root, path));
    const { stderr } = Bun.spawnSync(["systemd-analyze", "verify", ...units]);
    const about = stderr
      .toString()
      .split("\n")
      .filter((line) => /opspilot/.test(line));
    expect(about.filter((line) => /Unknown|Invalid|Failed to parse|ignoring/i.test(line))).toEqual([]);
  });
});

describe("the polkit rule", () => {
  const allowing = (allow: string) => host.install({ settings: { ...SETTINGS, OPSPILOT_ALLOW: allow } });

  test("names the units one by one, and lets the agent's user do just that", async () => {
    await allowing("restart_service:nginx,stop_service:web-*,restart_service:mysql,get_logs:*");
    const ask = await asker(await host.read(PATHS.polkitRule));
    const MANAGE = "org.freedesktop.systemd1.manage-units";
    expect(ask("opspilot-agent", MANAGE, "restart", "nginx.service")).toBe("yes");
    expect(ask("opspilot-agent", MANAGE, "stop", "web-1.service")).toBe("yes");
    expect(ask("opspilot-agent", MANAGE, "stop", "web-2.service")).toBe("yes");
    // systemd asks by the unit's own name, not by an alias.
    expect(ask("opspilot-agent", MANAGE, "restart", "mariadb.service")).toBe("yes");
    for (const [user, action, verb, unit] of [
      ["opspilot-agent", MANAGE, "stop", "nginx.service"],
      ["opspilot-agent", MANAGE, "restart", "web-1.service"],
      ["opspilot-agent", MANAGE, "restart", "sshd.service"],
      ["opspilot-agent", MANAGE, "stop", "web-3.service"],
      ["opspilot-agent", MANAGE, "restart", undefined],
      ["opspilot-agent", "org.freedesktop.systemd1.manage-unit-files", "restart", "nginx.service"],
      ["opspilot-agent", "org.freedesktop.login1.reboot", undefined, undefined],
      ["someone", MANAGE, "restart", "nginx.service"],
    ] as const)
      expect(ask(user, action, verb, unit)).toBe("not handled");
    expect(host.told().join("\n")).toContain("stop_service:web-* stands for 2 services of this host now");
  });

  test("is only there when something is allowed that needs it", async () => {
    await host.install();
    expect(await host.exists(PATHS.polkitRule)).toBe(false);
    await allowing("restart_service:nginx");
    expect(await host.exists(PATHS.polkitRule)).toBe(true);
    await allowing("get_logs:*");
    expect(await host.exists(PATHS.polkitRule)).toBe(false);
  });

  test("is warned about where there is no polkit", async () => {
    rmSync(join(folder, "programs/pkaction"));
    const run = createProcessRunner({ searchPath: join(folder, "programs"), clock: createSystemClock() });
    await host.install({ settings: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx" } }, { run });
    expect(host.told().join("\n")).toContain("polkit is not on this host: until it is 0.106 or later, systemd refuses");
  });

  test("is warned about where polkit is too old for rules", async () => {
    host.programs.add("pkaction", "echo pkaction version 0.105");
    await allowing("restart_service:nginx");
    expect(host.told().join("\n")).toContain("polkit on this host is of version 0.105: until it is 0.106 or later");
  });
});

describe("opspilot agent uninstall", () => {
  test("undoes all of it", async () => {
    await host.install({ settings: { ...SETTINGS, OPSPILOT_ALLOW: "restart_service:nginx" } });
    await host.uninstall();
    for (const path of Object.values(PATHS))
      expect({ path, exists: await host.exists(path) }).toEqual({ path, exists: false });
    expect(changes().slice(-2)).toEqual([["disable", "--now", "opspilot-agent.service"], ["daemon-reload"]]);
    expect(host.programs.calls("userdel")).toEqual([["opspilot-agent"]]);
  });

  test("keeps what was not delivered, and whose it is, unless it is told to purge", async () => {
    await host.install();
    const spool = join(host.root, PATHS.state, "agent/spool");
    mkdirSync(spool, { recursive: true });
    writeFileSync(join(spool, "1"), "an alert");
    host.told();
    await host.uninstall();
    expect(await host.exists(join(PATHS.state, "agent/spool/1"))).toBe(true);
    expect(host.programs.calls("userdel")).toEqual([]);
    expect(host.told().join("\n")).toContain("kept: /var/lib/opspilot-agent (alerts that were not delivered");
    await host.uninstall({ purge: true });
    expect(await host.exists(join(PATHS.state, "agent/spool/1"))).toBe(false);
    expect(host.programs.calls("userdel")).toEqual([["opspilot-agent"]]);
  });

  test("keeps what was there before: a user, a server's settings and its executable", async () => {
    writeFileSync(join(host.root, "etc/passwd"), "ops:x:1000:1000::/:/bin/bash\n");
    mkdirSync(join(host.root, "etc/opspilot"));
    writeFileSync(join(host.root, "etc/opspilot/opspilot.env"), "PORT=1\n");
    mkdirSync(join(host.root, "etc/systemd/system"), { recursive: true });
    writeFileSync(join(host.root, PATHS.serverUnit), "[Service]\n");
    await host.install({ user: "ops" });
    await host.uninstall({ purge: true });
    expect(host.programs.calls("userdel")).toEqual([]);
    expect(await host.read("etc/opspilot/opspilot.env")).toBe("PORT=1\n");
    expect(await host.exists(PATHS.executable)).toBe(true);
    expect(host.told().join("\n")).toContain("kept: /usr/local/bin/opspilot, which opspilot.service uses");
  });

  test("where nothing is installed does nothing", async () => {
    await host.uninstall();
    expect(host.told()).toEqual(["nothing to remove: the agent is not installed here"]);
    expect(changes()).toEqual([]);
  });
});

type Ask = (user: string, action: string, verb?: string, unit?: string) => string;

/** Runs the rule as polkit does. */
async function asker(rule: string): Promise<Ask> {
  type Rule = (action: { id: string; lookup(name: string): string | undefined }, subject: { user: string }) => string;
  const rules: Rule[] = [];
  const polkit = {
    addRule: (one: Rule) => rules.push(one),
    Result: { YES: "yes", NO: "no", NOT_HANDLED: "not handled" },
  };
  new Function("polkit", rule)(polkit);
  return (user, id, verb, unit) => {
    const lookup = (name: string) => ({ verb, unit })[name];
    return rules.map((one) => one({ id, lookup }, { user })).join();
  };
}
