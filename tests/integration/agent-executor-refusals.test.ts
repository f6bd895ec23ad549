import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestExecutor } from "../support/executor.ts";
import { createFakePrograms, type FakePrograms } from "../support/fake-programs.ts";

const folders: string[] = [];
let folder = "";
let programs: FakePrograms;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-refusals-"));
  folders.push(folder);
  programs = createFakePrograms(folder);
  for (const name of ["systemctl", "journalctl", "docker", "sh"]) programs.add(name);
});
afterAll(() => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
});

const ALL = "restart_service:*,start_service:*,stop_service:*,restart_container:*";
const executorWith = (allow: string) => createTestExecutor({ folder, allow, searchPath: programs.path });
const ran = () => ["systemctl", "journalctl", "docker", "sh"].flatMap((name) => programs.calls(name));

const TARGETED = [
  ["restart_service", "service"],
  ["start_service", "service"],
  ["stop_service", "service"],
  ["service_status", "service"],
  ["get_logs", "service"],
  ["restart_container", "container"],
  ["container_logs", "container"],
] as const;

const HOSTILE: readonly (readonly [string, unknown])[] = [
  ["a shell's separator", "nginx; rm -rf /"],
  ["a substitution", "$(reboot)"],
  ["an option", "--help"],
  ["a short option", "-H"],
  ["a path", "../../etc/passwd"],
  ["an absolute path", "/etc/passwd"],
  ["1 MB", "a".repeat(1_000_000)],
  ["256 characters", "a".repeat(256)],
  ["NUL", "nginx\0"],
  ["a line break at the end", "nginx\n"],
  ["a second line", "nginx\nExecStart=/bin/sh"],
  ["a pattern", "*"],
  ["a set", "[a-z]*"],
  ["a blank", "nginx redis"],
  ["nothing", ""],
  ["a letter beyond ASCII", "nginxé"],
  ["a list", ["nginx"]],
  ["an object", { toString: "nginx" }],
  ["null", null],
  ["a number", 7],
];

describe("a hostile parameter", () => {
  test.each(HOSTILE)("that is %s is refused by every command, by name", async (_, value) => {
    const executor = executorWith(ALL);
    for (const [command, field] of TARGETED) {
      const { status, error = "" } = await executor.ask(command, { [field]: value });
      expect({ command, status }).toEqual({ command, status: "rejected" });
      expect(error).toMatch(new RegExp(`^params\\.${field}: `));
      expect(error.length).toBeLessThan(300);
    }
    expect(ran()).toEqual([]);
  });

  test.each([
    ["no parameters", "restart_service", null, /^params: /],
    ["a list for parameters", "restart_service", ["nginx"], /^params: /],
    ["a missing name", "restart_service", {}, /^params\.service: /],
    ["another parameter", "restart_service", { service: "nginx", shell: "sh" }, /^params\.shell: Unexpected property$/],
    ["a parameter of 1 MB", "ping", { ["x".repeat(1_000_000)]: 1 }, /^params\.x{20,60}: Unexpected property$/],
    ["too many lines", "get_logs", { service: "nginx", lines: 10_001 }, /^params\.lines: /],
    ["half a line", "get_logs", { service: "nginx", lines: 0.5 }, /^params\.lines: /],
    ["a time in words", "get_logs", { service: "nginx", since_s: "--file=/etc/shadow" }, /^params\.since_s: /],
    ["logs of a month", "container_logs", { container: "web", since_s: 2_592_000 }, /^params\.since_s: /],
    ["a priority of our own", "get_logs", { service: "nginx", priority: "err --root=/" }, /^params\.priority: /],
    ["a pattern of two lines", "get_logs", { service: "nginx", pattern: "a\nb" }, /^params\.pattern: /],
    [
      "a long pattern",
      "get_logs",
      { service: "nginx", pattern: "a".repeat(201) },
      /^params\.pattern: expected 1 to 200/,
    ],
    ["no pattern", "get_logs", { service: "nginx", pattern: "(" }, /^params\.pattern: a \( has no \)$/],
    ["a file", "get_logs", { service: "nginx", file: "/etc/shadow" }, /^params\.file: Unexpected property$/],
    ["an option for a unit", "list_units", { pattern: "--root=/" }, /^params\.pattern: expected a unit's name/],
    ["lines as text", "container_logs", { container: "web", lines: "5; id" }, /^params\.lines: /],
    ["parameters for none", "host_report", { service: "nginx" }, /^params\.service: Unexpected property$/],
  ])("%s: %s is refused", async (_, command, params, expected) => {
    const { status, error } = await executorWith(ALL).ask(command, params);
    expect(status).toBe("rejected");
    expect(error).toMatch(expected);
    expect(ran()).toEqual([]);
  });

  test.each(["rm", "", "constructor", "__proto__", "restart_service ", "RESTART_SERVICE", "x".repeat(1_000_000)])(
    "the command %.20p is none",
    async (command) => {
      const { status, error = "" } = await executorWith(ALL).ask(command, { service: "nginx" });
      expect(status).toBe("rejected");
      expect(error).toContain("is no command of this agent");
      expect(error.length).toBeLessThan(300);
    },
  );

  test.each(["reboot.target", "poweroff.target", "system.slice", "session-1.scope", "dev-sda.device"])(
    "%s is no service: it stands for the machine, or what runs in it",
    async (service) => {
      for (const command of ["restart_service", "start_service", "stop_service"]) {
        const { status, error } = await executorWith(ALL).ask(command, { service });
        expect(status).toBe("rejected");
        expect(error).toContain(`${service} is no service`);
      }
      expect(ran()).toEqual([]);
    },
  );

  test.each(["", "7", "x".repeat(1_000_000), "../../../etc/cron.d/x"])("an id of %.20p is none", async (id) => {
    const result = await executorWith(ALL).ask("ping", {}, { id });
    expect(result).toMatchObject({ status: "rejected", error: "id: expected a UUID" });
    expect(result.command_id.length).toBeLessThanOrEqual(64);
  });
});

describe("a command that is not allowed", () => {
  test("is refused with the words that allow it", async () => {
    const { status, error } = await executorWith("").ask("restart_service", { service: "nginx" });
    expect(status).toBe("rejected");
    expect(error).toStartWith(
      "restart_service:nginx is not allowed on this host; add restart_service:nginx to OPSPILOT_ALLOW in /etc/opspilot/agent.env",
    );
    expect(ran()).toEqual([]);
  });

  test("by default is whatever changes something; what only looks is not", async () => {
    const executor = executorWith("");
    const statuses: Record<string, string> = {};
    for (const [command, field] of TARGETED)
      statuses[command] = (await executor.ask(command, { [field]: "web" })).status;
    expect(statuses).toEqual({
      restart_service: "rejected",
      start_service: "rejected",
      stop_service: "rejected",
      service_status: "done",
      get_logs: "done",
      restart_container: "rejected",
      // There is no Docker here.
      container_logs: "failed",
    });
  });

  test.each([
    ["nginx", "nginx.service", "done"],
    ["nginx.service", "nginx", "done"],
    ["nginx", "nginx.socket", "rejected"],
    ["nginx", "nginx2", "rejected"],
    ["ngin?", "nginx.service", "done"],
    ["web-*", "web-7", "done"],
    ["web-*", "my-web-7", "rejected"],
  ])("restart_service:%s makes %s %s", async (pattern, service, status) => {
    const executor = executorWith(`restart_service:${pattern}`);
    const result = await executor.ask("restart_service", { service });
    expect(String(result.status)).toBe(status);
  });

  test("is told to the server as the list has it", () => {
    expect(executorWith("restart_service:nginx,get_logs:web-*").allow).toEqual([
      "restart_service:nginx",
      "get_logs:web-*",
      "service_status:*",
      "list_units:*",
      "container_logs:*",
      "container_inspect:*",
      "host_report:*",
      "agent_facts:*",
      "ping:*",
    ]);
  });
});
