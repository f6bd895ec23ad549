import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAgentConfig } from "../../src/config/agent.ts";
import { COLLECTOR_NAMES, THRESHOLDS } from "../../src/config/agent-collectors.ts";
import { ConfigError } from "../../src/config/settings.ts";

function load(env: Record<string, string>) {
  const needed = { OPSPILOT_SERVER: "wss://ops.example.com", OPSPILOT_TOKEN: "opa_0123456789" };
  const surroundings = { cwd: "/nonexistent", uid: 998, home: "/home/agent", env: { ...needed, ...env } };
  return loadAgentConfig({}, surroundings).collectors;
}

function mistakesOf(env: Record<string, string>): string[] {
  try {
    load(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map(({ setting, message }) => `${setting}: ${message}`);
    throw error;
  }
}

describe("the collectors' settings", () => {
  test("switch all on where nothing is said", () => {
    expect(load({})).toEqual({
      enabled: COLLECTOR_NAMES,
      thresholds: THRESHOLDS,
      logRules: [],
      checks: [],
      ignore: [],
      recoveryMs: 10_000,
    });
  });

  test("change what they name alone", () => {
    const settings = load({
      OPSPILOT_COLLECTORS: "systemd, host",
      OPSPILOT_THRESHOLDS: "disk=85 load=off, cpu=99%, swap=12.5",
      OPSPILOT_IGNORE: "systemd:apt-daily*,docker:test-?",
      OPSPILOT_RECOVERY: "2m",
      OPSPILOT_PATTERNS: "unit:nginx nginx; container:web /error/i",
    });
    expect(settings.enabled).toEqual(["systemd", "host"]);
    expect(settings.thresholds).toEqual({ disk: 85, inodes: 90, memory: 95, swap: 12.5, load: null, cpu: 99 });
    expect(settings.ignore).toEqual([
      { type: "systemd", pattern: "apt-daily*" },
      { type: "docker", pattern: "test-?" },
    ]);
    expect(settings.recoveryMs).toBe(120_000);
    expect(settings.logRules.map(({ target, name }) => [target, name])).toEqual([
      ["nginx", "nginx"],
      ["web", "/error/i"],
    ]);
  });

  test("can switch all off", () => {
    expect(load({ OPSPILOT_COLLECTORS: "none" }).enabled).toEqual([]);
  });

  test("read patterns from a file, where backslashes need no care", () => {
    const path = join(mkdtempSync(join(tmpdir(), "opspilot-patterns-")), "patterns");
    writeFileSync(path, "# ours\nunit:nginx nginx\nfile:/var/log/app.log /took \\d{4,} ms/\n");
    const { logRules } = load({ OPSPILOT_PATTERNS_FILE: path });
    expect(logRules).toHaveLength(2);
    expect(logRules[1]?.patterns[0]?.test("it took 12345 ms")).toBe(true);
  });

  test("are refused all at once, each with what was expected", () => {
    const mistakes = mistakesOf({
      OPSPILOT_COLLECTORS: "systemd,windows",
      OPSPILOT_THRESHOLDS: "disk=101,temperature=90,memory=high",
      OPSPILOT_IGNORE: "nginx",
      OPSPILOT_RECOVERY: "0s",
      OPSPILOT_PATTERNS: "unit:nginx /(a/",
    });
    const limits =
      "expected NAME=PERCENT or NAME=off with a name of disk, inodes, memory, swap, load, cpu (load: per core)";
    expect(mistakes).toEqual([
      'OPSPILOT_COLLECTORS: "windows" is none of systemd, docker, host, kernel, logs, checks, none',
      `OPSPILOT_THRESHOLDS: "disk=101": ${limits}`,
      `OPSPILOT_THRESHOLDS: "temperature=90": ${limits}`,
      `OPSPILOT_THRESHOLDS: "memory=high": ${limits}`,
      'OPSPILOT_PATTERNS: "unit:nginx": "/(a/": a ( has no )',
      'OPSPILOT_IGNORE: "nginx": expected systemd:NAME, docker:NAME, host:NAME, log:NAME or check:NAME',
      'OPSPILOT_RECOVERY: expected a duration such as 10s, from 1s to 1h, not "0s"',
    ]);
  });
});
