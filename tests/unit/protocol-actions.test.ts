import { describe, expect, test } from "bun:test";
import { DECISION_ACTIONS, possibleActions, requestOf, type Situation } from "../../src/protocol/actions.ts";
import { COMMANDS } from "../../src/protocol/command-schemas.ts";
import { COMMAND_FIELDS, COMMAND_NAMES } from "../../src/protocol/commands.ts";
import { joinRawError, splitRawError } from "../../src/protocol/raw-error.ts";

test("only systemd's and docker's incidents have a command", () => {
  expect(requestOf("restart", { type: "systemd", source: "a" })?.command).toBe("restart_service");
  expect(requestOf("restart", { type: "docker", source: "a" })?.params).toEqual({ container: "a" });
  expect(requestOf("logs", { type: "docker", source: "a" })?.params).toEqual({ container: "a", lines: 100 });
  expect(requestOf("restart", { type: "host", source: "a" })).toBeUndefined();
  expect(requestOf("ignore", { type: "systemd", source: "a" })).toBeUndefined();
});

describe("what can be decided", () => {
  const situation: Situation = {
    type: "systemd",
    source: "nginx",
    status: "analyzed",
    isDeleted: false,
    allow: ["restart_service:nginx", "get_logs:*"],
    decisions: [],
  };

  test.each<[string, Partial<Situation>, string]>([
    ["of a service", {}, "restart logs ignore acknowledge resolve"],
    ["of a container that the agent keeps", { type: "docker" }, "ignore acknowledge resolve"],
    ["of a host", { type: "host" }, "ignore acknowledge resolve"],
    ["of a type that objects have by themselves", { type: "constructor" }, "ignore acknowledge resolve"],
    ["of what is no name", { source: "-x" }, "ignore acknowledge resolve"],
    ["with a deleted agent", { isDeleted: true }, "ignore acknowledge resolve"],
    [
      "with an agent that says nothing",
      { type: "docker", allow: undefined },
      "restart logs ignore acknowledge resolve",
    ],
    [
      "with a restart under way",
      { decisions: [{ action: "restart", ended: false }] },
      "logs ignore acknowledge resolve",
    ],
    ["after a restart", { decisions: [{ action: "restart", ended: true }] }, "restart logs ignore acknowledge resolve"],
    ["once acknowledged", { status: "acknowledged" }, "restart logs ignore resolve"],
    ["once ignored", { status: "ignored" }, "resolve"],
    ["once resolved", { status: "resolved" }, ""],
  ])("%s", (_, changes, expected) => {
    const can = possibleActions({ ...situation, ...changes });
    expect(DECISION_ACTIONS.filter((action) => can[action]).join(" ")).toBe(expected);
  });
});

describe("a message and its logs", () => {
  test.each([
    ["nginx died", "one\ntwo"],
    ["nginx died", ""],
    ["", "logs alone"],
    ["\u{1f600} died \u{1f600}", "\u{1f600}"],
    ["it said\n\nLogs:\nof its own", "logs"],
  ])("%j and %j are one text, and two again", (message, logs) => {
    const joined = joinRawError(message, logs);
    expect(joined.messageChars).toBe([...message].length);
    expect(splitRawError(joined)).toEqual({ message, logs });
  });
});

test("the vocabulary names the fields that each command's schema takes", () => {
  const fields = COMMAND_NAMES.map((name) => [name, [...COMMAND_FIELDS[name]]]);
  expect(Object.fromEntries(fields)).toEqual(
    Object.fromEntries(Object.entries(COMMANDS).map(([name, { properties }]) => [name, Object.keys(properties)])),
  );
});
