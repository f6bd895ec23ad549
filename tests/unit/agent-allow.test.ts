import { describe, expect, test } from "bun:test";
import { allows, allowText, type CommandName, isAllowed, parseAllow, unitName } from "../../src/protocol/commands.ts";

const listOf = (text: string) => {
  const parsed = parseAllow(text);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed.entries;
};

describe("OPSPILOT_ALLOW", () => {
  test.each([
    [
      "",
      "service_status:* get_logs:* list_units:* container_logs:* container_inspect:* host_report:* agent_facts:* ping:*",
    ],
    ["none", ""],
    ["none,ping", "ping:*"],
    ["none list_units agent_facts", "list_units:* agent_facts:*"],
    ["none get_logs:*", "get_logs:*"],
    [
      "restart_service:nginx",
      "restart_service:nginx service_status:* get_logs:* list_units:* container_logs:* container_inspect:* host_report:* agent_facts:* ping:*",
    ],
    [
      " get_logs:web-* ,\n host_report ",
      "get_logs:web-* host_report:* service_status:* list_units:* container_logs:* container_inspect:* agent_facts:* ping:*",
    ],
  ])("%p allows %p", (text, expected) => {
    expect(listOf(text).map(allowText).join(" ")).toBe(expected);
  });

  test.each([
    ["restart", /"restart" names no command; there are restart_service, /],
    ["restart_service", /must say on what: restart_service:NAME, or restart_service:\*/],
    ["restart_service:", /holds no name or pattern/],
    ["restart_service:$(id)", /holds no name or pattern/],
    [`get_logs:${"a".repeat(300)}`, /holds no name or pattern/],
    ["constructor:x", /names no command/],
  ])("%.40p is a mistake", (text, expected) => {
    const parsed = parseAllow(text);
    expect("fault" in parsed ? parsed.fault : "").toMatch(expected);
  });

  test("has a thousand entries at most", () => {
    expect(parseAllow("ping ".repeat(1001))).toEqual({ fault: "more than 1000 entries" });
  });

  test.each<[string, CommandName, string, boolean]>([
    ["restart_service:nginx", "restart_service", "nginx", true],
    ["restart_service:nginx", "restart_service", "nginx.service", true],
    ["restart_service:nginx.service", "restart_service", "nginx", true],
    ["restart_service:nginx", "stop_service", "nginx", false],
    ["restart_service:nginx", "restart_container", "nginx", false],
    ["restart_service:nginx", "restart_service", "nginx.timer", false],
    ["restart_service:*.timer", "restart_service", "backup.timer", true],
    ["restart_service:*.timer", "restart_service", "backup", false],
    ["restart_service:*.service", "restart_service", "backup", true],
    ["restart_service:*.service", "restart_service", "backup.socket", false],
    // The kind belongs to the name only where the pattern has one.
    ["restart_service:web*e", "restart_service", "web1", false],
    ["restart_service:web@?", "restart_service", "web@1", true],
    ["restart_service:web@?", "restart_service", "web@12", false],
    ["restart_container:web", "restart_container", "web", true],
    ["restart_container:web", "restart_container", "web.service", false],
    ["restart_container:web.service", "restart_container", "web", false],
    ["restart_service:Nginx", "restart_service", "nginx", false],
    ["ping:*", "ping", "", true],
    ["none", "ping", "", false],
  ])("%p: %s on %p is allowed: %p", (text, command, target, expected) => {
    expect(isAllowed(listOf(text), command, target)).toBe(expected);
  });
});

test.each([
  ["nginx", "nginx.service"],
  ["nginx.service", "nginx.service"],
  ["my.app", "my.app.service"],
  ["backup.timer", "backup.timer"],
  ["getty@tty1", "getty@tty1.service"],
])("the unit of %p is %p", (name, unit) => {
  expect(unitName(name)).toBe(unit);
});

describe("what an agent allows", () => {
  test.each([
    [undefined, true],
    ["all", true],
    [[], false],
    [["restart_service:nginx"], true],
    [["restart_service:ngin?"], true],
    [["restart_service:*x"], true],
    [["restart_*:*"], true],
    [["restart_service"], true],
    [["*:*"], true],
    [["restart_service:apache*"], false],
    [["restart_service:ngin"], false],
    [["restart_service:"], false],
    [[7, null], false],
  ])("%p", (allow, may) => {
    expect(allows(allow, "restart_service", "nginx")).toBe(may);
  });

  test.each([
    [["restart_service:nginx"], "nginx.service", true],
    [["restart_service:nginx.service"], "nginx", true],
    [["restart_service:ngin?"], "nginx.service", true],
    [["restart_service:nginx"], "nginx.timer", false],
    [["restart_service:*.timer"], "nginx.service", false],
  ])("%p of the unit %p", (allow, unit, may) => {
    expect(allows(allow, "restart_service", unit)).toBe(may);
  });

  test("may name units with a colon in them", () => {
    expect(allows(["restart_service:a:b*"], "restart_service", "a:bc")).toBe(true);
  });
});
