import { afterAll, beforeAll, expect, test } from "bun:test";
import { alertFrame } from "../support/server.ts";
import { type SlackServer, startSlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";

let running: SlackServer;
let slack: SlackServer["slack"];
let server: SlackServer["server"];

beforeAll(async () => {
  running = await startSlackServer();
  ({ slack, server } = running);
});
afterAll(() => running.stop());

const shown = () => JSON.stringify(slack.messages[0]?.blocks ?? []);

test("an alert on a socket, its message, a pressed button, the command on the socket, its result, and the verified line in the message", async () => {
  const token = (await server.api("/v1/agents", { method: "POST", body: {} })).body.token;
  const agent = await server.connect();
  agent.send({ ver: "1.1", token, ts: Date.now() / 1000 });
  await agent.frame(0);
  agent.send(
    alertFrame("a1", token, { type: "systemd", source: "nginx", message: "nginx failed", severity: "critical" }),
  );
  const message = await until(() => slack.messages[0], { what: "a message" });
  await slack.press(message, "opspilot_restart");
  const command = await until(() => agent.frames.find((frame) => frame.type === "command"), { what: "a command" });
  if (command.type !== "command") throw new Error("no command");
  expect([command.command, command.params]).toEqual(["restart_service", { service: "nginx" }]);
  const send = (id: string, payload: object) =>
    agent.send({ ver: "1.1", id, token, type: "result", ts: Date.now() / 1000, data: JSON.stringify(payload) });
  send("r1", {
    command_id: command.id,
    status: "done",
    exit_code: 0,
    duration_ms: 900,
    finished_at: Date.now() / 1000,
  });
  agent.send(alertFrame("a2", token, { type: "systemd", source: "nginx", message: "active", state: "resolved" }));
  await until(() => /restarted by @ana/.test(shown()) && /✅ Resolved/.test(shown()) && !/waiting/.test(shown()), {
    ms: 15_000,
    what: "the outcome in the message",
  });
  expect(shown()).not.toContain("opspilot_restart");
  expect(slack.ephemerals).toHaveLength(1);
  expect(slack.messages.filter(({ thread }) => thread === null)).toHaveLength(1);
}, 180_000);
